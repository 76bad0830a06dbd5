//! What the compiler says to code that is not to be. A line here that reads badly is a defect like any other.

#[test]
fn what_must_not_compile_does_not_and_the_message_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
