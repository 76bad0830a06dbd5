//! The roof through its public door.

mod api;
