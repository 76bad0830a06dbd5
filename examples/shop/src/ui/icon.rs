//! Small drawings in the line of the text. Decoration: hidden from screen readers, which read the words beside them.

use burgeon::http::{HeaderName, HeaderValue, header};
use maud::{Markup, PreEscaped, html};

fn icon(paths: &'static str) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" { (PreEscaped(paths)) }
    }
}

pub(crate) fn search() -> Markup {
    icon(r#"<circle cx="11" cy="11" r="6.5"/><path d="m16 16 4.5 4.5"/>"#)
}

pub(crate) fn basket() -> Markup {
    icon(r#"<path d="M4 9h16l-1.6 10.2a1 1 0 0 1-1 .8H6.6a1 1 0 0 1-1-.8zM8.5 9 11 3.5M15.500 9 13 3.500"/>"#)
}

pub(crate) fn person() -> Markup {
    icon(r#"<circle cx="12" cy="8" r="4"/><path d="M4.500 20.500c.6-4 3.600-6 7.500-6s6.900 2 7.500 6"/>"#)
}

pub(crate) fn check() -> Markup {
    icon(r#"<path d="m5 12.500 4.500 4.500L19 7.500"/>"#)
}

pub(crate) fn van() -> Markup {
    icon(
        r#"<path d="M2.500 6h11v10h-11zM13.500 9.500h4l3.500 3.500v3h-7.500z"/><circle cx="7" cy="17.500" r="2"/><circle cx="17" cy="17.500" r="2"/>"#,
    )
}

pub(crate) fn receipt() -> Markup {
    icon(r#"<path d="M6 3.500h12v17l-3-2-3 2-3-2-3 2zM9 8.500h6M9 12.500h6"/>"#)
}

/// A wren on a twig.
pub(crate) fn mark() -> Markup {
    html! {
        svg.mark viewBox="0 0 32 32" aria-hidden="true" focusable="false" { (PreEscaped(WREN)) }
    }
}

const WREN: &str = r#"<path d="M3 10.500 8.200 9C9.600 6 12.600 4.800 15.300 6c2.200 1 3.300 2.900 3.700 5.200l6.600-7.600c.8 3 .3 6.400-1.500 9.300 0 6.400-4.600 10.700-10.400 10.700-4.800 0-7.600-3-7.600-7.200 0-1.800.6-3.300 1.500-4.600z" fill="currentColor"/><circle cx="11.300" cy="9.600" r="1.100" fill="var(--paper)"/><path d="M12.800 23v4.500M16 23v4.500M5 28h22" stroke="currentColor" stroke-width="1.700" stroke-linecap="round" fill="none"/>"#;

pub(super) async fn favicon() -> ([(HeaderName, HeaderValue); 2], String) {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400")),
    ];
    let wren = WREN.replace("currentColor", "#2c5545").replace("var(--paper)", "#fff");
    (headers, format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{wren}</svg>"#))
}
