//! Whether a client wants a page or JSON, from its `Accept` (RFC 9110 §12.5.1).

/// Whether HTML is asked for by name and no JSON is asked for more strongly.
///
/// `*/*` alone does not ask for a page: that is what command-line clients and `fetch` send.
pub(crate) fn prefers_html(accept: &str) -> bool {
    let (mut html, mut json) = (0, 0);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(1_000, thousandths);
        if name.eq_ignore_ascii_case("text/html") || name.eq_ignore_ascii_case("application/xhtml+xml") {
            html = html.max(quality);
        } else if name.eq_ignore_ascii_case("application/json")
            || name.eq_ignore_ascii_case("application/problem+json")
        {
            json = json.max(quality);
        }
    }
    html > json
}

/// `0.85` to 850; what is no quality counts as 0.
fn thousandths(text: &str) -> u32 {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = format!("{decimals:0<3}");
    match (whole, decimals.get(..3).and_then(|digits| digits.parse::<u32>().ok())) {
        ("1", _) => 1_000,
        ("0", Some(thousandths)) => thousandths,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_wants_a_page_and_a_program_does_not() {
        assert!(prefers_html("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers_html("application/json;q=0.5, text/html;q=0.85"));
        for accept in [
            "*/*",
            "application/json",
            "application/json, text/html;q=0.9",
            "",
            "text/html;q=0",
            "text/html;q=\u{e9}",
        ] {
            assert!(!prefers_html(accept), "{accept}");
        }
    }
}
