//! Sets of bytes, as the grammars of HTTP have them: looked up, not compared one by one.

/// Which of the 256 bytes belong.
pub(crate) struct Octets([bool; 256]);

impl Octets {
    /// Letters and digits of ASCII, and these symbols.
    pub(crate) const fn alphanumeric_and(symbols: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            table[byte] = (byte as u8).is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < symbols.len() {
            table[symbols[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    pub(crate) const fn has(&self, byte: u8) -> bool {
        self.0[byte as usize]
    }
}
