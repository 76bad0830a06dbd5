//! The second tier: one suite over every store it may be in, and what each of them alone may suffer.

mod fence;
mod neighbours;
#[cfg(feature = "redis")]
mod outage;
mod shared;
mod sweeping;
#[cfg(feature = "redis")]
mod together;
mod versions;
mod yard;
