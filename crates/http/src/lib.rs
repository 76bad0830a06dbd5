//! The edge: listener, the standard stack, handlers and extractors, OpenAPI.
