use proptest::prelude::*;
use serde::Deserialize;

use burgeon_core::Money;

use super::*;
use crate::extract::Params;

#[derive(Debug, PartialEq, Deserialize)]
struct Filter {
    term: String,
    page: Option<u32>,
    #[serde(default)]
    colours: Vec<String>,
    #[serde(default)]
    in_stock: bool,
    #[serde(default)]
    order: Order,
    below: Option<Money>,
}

#[derive(Debug, PartialEq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Order {
    #[default]
    Popular,
    PriceUp,
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Field>> {
    from_pairs(&pairs(text.as_bytes()).unwrap())
}

fn named(fields: &[Field]) -> Vec<(&str, &str)> {
    fields.iter().map(|field| (&*field.field, &*field.message)).collect()
}

#[test]
fn a_query_becomes_a_struct() {
    let filter: Filter =
        read("term=blue+m%C3%BCg&page=&colours=red&colours=blue&in_stock=on&order=price_up&below=9.90&x=1")
            .unwrap();
    let expected = Filter {
        term: "blue müg".into(),
        page: None,
        colours: vec!["red".into(), "blue".into()],
        in_stock: true,
        order: Order::PriceUp,
        below: Some("9.90".parse().unwrap()),
    };
    assert_eq!(filter, expected);
}

#[test]
fn every_field_that_does_not_parse_is_told_at_once() {
    let refused = read::<Filter>("term=x&page=two&order=sideways&in_stock=perhaps").unwrap_err();
    let expected = [
        ("page", "must be a whole number, not below 0"),
        ("order", "must be one of popular, price_up"),
        ("in_stock", "must be true or false"),
    ];
    assert_eq!(named(&refused), expected);
}

#[test]
fn thousands_of_wrong_fields_are_refused_without_reading_them_thousands_of_times() {
    let text: Vec<String> = (0..MOST_PAIRS).map(|number| format!("f{number}=x")).collect();
    let refused = read::<std::collections::HashMap<String, u8>>(&text.join("&")).unwrap_err();
    assert_eq!(refused.len(), MOST_REFUSED);
    assert!(pairs(format!("{}&a=b", text.join("&")).as_bytes()).is_err());
}

#[test]
fn a_missing_field_is_named() {
    assert_eq!(named(&read::<Filter>("page=1").unwrap_err()), [("term", "is missing")]);
}

#[test]
fn values_of_a_path_are_read_by_position_or_by_name() {
    let path = "/7/tea%20pot";
    let params = Params::of(path, path.split('/').skip(1)).unwrap();
    let names = ["shop".into(), "slug".into()];
    let values = params.named(&names, path);
    assert_eq!(from_path::<(i64, String)>(values).unwrap(), (7, "tea pot".into()));

    #[derive(Deserialize)]
    struct Named {
        slug: String,
        shop: u8,
    }
    let named: Named = from_path(values).unwrap();
    assert_eq!((named.shop, named.slug.as_str()), (7, "tea pot"));

    let wrong = from_path::<(i64, i64)>(values).unwrap_err();
    assert!(!wrong.is_ours && wrong.field == "slug", "{wrong:?}");
    assert!(from_path::<i64>(values).unwrap_err().is_ours);
    assert!(from_path::<(i64, i64, i64)>(values).unwrap_err().is_ours);

    let apart = params.clone().apart(path);
    let elsewhere = from_path::<(i64, String)>(apart.named(&names, "/"));
    assert_eq!(elsewhere.unwrap(), (7, "tea pot".into()), "the path has changed since");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        if let Ok(pairs) = pairs(&bytes) {
            let _ = from_pairs::<Filter>(&pairs);
            let _ = from_pairs::<std::collections::HashMap<String, Vec<u8>>>(&pairs);
        }
    }

    #[test]
    fn what_a_browser_encodes_is_read_as_it_was(name in "[a-z]{1,8}", value in "\\PC*") {
        let encoded = percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
        let text = format!("{name}={encoded}");
        let pairs = pairs(text.as_bytes()).unwrap();
        prop_assert_eq!(&pairs[0], &(Cow::from(name), Cow::from(value)));
    }
}
