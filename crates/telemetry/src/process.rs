//! Meters of the process itself, under the standard names of Prometheus' client libraries. From `/proc`, so on Linux
//! only; what cannot be read is left out.

use std::fs;

use crate::prometheus::number;

pub(crate) fn render(text: &mut String) {
    let ticks_per_second = auxiliary(CLOCK_TICKS).unwrap_or(100) as f64;
    let page = auxiliary(PAGE_SIZE).unwrap_or(4096) as f64;

    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        let cpu = (stat.user + stat.system) as f64 / ticks_per_second;
        number(text, "process_cpu_seconds_total", "Processor time, user and system.", "counter", cpu);
        number(text, "process_threads", "Threads of the process.", "gauge", stat.threads as f64);
        number(text, "process_virtual_memory_bytes", "Address space.", "gauge", stat.virtual_bytes as f64);
        number(
            text,
            "process_resident_memory_bytes",
            "Memory in use.",
            "gauge",
            stat.resident_pages as f64 * page,
        );
        if let Some(boot) = boot_time() {
            let start = boot as f64 + stat.start as f64 / ticks_per_second;
            number(text, "process_start_time_seconds", "Start, in seconds since 1970.", "gauge", start);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the directory being read.
        let open = open.count().saturating_sub(1) as f64;
        number(text, "process_open_fds", "Open file descriptors.", "gauge", open);
    }
    if let Some(most) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(most_files) {
        number(text, "process_max_fds", "The most file descriptors it may open.", "gauge", most);
    }
}

#[derive(Debug, PartialEq)]
struct Stat {
    user: u64,
    system: u64,
    threads: u64,
    start: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// From `/proc/self/stat`, as proc(5) counts its fields from 1.
    fn parse(text: &str) -> Option<Self> {
        // The second field, the program's name in brackets, may hold spaces and brackets.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Some(Self {
            user: field(14)?,
            system: field(15)?,
            threads: field(20)?,
            start: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// Seconds since 1970 at which the machine started.
fn boot_time() -> Option<u64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

const PAGE_SIZE: usize = 6;
const CLOCK_TICKS: usize = 17;

/// What the kernel told this process at its start: getauxval(3), read from a file because the call needs unsafe code.
fn auxiliary(key: usize) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    let vector = fs::read("/proc/self/auxv").ok()?;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    vector
        .chunks_exact(2 * WORD)
        .find(|pair| word(&pair[..WORD]) == Some(key))
        .and_then(|pair| word(&pair[WORD..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_name_is_hostile_is_read_all_the_same() {
        let text = "42 (a) 7 (b) S 1 1 1 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 12345 1048576 256 18446744073709551615";
        let stat = Stat::parse(text).unwrap();
        let expected = Stat {
            user: 250,
            system: 50,
            threads: 9,
            start: 12345,
            virtual_bytes: 1_048_576,
            resident_pages: 256,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("nonsense"), None);
    }

    #[test]
    fn limits_are_read_and_unlimited_is_left_out() {
        assert_eq!(
            most_files("Limit\nMax open files            1024                 4096                 files\n"),
            Some(1024.0)
        );
        assert_eq!(
            most_files("Max open files            unlimited            unlimited            files\n"),
            None
        );
    }
}
