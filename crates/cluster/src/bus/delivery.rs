//! What a listener gets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use burgeon_core::{Error, Result};
use bytes::Bytes;

use crate::NodeId;

/// What a listener hears.
#[derive(Debug, Clone, Copy)]
pub enum Delivery<'a> {
    /// Somebody said this.
    Message(&'a Message),
    /// Something was said that this node did not hear. What it knows from the bus alone may be out of date.
    Gap(Gap),
}

/// What somebody said.
#[derive(Debug, Clone)]
pub struct Message {
    /// Who, and which of its messages.
    pub stamp: Stamp,
    /// About what.
    pub topic: Arc<str>,
    /// What; at most 4 KiB.
    pub payload: Bytes,
    /// Whether this node said it.
    pub is_own: bool,
}

/// Why something was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// The link was down and is back.
    Reconnected,
    /// Messages of this node were lost, or it was not known before and has spoken already.
    Missed(NodeId),
    /// The listener's own queue was full.
    Overflowed,
}

/// Which message: who said it, and how many it had said by then, on all topics. Travels in tokens and replies, so that
/// another node can tell whether it has heard it ([`Bus::has_applied`](super::Bus::has_applied)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Who said it.
    pub node: NodeId,
    /// From 1; 0 is before everything.
    pub sequence: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.node, self.sequence)
    }
}

impl FromStr for Stamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = || {
            let (node, sequence) = text.split_once('-')?;
            Some(Stamp { node: node.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parts().ok_or_else(|| Error::invalid("not a stamp: expected NODE-NUMBER"))
    }
}
