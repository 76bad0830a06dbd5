//! Mistakes that do not compile, and the sentences that say so.

#[test]
fn a_mistake_is_told_when_the_program_is_compiled() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
