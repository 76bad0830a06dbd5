//! What time it is, as cheaply as a hit can afford.

use tokio::time::Instant;

/// The clock that lifetimes are measured by: monotonic, in whole milliseconds.
///
/// The coarse one costs a few nanoseconds and lags by up to one tick of the kernel (1 to 10 ms), which no lifetime notices.
/// The exact one is tokio's, which tests can pause.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Source);

#[derive(Debug, Clone, Copy)]
enum Source {
    #[cfg(target_os = "linux")]
    Coarse,
    Tokio(Instant),
}

impl Clock {
    /// `CLOCK_MONOTONIC_COARSE` on Linux, and what [`exact`](Self::exact) is elsewhere.
    pub fn coarse() -> Self {
        #[cfg(target_os = "linux")]
        return Self(Source::Coarse);
        #[cfg(not(target_os = "linux"))]
        Self::exact()
    }

    /// tokio's clock, from now on.
    pub fn exact() -> Self {
        Self(Source::Tokio(Instant::now()))
    }

    /// Milliseconds since this clock's origin; never zero.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let millis = match self.0 {
            #[cfg(target_os = "linux")]
            Source::Coarse => {
                let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
                // Neither is negative: the clock counts from the start of the machine.
                time.tv_sec.unsigned_abs() * 1_000 + time.tv_nsec.unsigned_abs() / 1_000_000
            }
            Source::Tokio(origin) => u64::try_from(origin.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        millis.saturating_add(1)
    }
}
