//! What a table's rows come to: how many, and a sum over them that does not depend on their order.
//!
//! Each row is hashed (SHA-256, its first 128 bits) and the hashes are added. A sum, not an exclusive-or: the same row
//! twice must not cancel out. It guards against mistakes, not against somebody who makes rows to fit.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A count and a checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) rows: u64,
    sum: u128,
}

/// One row on its way into a digest: its fields, each with its length before it.
#[derive(Default)]
pub(super) struct RowText(Vec<u8>);

impl RowText {
    /// A field that is NULL.
    pub(super) fn null(&mut self) {
        self.0.push(0);
    }

    /// A field in its canonical text.
    pub(super) fn field(&mut self, canonical: &[u8]) {
        self.0.push(1);
        self.0.extend_from_slice(&(canonical.len() as u64).to_le_bytes());
        self.0.extend_from_slice(canonical);
    }
}

impl Digest {
    /// Adds the row, and makes room for the next.
    pub(super) fn add(&mut self, row: &mut RowText) {
        let hash = Sha256::digest(&row.0);
        let mut first = [0; 16];
        first.copy_from_slice(&hash[..16]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(first));
        self.rows += 1;
        row.0.clear();
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[&[Option<&str>]]) -> Digest {
        let mut digest = Digest::default();
        let mut text = RowText::default();
        for row in rows {
            for field in *row {
                match field {
                    Some(field) => text.field(field.as_bytes()),
                    None => text.null(),
                }
            }
            digest.add(&mut text);
        }
        digest
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let (a, b): (&[_], &[_]) = (&[Some("x"), None], &[Some("y"), Some("")]);
        assert_eq!(of(&[a, b]), of(&[b, a]));
        assert_ne!(of(&[a, b]), of(&[a, a]));
        assert_ne!(of(&[a, a]), of(&[]));
        assert_ne!(of(&[&[Some("xy"), Some("")]]), of(&[&[Some("x"), Some("y")]]));
        assert_ne!(of(&[&[None]]), of(&[&[Some("")]]));
    }
}
