use std::collections::{BTreeMap, HashMap, HashSet};

use burgeon_core::Position;
use burgeon_core::units::Size;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::*;

const LIMIT: Size = Size::mib(1);

fn rules(format: Format) -> Rules {
    Rules { format, compress_above: Size::kib(1), limit: LIMIT }
}

fn head() -> Head {
    let span = Span { fresh: 30_000, eager: 6_000, revalidate: 30_000, kept: 86_430_000, cost: 12 };
    let validators = Validators { etag: Some("\"a\"".into()), last_modified: None };
    Head::new(span, vec![7, u64::MAX], Some(validators), Position { timeline: 3, lsn: 0x16_b374_d848 })
}

fn bytes_of<V: Serialize>(value: &V, format: Format) -> Vec<u8> {
    encode(Some(value), head(), &rules(format)).unwrap()
}

fn read_as<V: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Option<V>, Unreadable> {
    decode(bytes, LIMIT).map(|(_, value)| value)
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Everything {
    number: i64,
    text: String,
    maybe: Option<Choice>,
    list: Vec<Choice>,
    map: BTreeMap<String, u16>,
    pair: (bool, char),
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Choice {
    None,
    One(u32),
    Two { left: String, right: Option<i8> },
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::None),
        any::<u32>().prop_map(Choice::One),
        (".{0,40}", any::<Option<i8>>()).prop_map(|(left, right)| Choice::Two { left, right }),
    ]
}

prop_compose! {
    fn everything()(
        number: i64,
        text in ".{0,3000}",
        maybe in proptest::option::of(choice()),
        list in proptest::collection::vec(choice(), 0..20),
        map in proptest::collection::btree_map(".{0,9}", any::<u16>(), 0..9),
        pair: (bool, char),
        bytes in proptest::collection::vec(any::<u8>(), 0..3_000),
    ) -> Everything {
        Everything { number, text, maybe, list, map, pair, bytes }
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read(value in everything(), is_json: bool) {
        let format = if is_json { Format::Json } else { Format::Postcard };
        let written = head();
        let bytes = encode(Some(&value), written.clone(), &rules(format)).unwrap();
        let (read, found) = decode::<Everything>(&bytes, LIMIT).unwrap();
        prop_assert_eq!(found.as_ref(), Some(&value));
        prop_assert_eq!((read.span, read.tags.clone(), read.validators.clone()), (written.span, written.tags.clone(), written.validators.clone()));
        prop_assert_eq!(read.position(), written.position());
    }

    #[test]
    fn what_was_not_written_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(read_as::<Everything>(&bytes).is_err());
    }

    /// Bytes with a right checksum and nonsense behind it: the decoders themselves must stand it.
    #[test]
    fn nonsense_in_a_sound_frame_ends_in_an_error(flags in 0_u8..4, framed in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = vec![VERSION, flags];
        bytes.extend(checksum(flags, &framed).to_le_bytes());
        bytes.extend(framed);
        let _ = read_as::<Everything>(&bytes);
        let _ = read_as::<Vec<()>>(&bytes);
        let _ = read_as::<HashMap<String, Vec<Choice>>>(&bytes);
    }

    #[test]
    fn a_flipped_bit_is_noticed(value in everything(), at: prop::sample::Index, bit in 0_u8..8) {
        let mut bytes = bytes_of(&value, Format::Postcard);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(read_as::<Everything>(&bytes).is_err());
    }

    #[test]
    fn what_is_cut_off_is_noticed(value in everything(), at: prop::sample::Index) {
        let bytes = bytes_of(&value, Format::Json);
        prop_assert!(read_as::<Everything>(&bytes[..at.index(bytes.len())]).is_err());
    }
}

#[test]
fn that_there_is_none_is_a_value_too() {
    let bytes = encode::<u8>(None, head(), &rules(Format::Postcard)).unwrap();
    assert_eq!(read_as::<u8>(&bytes), Ok(None));
    assert_eq!(read_as::<String>(&bytes), Ok(None));
}

#[test]
fn long_values_are_compressed_where_it_helps_and_too_long_ones_refused() {
    let (long, longer) = ("abc".repeat(10_000), "abc".repeat(400_000));
    assert!(bytes_of(&long, Format::Postcard).len() < 1_000);
    assert_eq!(read_as(&bytes_of(&long, Format::Postcard)), Ok(Some(long)));
    let noise: Vec<u64> = (0..1_000_u64).map(|n| crate::tags::hash(&n.to_string())).collect();
    assert_eq!(bytes_of(&noise, Format::Postcard)[1], 0);
    let too_long = encode(Some(&longer), head(), &rules(Format::Json));
    assert!(matches!(too_long, Err(Unfit::TooLarge { bytes: 1_200_002 })), "{too_long:?}");
    let tags = Head { tags: vec![0; TAGS + 1], ..head() };
    assert!(matches!(encode(Some(&1), tags, &rules(Format::Json)), Err(Unfit::TooManyTags(65))));
}

#[test]
fn a_bomb_is_not_followed_to_its_end() {
    let mut bytes = bytes_of(&"a".repeat(900_000), Format::Postcard);
    assert_eq!(decode::<String>(&bytes, Size::kib(1)).map(drop), Err(Unreadable::Damaged));
    // A head that promises less than there is.
    let (flags, framed) = unframe(&bytes).unwrap();
    let (head, body) = postcard::take_from_bytes::<Head>(framed).unwrap();
    let lying = Head { length: Some(10), ..head };
    let mut framed = postcard::to_allocvec(&lying).unwrap();
    framed.extend_from_slice(body);
    let sum = checksum(flags, &framed);
    bytes.truncate(2);
    bytes.extend(sum.to_le_bytes());
    bytes.extend(framed);
    assert_eq!(read_as::<String>(&bytes), Err(Unreadable::Damaged));
}

#[test]
fn another_version_of_the_format_is_named() {
    let mut bytes = bytes_of(&1_u8, Format::Postcard);
    bytes[0] = VERSION + 1;
    assert_eq!(read_as::<u8>(&bytes), Err(Unreadable::Version));
}

/// Programs of two versions. In postcard all of these are the same bytes.
#[test]
fn the_same_bytes_under_other_names_or_types_are_no_value() {
    #[derive(Serialize, Deserialize)]
    struct Old {
        price: u16,
        stock: u16,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Swapped {
        stock: u16,
        price: u16,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename = "Old")]
    struct Wider {
        price: u32,
        stock: u16,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename = "Old")]
    struct Same {
        price: u16,
        stock: u16,
    }
    let bytes = bytes_of(&Old { price: 3, stock: 4 }, Format::Postcard);
    assert_eq!(postcard::to_allocvec(&Swapped { stock: 3, price: 4 }).unwrap(), [3, 4]);
    assert_eq!(read_as::<Swapped>(&bytes), Err(Unreadable::Shape));
    assert_eq!(read_as::<Wider>(&bytes), Err(Unreadable::Shape));
    assert_eq!(read_as::<(u16, u16)>(&bytes), Err(Unreadable::Shape));
    assert_eq!(read_as::<Same>(&bytes), Ok(Some(Same { price: 3, stock: 4 })));
    #[derive(Serialize, Deserialize)]
    enum Before {
        Draft,
        Paid(u8),
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(rename = "Before")]
    enum After {
        Draft,
        Refunded(u8),
    }
    let bytes = bytes_of(&Before::Paid(1), Format::Postcard);
    assert_eq!(read_as::<After>(&bytes), Err(Unreadable::Shape));
}

/// Their elements come out in another order each time.
#[test]
fn sets_and_maps_have_the_same_shape_in_any_order() {
    let set: HashSet<Choice> = (0..50)
        .map(|n| match n % 3 {
            0 => Choice::One(n),
            1 => Choice::Two { left: n.to_string(), right: None },
            _ => Choice::Two { left: n.to_string(), right: Some(1) },
        })
        .collect();
    let map: HashMap<u32, Option<Choice>> =
        (0..50).map(|n| (n, (n % 2 == 0).then_some(Choice::One(n)))).collect();
    for format in [Format::Postcard, Format::Json] {
        assert_eq!(read_as(&bytes_of(&set, format)), Ok(Some(set.clone())));
        assert_eq!(read_as(&bytes_of(&map, format)), Ok(Some(map.clone())));
    }
}

#[test]
fn types_are_told_apart_by_their_names_and_fields() {
    #[derive(Serialize, Deserialize)]
    struct One {
        a: u8,
    }
    let types = [
        shape::of_type::<One>(),
        shape::of_type::<Option<One>>(),
        shape::of_type::<Vec<One>>(),
        shape::of_type::<Vec<Everything>>(),
        shape::of_type::<HashMap<String, One>>(),
        shape::of_type::<Choice>(),
        shape::of_type::<u8>(),
        shape::of_type::<(u8, u16)>(),
    ];
    assert_eq!(types.iter().collect::<HashSet<_>>().len(), types.len());
    assert_eq!(shape::of_type::<One>(), types[0]);
}
