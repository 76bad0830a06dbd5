//! How far a node must have heard the others to serve a reader: the causal position on the bus.
//!
//! Whoever changes something tells the other nodes by a message. A mark names that message; it travels with the request and
//! its client beside the [`Position`](crate::Position), so that a node that has not heard it yet knows that what it keeps in
//! memory may be older than what this reader has done. A node without neighbours makes no marks.

use std::fmt;
use std::str::FromStr;

/// One message of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// Which node: its number on the bus, drawn at its start.
    pub node: u128,
    /// How many messages it had said by then.
    pub sequence: u64,
}

/// The latest message of each of a few nodes, the ones heard of last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(Vec<Mark>);

/// The text is no list of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseMarksError;

impl Marks {
    /// More nodes than a client writes to within the seconds in which a message may be under way. Of more, those marked
    /// last count.
    pub const MOST: usize = 8;

    /// None.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Notes the message. Never forgets a later one of the same node. Answers whether it said anything new.
    pub fn add(&mut self, mark: Mark) -> bool {
        let known = self.0.iter().position(|known| known.node == mark.node);
        if let Some(known) = known {
            if self.0[known].sequence >= mark.sequence {
                return false;
            }
            self.0.remove(known);
        } else if self.0.len() == Self::MOST {
            self.0.remove(0);
        }
        self.0.push(mark);
        true
    }

    /// Each, the one marked last at the end.
    pub fn iter(&self) -> impl Iterator<Item = Mark> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Mark { node, sequence }) in self.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{node:x}-{sequence}")?;
        }
        Ok(())
    }
}

impl FromStr for Marks {
    type Err = ParseMarksError;

    fn from_str(text: &str) -> Result<Self, ParseMarksError> {
        let mut marks = Self::none();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (node, sequence) = part.split_once('-').ok_or(ParseMarksError)?;
            marks.add(Mark {
                node: u128::from_str_radix(node, 16).map_err(|_| ParseMarksError)?,
                sequence: sequence.parse().map_err(|_| ParseMarksError)?,
            });
        }
        Ok(marks)
    }
}

impl fmt::Display for ParseMarksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not marks: expected NODE-NUMBER,NODE-NUMBER with hexadecimal nodes")
    }
}

impl std::error::Error for ParseMarksError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_survive_their_text_and_only_grow(said in proptest::collection::vec((0_u128..12, 0_u64..40), 0..40)) {
            let mut marks = Marks::none();
            for (node, sequence) in said {
                let before = marks.clone();
                let mark = Mark { node: node << 90, sequence };
                let is_new = marks.add(mark);
                prop_assert_eq!(is_new, marks != before);
                prop_assert!(marks.iter().any(|known| known.node == mark.node && known.sequence >= sequence));
                prop_assert!(marks.iter().count() <= Marks::MOST);
                prop_assert_eq!(&marks.to_string().parse::<Marks>().unwrap(), &marks);
            }
        }

        #[test]
        fn nonsense_is_refused_or_survives(text in "\\PC*") {
            if let Ok(marks) = text.parse::<Marks>() {
                prop_assert_eq!(marks.to_string().parse::<Marks>().unwrap(), marks);
            }
        }
    }

    #[test]
    fn of_too_many_nodes_those_marked_last_are_kept() {
        let mut marks = Marks::none();
        for node in 0..20 {
            marks.add(Mark { node, sequence: 1 });
        }
        let nodes: Vec<u128> = marks.iter().map(|mark| mark.node).collect();
        assert_eq!(nodes, [12, 13, 14, 15, 16, 17, 18, 19]);
    }
}
