//! Which node: a number of its own for each start of a process.

use std::fmt;
use std::str::FromStr;

use burgeon_core::{Error, Result};

/// A node, from its start to its end. 128 random bits: not a host name, which a restarted process would share with the
/// one that is still dying.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u128);

impl NodeId {
    /// A new one, from the system's generator.
    ///
    /// # Errors
    /// [`Kind::Internal`](burgeon_core::Kind::Internal) when the system has no randomness to give.
    pub fn draw() -> Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            Error::internal("the system has no random number for the node's id").with_source(error)
        })?;
        Ok(Self(u128::from_le_bytes(bytes)))
    }

    /// The node of this number: from a message, a row, a token.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Its number.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({:08x})", self.0 >> 96)
    }
}

impl FromStr for NodeId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The parser alone would take a sign too.
        let is_plain = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(bits) if is_plain => Ok(Self(bits)),
            _ => Err(Error::invalid("not a node: expected 32 hexadecimal digits")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_survives_its_text_and_no_two_are_the_same() {
        let node = NodeId::draw().unwrap();
        assert_eq!(node.to_string().parse::<NodeId>().unwrap(), node);
        assert_ne!(NodeId::draw().unwrap(), node);
        assert!("1".parse::<NodeId>().is_err());
        assert!("+0000000000000000000000000000001".parse::<NodeId>().is_err());
    }
}
