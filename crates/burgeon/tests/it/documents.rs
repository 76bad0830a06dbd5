//! What the documents show is what compiles.

const README: &str = include_str!("../../../../README.md");
const TASKS: &str = include_str!("../../../../docs/tasks.md");
const HELLO: &str = include_str!("../../examples/hello.rs");

#[test]
fn the_ten_lines_of_the_readme_are_the_example_that_is_built() {
    let code = HELLO.trim_start_matches("//! The ten lines of the README.").trim();
    assert!(README.contains(code), "the README's ten lines differ from crates/burgeon/examples/hello.rs");
    assert!(
        TASKS.contains(code),
        "the ten lines in docs/tasks.md differ from crates/burgeon/examples/hello.rs"
    );
    assert_eq!(code.lines().filter(|line| !line.trim().is_empty()).count(), 10);
}
