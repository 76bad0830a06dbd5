//! The database through its public door.

mod house;
mod statements;
