//! The edge through its public door: routers are called as services.

mod routing;
