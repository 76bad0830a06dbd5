//! Free ports that stay ours.
//!
//! A port is taken from below the range the kernel uses for outgoing connections, and locked by a file, so that no
//! other test of this user gets it while its server is down between `stop` and `restart`.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};

use crate::error::{Error, Result};
use crate::template;

/// Linux hands out 32768 and above to outgoing connections, macOS 49152 and above.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// A loopback port that is this value's alone among all tests of this user, until it is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // Held, never read: the lock ends with the file.
    _lock: File,
}

impl Port {
    pub(crate) fn free() -> Result<Port> {
        let directory = template::common_directory()?.join("ports");
        std::fs::create_dir_all(&directory)
            .map_err(|error| Error::io(format!("creating {}", directory.display()), error))?;
        let width = u64::from(RANGE.end - RANGE.start);
        // The hasher's random keys are the one source of chance in std.
        let start = RandomState::new().hash_one(std::process::id()) % width;
        for step in 0..width {
            let number = RANGE.start + u16::try_from((start + step) % width).unwrap_or_default();
            let path = directory.join(number.to_string());
            let Ok(lock) = File::create(&path) else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Port { number, _lock: lock });
            }
        }
        Err(Error::new(format!(
            "no free port from {} to {} on 127.0.0.1 (or {} is not writable)",
            RANGE.start,
            RANGE.end,
            directory.display()
        )))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_handed_out_once_although_nobody_listens_on_it() {
        let ports: Vec<Port> = (0..50).map(|_| Port::free().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 50);
    }
}
