//! Things that start, become ready, drain and stop.
