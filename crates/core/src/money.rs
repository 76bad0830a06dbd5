//! Money as an integer: ten-thousandths of the currency's unit, so that sums are exact.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

/// An amount in 1/10,000 of the currency's unit, at most about ±922 trillion units.
///
/// Four decimals hold every real shop's unit price (fuel, screws, foreign exchange margins) without a fraction type.
/// The currency itself is the application's business. Arithmetic is checked: money never wraps and never rounds
/// unless a method with `round` in its name is asked to.
///
/// In JSON and on pages it is text with at least two decimals (`"2.55"`, `"0.001"`), because a JSON number would
/// pass through a float in most readers. In the database it is a 64-bit integer.
///
/// ```
/// use burgeon_core::Money;
///
/// let price: Money = "2.55".parse().unwrap();
/// let line = price.checked_mul(6).unwrap();
/// assert_eq!(line.to_string(), "15.30");
/// assert_eq!(line.raw(), 153_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

/// The text is not an amount of at most four decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseMoneyError;

impl fmt::Display for ParseMoneyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an amount of money: expected digits with at most four decimals, such as 12.50")
    }
}

impl std::error::Error for ParseMoneyError {}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);
    /// How many raw units make one unit of the currency.
    pub const SCALE: i64 = 10_000;

    /// From ten-thousandths.
    pub const fn from_raw(raw: i64) -> Self {
        Self(raw)
    }

    /// From hundredths: pennies, cents. `None` beyond the range.
    pub const fn from_cents(cents: i64) -> Option<Self> {
        match cents.checked_mul(Self::SCALE / 100) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }

    /// Ten-thousandths.
    pub const fn raw(self) -> i64 {
        self.0
    }

    /// The sum, or `None` beyond the range.
    pub fn checked_add(self, other: Money) -> Option<Money> {
        self.0.checked_add(other.0).map(Money)
    }

    /// The difference, or `None` beyond the range.
    pub fn checked_sub(self, other: Money) -> Option<Money> {
        self.0.checked_sub(other.0).map(Money)
    }

    /// This amount so many times, or `None` beyond the range.
    pub fn checked_mul(self, times: i64) -> Option<Money> {
        self.0.checked_mul(times).map(Money)
    }

    /// Rounded to whole hundredths, halves away from zero (commercial rounding).
    pub fn round_half_up(self) -> Money {
        const CENT: i64 = Money::SCALE / 100;
        let rest = self.0 % CENT;
        let down = self.0 - rest;
        let up = if rest.abs() * 2 >= CENT { CENT * rest.signum() } else { 0 };
        Money(down.saturating_add(up))
    }

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let raw = self.0.unsigned_abs();
        let scale = Self::SCALE.unsigned_abs();
        let (units, rest) = (raw / scale, raw % scale);
        let text = match rest {
            _ if rest % 100 == 0 => format!("{sign}{units}.{:02}", rest / 100),
            _ if rest % 10 == 0 => format!("{sign}{units}.{:03}", rest / 10),
            _ => format!("{sign}{units}.{rest:04}"),
        };
        f.pad(&text)
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (units, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        // "12." and ".5" are typing errors more often than amounts.
        let dangling = digits.contains('.') && decimals.is_empty();
        if units.is_empty() || dangling || decimals.len() > 4 || !numeric(units) || !numeric(decimals) {
            return Err(ParseMoneyError);
        }
        let mut raw: i128 = units.parse().map_err(|_| ParseMoneyError)?;
        for place in 0..4 {
            let digit = decimals.as_bytes().get(place).map_or(0, |byte| byte - b'0');
            raw = raw.checked_mul(10).ok_or(ParseMoneyError)? + i128::from(digit);
        }
        let signed = if negative { -raw } else { raw };
        i64::try_from(signed).map(Money).map_err(|_| ParseMoneyError)
    }
}

impl Sum for Money {
    /// # Panics
    /// When the sum leaves the range, as an integer sum would; use [`checked_add`](Money::checked_add) on untrusted input.
    fn sum<I: Iterator<Item = Money>>(amounts: I) -> Money {
        Money(amounts.map(|amount| amount.0).sum())
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_amount_survives_its_text(raw: i64) {
            prop_assert_eq!(Money(raw).to_string().parse::<Money>(), Ok(Money(raw)));
        }

        #[test]
        fn rounding_moves_by_at_most_half_a_cent(raw in -1_000_000_000i64..1_000_000_000) {
            let rounded = Money(raw).round_half_up();
            prop_assert_eq!(rounded.0 % 100, 0);
            prop_assert!((rounded.0 - raw).abs() <= 50);
        }

        #[test]
        fn text_that_is_no_amount_is_refused_without_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Money>();
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        assert_eq!(Money(150).round_half_up(), Money(200));
        assert_eq!(Money(-150).round_half_up(), Money(-200));
        assert_eq!(Money(149).round_half_up(), Money(100));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-", ".", "1.", ".5", "1.23456", "1,5", "+1", "1e3", " 1", "99999999999999999999"] {
            assert_eq!(text.parse::<Money>(), Err(ParseMoneyError), "{text}");
        }
        assert_eq!("0.001".parse(), Ok(Money(10)));
        assert_eq!("-11062.06".parse(), Ok(Money(-110_620_600)));
    }
}
