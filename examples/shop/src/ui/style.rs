//! The style sheet, named by its content.

use burgeon::http::{HeaderName, HeaderValue, header};

const SHEET: &str = include_str!("style.css");

/// Its address.
pub(super) const PATH: &str = match std::str::from_utf8(&NAMED) {
    Ok(path) => path,
    Err(_) => panic!("hexadecimal digits are text"),
};

const NAMED: [u8; 33] = named();

/// `/assets/shop-0123456789abcdef.css`, computed when the program is compiled.
const fn named() -> [u8; 33] {
    let mut path = *b"/assets/shop-0000000000000000.css";
    let bytes = SHEET.as_bytes();
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut index = 0;
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x100_0000_01b3);
        index += 1;
    }
    let mut digit = 0;
    while digit < 16 {
        path[28 - digit] = b"0123456789abcdef"[(hash >> (4 * digit)) as usize & 15];
        digit += 1;
    }
    path
}

pub(super) async fn sheet() -> ([(HeaderName, HeaderValue); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, SHEET)
}
