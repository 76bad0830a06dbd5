use proptest::prelude::*;

use super::*;

const LIMIT: usize = 4096;

/// How many bytes passed, and the refusal if there was one, when they come in pieces of these lengths.
fn verdict(bytes: &[u8], pieces: impl IntoIterator<Item = usize>) -> (usize, Option<Refusal>) {
    let mut guard = Guard::new(LIMIT);
    let (mut passed, mut come) = (0, 0);
    let mut pieces = pieces.into_iter().filter(|piece| *piece > 0);
    while come < bytes.len() {
        come = bytes.len().min(come + pieces.next().unwrap_or(bytes.len()));
        let (more, refusal) = guard.pass(&bytes[passed..come]);
        passed += more;
        if refusal.is_some() {
            return (passed, refusal);
        }
    }
    (passed, None)
}

fn whole(text: &str) -> (usize, Option<Refusal>) {
    let whole = verdict(text.as_bytes(), [text.len()]);
    assert_eq!(verdict(text.as_bytes(), std::iter::repeat(1)), whole, "byte by byte: {text:?}");
    whole
}

#[test]
fn what_has_two_readings_is_refused_before_anything_of_it_passes() {
    for (head, refusal) in [
        ("GET / HTTP/1.1\n\n", Refusal::LineEnd),
        ("GET / HTTP/1.1\r\nhost: a\nb: c\r\n\r\n", Refusal::LineEnd),
        ("\n\r\nGET / HTTP/1.1\r\n\r\n", Refusal::LineEnd),
        ("\r\n\r\nGET / HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET /\r\n\r\n", Refusal::RequestLine),
        ("GET  / HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/1.1 \r\n\r\n", Refusal::RequestLine),
        (" GET / HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET\t/ HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET /\0 HTTP/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET / http/1.1\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/1.10\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/+1.1\r\n\r\n", Refusal::RequestLine),
        ("GET / HTTP/1.2\r\n\r\n", Refusal::Version),
        ("GET / HTTP/0.9\r\n\r\n", Refusal::Version),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::Version),
        ("GET / HTTP/1.1\r\n folded: x\r\n\r\n", Refusal::Fold),
        ("GET / HTTP/1.1\r\na: b\r\n\tc\r\n\r\n", Refusal::Fold),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\n: a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nhost\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\nh\u{e9}: a\r\n\r\n", Refusal::FieldName),
        ("GET / HTTP/1.1\r\na: b\0c\r\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\na: b\rc\r\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\na: b\r\r\n\r\n", Refusal::FieldValue),
        ("GET / HTTP/1.1\r\na: \x7f\r\n\r\n", Refusal::FieldValue),
        ("POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\nhello", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length: -0\r\n\r\n", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length: 0x5\r\n\r\nhello", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length: 5,5\r\n\r\nhello", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length:\r\n\r\n", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n", Refusal::Length),
        ("POST / HTTP/1.1\r\ncontent-length: 5\r\nContent-Length: 5\r\n\r\nhello", Refusal::TwoLengths),
        (
            "POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Refusal::LengthAndCoding,
        ),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
            Refusal::LengthAndCoding,
        ),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Refusal::Coding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", Refusal::Coding),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            Refusal::Coding,
        ),
        ("POST / HTTP/1.1\r\ntransfer-encoding:\r\n\r\n", Refusal::Coding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: ,chunked\r\n\r\n", Refusal::Coding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n\r\n", Refusal::UnknownCoding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: identity, chunked\r\n\r\n", Refusal::UnknownCoding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: xchunked\r\n\r\n", Refusal::UnknownCoding),
        ("POST / HTTP/1.1\r\ntransfer-encoding: \u{b}chunked\r\n\r\n", Refusal::FieldValue),
    ] {
        assert_eq!(whole(head), (0, Some(refusal)), "{head:?}");
        let first = "POST /one HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        let second = whole(&format!("{first}{head}"));
        assert_eq!(second, (first.len(), Some(refusal)), "as the second request: {head:?}");
    }
}

#[test]
fn a_fault_in_a_chunked_body_is_found_where_it_is() {
    const HEAD: &str = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    for (good, bad) in [
        ("", "+5\r\nhello\r\n"),
        ("", "-1\r\n"),
        ("0", "x5\r\nhello\r\n"),
        ("", "\r\n"),
        ("", ";a=b\r\n"),
        ("5", "\nhello\r\n"),
        ("5\r", "\rhello"),
        ("5;a=b", "\nhello\r\n"),
        ("5 ", "5\r\nhello\r\n"),
        ("5 ", "\r\nhello\r\n"),
        ("5\r\nhello", "\n5\r\nhello\r\n"),
        ("5\r\nhello", "!\r\n"),
        ("ffffffffffffffff", "0\r\n"),
        ("0\r\n", " folded: x\r\n\r\n"),
        ("0\r\n", "\n"),
        ("0\r\nname", " : x\r\n\r\n"),
        ("0\r\nname: a", "\n\r\n"),
        ("0\r\nname: a", "\0\r\n\r\n"),
    ] {
        let expected = (HEAD.len() + good.len(), Some(Refusal::Chunk));
        assert_eq!(whole(&format!("{HEAD}{good}{bad}")), expected, "{good:?} {bad:?}");
    }
}

#[test]
fn what_is_legal_passes_however_odd() {
    for text in [
        "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "\r\nGET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost:a\r\nempty:\r\ntabbed:\ta\tb \r\n\r\n",
        "M-SEARCH http://a/b?c HTTP/1.1\r\nhost: a\r\nx: \u{e9}\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 005\r\n\r\nhello",
        "POST / HTTP/1.1\r\nCONTENT-LENGTH:5 \r\n\r\nhel\n\0GET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\n\r\n5;name=\"v\"\r\nhello\r\n00\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nA \t;x\r\n0123456789\r\n0\r\n\r\n",
    ] {
        assert_eq!(whole(text), (text.len(), None), "{text:?}");
    }
}

#[test]
fn a_head_may_have_so_many_bytes_and_not_one_more() {
    let head = |length: usize| {
        let frame = "GET / HTTP/1.1\r\nx: \r\n\r\n".len();
        format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "v".repeat(length - frame))
    };
    assert_eq!(whole(&head(LIMIT)), (LIMIT, None));
    assert_eq!(whole(&head(LIMIT + 1)), (0, Some(Refusal::HeadSize)));
    assert_eq!(whole(&"G".repeat(LIMIT + 1)), (0, Some(Refusal::HeadSize)));
    assert_eq!(whole(&"G".repeat(LIMIT)), (0, None));
}

#[test]
fn what_hyper_would_answer_without_a_word_is_refused_with_one() {
    let fields = |count: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(count));
    assert_eq!(whole(&fields(100)).1, None);
    assert_eq!(whole(&fields(101)), (0, Some(Refusal::Fields)));
    let mut guard = Guard::new(1 << 20);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(65_534));
    assert_eq!(guard.pass(long.as_bytes()), (0, Some(Refusal::TargetSize)));
    for target in ["/<>", "http://", "//\\", "*x", "a:b:c", "/\u{7f}", "http://[::1/"] {
        let head = format!("GET {target} HTTP/1.1\r\n\r\n");
        assert_eq!(whole(&head).1.is_some(), http::Uri::try_from(target).is_err(), "{target}");
    }
}

#[test]
fn every_rule_has_a_name_of_its_own() {
    let names: std::collections::HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.rule()).collect();
    assert_eq!(names.len(), Refusal::ALL.len());
    assert!(Refusal::ALL.iter().all(|refusal| !refusal.status().is_success()));
}

/// Pieces of messages, good and bad, so that what is put together of them comes near to something.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a HTTP/1.0\r\n",
        "host: a\r\n",
        "content-length: 3\r\n",
        "content-length: 3\n",
        "transfer-encoding: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "\r\n",
        "\n",
        "\r",
        "3\r\nabc\r\n",
        "0\r\n\r\n",
        "0\r\nx: y\r\n\r\n",
        "abc",
        " ",
        ":",
        ";x=\"y\"",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ]
}

/// Whether hyper's parser takes the head.
fn is_taken(head: &[u8]) -> bool {
    let mut fields = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut fields);
    let whole = matches!(request.parse(head), Ok(httparse::Status::Complete(_)));
    whole
        && request.path.is_some_and(|target| http::Uri::try_from(target).is_ok())
        && request.method.is_some_and(|method| http::Method::from_bytes(method.as_bytes()).is_ok())
        && request.headers.iter().all(|field| {
            http::HeaderName::from_bytes(field.name.as_bytes()).is_ok()
                && http::HeaderValue::from_bytes(field.value).is_ok()
        })
}

proptest! {
    #[test]
    fn a_head_that_passes_is_one_that_hyper_takes(
        target in "[ -~]{1,12}|/[a-z/?#%<>\"{}|^`\\\\]{0,9}|https?://[a-z.:@\\[\\]]{0,9}/?|\\PC{1,6}",
        name in "[a-zA-Z0-9!-/_`~]{1,9}",
        value in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let mut head = format!("GET {target} HTTP/1.1\r\n{name}: ").into_bytes();
        head.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
        head.extend(b"\r\n\r\n");
        let mut guard = Guard::new(LIMIT);
        if let (passed, None) = guard.pass(&head) {
            prop_assert_eq!(passed, head.len());
            prop_assert!(is_taken(&head), "{}", String::from_utf8_lossy(&head));
        }
    }

    #[test]
    fn no_cut_of_the_bytes_changes_the_verdict(
        pieces in prop::collection::vec(piece(), 0..24),
        cuts in prop::collection::vec(0_usize..12, 0..64),
    ) {
        let bytes = pieces.concat();
        prop_assert_eq!(verdict(&bytes, cuts), verdict(&bytes, [bytes.len()]));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let (passed, _) = verdict(&bytes, [7, 3]);
        prop_assert!(passed <= bytes.len());
    }
}
