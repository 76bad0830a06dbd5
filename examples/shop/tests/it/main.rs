//! The shop from outside: over HTTP, and by its binary.

mod bad_input;
mod binary;
mod browsing;
mod checkout;
mod moving;
mod prices;
mod replicas;
mod sales;
mod sharing;
mod signing_in;
mod statements;
mod stopping;
