//! One modular application: alone one binary, by configuration many nodes.
