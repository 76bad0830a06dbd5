//! rustls with ring: the only owner of client and server TLS configuration.
