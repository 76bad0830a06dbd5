//! Who waits and who is served when there is not enough for all (the four classes of Google's SRE book, ch. 21).

use std::fmt;
use std::str::FromStr;

/// How much it matters that this request is served. Ordered: greater is served first.
///
/// Default: [`Critical`](Self::Critical), because a request that nobody classified is a user waiting.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Criticality {
    /// May be refused any time and will be tried again: prefetches, batch work.
    Sheddable = 0,
    /// Partial unavailability is expected: background refreshes, crawlers.
    SheddablePlus = 1,
    /// A user waits for it.
    #[default]
    Critical = 2,
    /// Users notice at once and money is lost: checkout, sign-in.
    CriticalPlus = 3,
}

impl Criticality {
    /// Every class, least critical first.
    pub const ALL: [Criticality; 4] = [
        Criticality::Sheddable,
        Criticality::SheddablePlus,
        Criticality::Critical,
        Criticality::CriticalPlus,
    ];

    /// `sheddable`, `sheddable_plus`, `critical`, `critical_plus`.
    pub const fn name(self) -> &'static str {
        match self {
            Criticality::Sheddable => "sheddable",
            Criticality::SheddablePlus => "sheddable_plus",
            Criticality::Critical => "critical",
            Criticality::CriticalPlus => "critical_plus",
        }
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Criticality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = text.trim().to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|class| class.name() == wanted)
            .ok_or_else(|| "expected one of sheddable, sheddable_plus, critical, critical_plus".to_owned())
    }
}
