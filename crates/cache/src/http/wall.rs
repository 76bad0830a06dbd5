//! The calendar's clock, for dates in headers: HTTP writes `Date` and `Expires` in it, and nothing else here reads it.

use tokio::time::Instant;

/// Where seconds since 1970 come from.
#[derive(Debug, Clone, Copy)]
pub struct Wall(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    System,
    From { began_at: i64, origin: Instant },
}

impl Wall {
    /// The machine's.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// One that showed this second just now and goes on with tokio's clock, which tests can pause.
    pub fn starting_at(second: i64) -> Self {
        Self(Source::From { began_at: second, origin: Instant::now() })
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> i64 {
        match self.0 {
            Source::System => jiff::Timestamp::now().as_second(),
            Source::From { began_at, origin } => {
                began_at.saturating_add(i64::try_from(origin.elapsed().as_secs()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// The date of a field, in any of the three forms that HTTP knows, and in any case (RFC 9111, 4.2).
pub(super) fn parse(date: &http::HeaderValue) -> Option<i64> {
    let text = date.to_str().ok()?;
    let time =
        httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&as_usual(text))).ok()?;
    // Nothing in HTTP is older than 1970.
    i64::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
}

/// Names with one capital, and GMT with three.
fn as_usual(date: &str) -> String {
    let mut is_first = true;
    let letters = date.chars().map(|letter| {
        let first = std::mem::replace(&mut is_first, !letter.is_ascii_alphabetic());
        if first { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    });
    letters.collect::<String>().replace("Gmt", "GMT")
}

/// A date for a field.
pub(super) fn write(second: i64) -> Option<http::HeaderValue> {
    let since = std::time::Duration::from_secs(u64::try_from(second).ok()?);
    let text = httpdate::fmt_http_date(std::time::UNIX_EPOCH.checked_add(since)?);
    http::HeaderValue::from_str(&text).ok()
}
