use proptest::prelude::*;

use super::*;

fn header_text(cookie: &Cookie, secure: bool) -> String {
    cookie.header(secure).unwrap().to_str().unwrap().to_owned()
}

proptest! {
    #[test]
    fn a_value_comes_back_as_it_was_set(value in "\\PC{0,60}") {
        let text = header_text(&Cookie::new("name", &*value), false);
        let pair = text.split("; Path").next().unwrap();
        let read: Vec<_> = parse(pair).collect();
        prop_assert_eq!(read, vec![("name".to_owned(), value)]);
    }

    #[test]
    fn no_value_can_add_an_attribute(value: String) {
        let text = header_text(&Cookie::new("name", &*value), false);
        prop_assert_eq!(text.matches(';').count(), 3, "{}", text);
    }

    #[test]
    fn no_header_makes_parsing_panic(text: String) {
        let _ = parse(&text).count();
    }
}

#[test]
fn a_cookie_is_closed_by_default() {
    assert_eq!(
        header_text(&Cookie::new("a", "b c"), true),
        "a=b%20c; Path=/; SameSite=Lax; HttpOnly; Secure"
    );
}

#[test]
fn a_name_that_cannot_stand_in_a_header_is_refused() {
    for name in ["", "a b", "a=b", "a;b", "\u{e9}"] {
        assert!(Cookie::new(name, "x").header(false).is_err(), "{name}");
    }
    assert!(Cookie::new("a", "b").with_path("/; Domain=evil").header(false).is_err());
}
