//! How far a reader must have come to see what was written: the causal position.
//!
//! A commit on Postgres yields the log position behind it. It travels with the request, the session, jobs, events
//! and cache fills; a replica that has not replayed it is not asked. On SQLite it stays [`Position::START`]:
//! there is one file, and every reader sees every commit.

use std::fmt;
use std::str::FromStr;

/// A point in the database's write-ahead log: timeline first, then byte position.
///
/// Ordered so that a later timeline is greater than an earlier one whatever the bytes say; whether bytes of
/// different timelines may be compared is for the router to decide, which knows the switch points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Raised by every promotion.
    pub timeline: u32,
    /// Postgres's LSN.
    pub lsn: u64,
}

/// The text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePositionError;

impl fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a position: expected TIMELINE:HIGH/LOW with hexadecimal HIGH/LOW, such as 1:16/B374D848",
        )
    }
}

impl std::error::Error for ParsePositionError {}

impl Position {
    /// Before everything: any reader will do.
    pub const START: Position = Position { timeline: 0, lsn: 0 };

    /// The later of the two.
    #[must_use]
    pub fn join(self, other: Position) -> Position {
        self.max(other)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:X}/{:X}", self.timeline, self.lsn >> 32, self.lsn & 0xffff_ffff)
    }
}

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let parts = || {
            let (timeline, lsn) = text.split_once(':')?;
            let (high, low) = lsn.split_once('/')?;
            let high = u32::from_str_radix(high, 16).ok()?;
            let low = u32::from_str_radix(low, 16).ok()?;
            Some(Position { timeline: timeline.parse().ok()?, lsn: u64::from(high) << 32 | u64::from(low) })
        };
        parts().ok_or(ParsePositionError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_survives_its_text(timeline: u32, lsn: u64) {
            let position = Position { timeline, lsn };
            prop_assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }

        #[test]
        fn a_join_is_at_least_both(a: (u32, u64), b: (u32, u64)) {
            let a = Position { timeline: a.0, lsn: a.1 };
            let b = Position { timeline: b.0, lsn: b.1 };
            prop_assert!(a.join(b) >= a && a.join(b) >= b && a.join(b) == b.join(a));
        }

        #[test]
        fn nonsense_is_refused(text in "\\PC*") {
            if let Ok(position) = text.parse::<Position>() {
                prop_assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
            }
        }
    }
}
