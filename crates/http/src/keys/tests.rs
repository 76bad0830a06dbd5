use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn key(id: i64, signs_from: i64) -> Key {
    let secret = [id as u8; 32];
    let signs_from = Timestamp::from_second(signs_from).unwrap();
    Key { id, secret, signs_from }
}

fn at(now: &Arc<AtomicI64>, ring: Ring) -> Keys {
    let now = Arc::clone(now);
    Keys::from_ring(ring, move || Timestamp::from_second(now.load(Ordering::Relaxed)).unwrap())
}

proptest! {
    #[test]
    fn what_was_sealed_opens_as_it_was(content: Vec<u8>, purpose in "\\PC{0,20}") {
        let keys = Keys::fixed(b"k");
        let sealed = keys.seal(&purpose, &content, HOUR).unwrap();
        prop_assert_eq!(keys.open(&purpose, &sealed), Some(content));
    }

    #[test]
    fn what_was_tampered_with_never_opens(content: Vec<u8>, at: prop::sample::Index, flip in 1u8..=255) {
        let keys = Keys::fixed(b"k");
        let mut bytes = URL_SAFE_NO_PAD.decode(keys.seal("p", &content, HOUR).unwrap()).unwrap();
        let index = at.index(bytes.len());
        bytes[index] ^= flip;
        prop_assert_eq!(keys.open("p", &URL_SAFE_NO_PAD.encode(bytes)), None);
    }

    #[test]
    fn any_text_is_refused_without_panic(text in "\\PC*", cut in 0usize..80) {
        let keys = Keys::fixed(b"k");
        prop_assert_eq!(keys.open("p", &text), None);
        let sealed = keys.seal("p", b"content", HOUR).unwrap();
        if cut < sealed.len() {
            prop_assert_eq!(keys.open("p", &sealed[..cut]), None);
        }
    }
}

#[test]
fn purposes_and_keys_are_kept_apart() {
    let keys = Keys::fixed(b"k");
    let sealed = keys.seal("session", b"content", HOUR).unwrap();
    assert_eq!(keys.open("flash", &sealed), None);
    assert_eq!(Keys::fixed(b"other").open("session", &sealed), None);
}

#[test]
fn a_value_expires_a_minute_of_leeway_after_its_time() {
    let now = Arc::new(AtomicI64::new(1_000));
    let keys = at(&now, Ring::fixed(b"k"));
    let sealed = keys.seal("p", b"x", HOUR).unwrap();
    now.store(1_000 + 3_600 + 59, Ordering::Relaxed);
    assert!(keys.open("p", &sealed).is_some());
    now.store(1_000 + 3_600 + 60, Ordering::Relaxed);
    assert!(keys.open("p", &sealed).is_none());
}

#[test]
fn a_new_key_signs_when_its_time_has_come_and_the_old_one_still_verifies() {
    let now = Arc::new(AtomicI64::new(100));
    let keys = at(&now, Ring::new(vec![key(2, 200), key(1, 0)]));
    let before = keys.seal("p", b"x", HOUR).unwrap();
    now.store(200, Ordering::Relaxed);
    let after = keys.seal("p", b"x", HOUR).unwrap();
    assert_ne!(before, after);
    assert!(keys.open("p", &before).is_some() && keys.open("p", &after).is_some());

    let without_the_old = at(&now, Ring::new(vec![key(2, 200)]));
    assert!(without_the_old.open("p", &before).is_none() && without_the_old.open("p", &after).is_some());
}

#[test]
fn without_a_key_nothing_is_sealed_and_nothing_opens() {
    let keys = Keys::awaiting();
    assert!(keys.seal("p", b"x", HOUR).unwrap_err().detail().contains("no signing key yet"));
    assert_eq!(keys.open("p", &Keys::fixed(b"k").seal("p", b"x", HOUR).unwrap()), None);
    assert!(Keys::fixed(b"k").seal("p", b"x", MOST_LIFETIME + HOUR).is_err());
}

#[test]
fn a_key_is_not_printed() {
    let printed = format!("{:?} {:?}", Keys::fixed(b"k"), key(7, 0));
    assert!(!printed.contains("7, 7"), "{printed}");
}
