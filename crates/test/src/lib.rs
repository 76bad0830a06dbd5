//! An application under test: several nodes, both engines, a client with and without a socket.
