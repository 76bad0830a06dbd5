//! The names that many responses share, so that one word purges them: `Surrogate-Key` (between spaces) and `Cache-Tag`
//! (between commas), which caches in front read, too.

use http::{HeaderMap, HeaderName};

use super::config::Config;
use super::directives::TARGETS;

/// Tags between spaces.
pub const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Tags between commas.
pub const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");

/// Longer ones name nothing: Fastly's limit.
const LONGEST: usize = 1_024;
/// More are not read: Cloudflare's limit.
const MOST: usize = 1_000;

/// A response's tags, in both fields.
pub(super) fn of(headers: &HeaderMap) -> Vec<String> {
    let mut tags = Vec::new();
    for (name, sign) in [(SURROGATE_KEY, ' '), (CACHE_TAG, ',')] {
        for text in headers.get_all(name).iter().filter_map(|value| value.to_str().ok()) {
            tags.extend(
                text.split(sign)
                    .map(str::trim)
                    .filter(|tag| !tag.is_empty() && tag.len() <= LONGEST)
                    .map(str::to_owned),
            );
        }
    }
    tags.truncate(MOST);
    tags
}

/// Takes what is meant for this cache, and the tags unless they are to be shown, out of what goes out.
pub(super) fn hide(headers: &mut HeaderMap, config: &Config) {
    headers.remove(&TARGETS[0]);
    for name in [SURROGATE_KEY, CACHE_TAG] {
        if !config.shown_tags.contains(&name) {
            headers.remove(name);
        }
    }
}
