//! rustls with ring: the only owner of client and server TLS configuration.
//!
//! What this is: [`client`] and [`server`], which make configurations from what an operator writes down (a CA file,
//! a certificate, a key), and the names of the streams, so that nobody else names rustls. What it is not: a way to
//! get or renew certificates. A new certificate is read at the next start.
//!
//! # Invariants
//! - The cryptography is ring's, in every configuration made here, whatever else is linked into the program. Two
//!   providers and no choice between them would be a panic at run time.
//! - A certificate is checked in full (chain, dates, host name) unless the caller says otherwise with a word that
//!   can be searched for.
//! - Whatever cannot be used is refused here, at start, with the file's name; never at the first handshake.
//!
//! ```no_run
//! # async fn example(tcp: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
//! use burgeon_tls::{Roots, TlsConnector, Verify, client, server_name};
//!
//! let config = client(&Roots::File("/etc/ssl/our-ca.pem".into()), Verify::Full)?;
//! let stream = TlsConnector::from(config).connect(server_name("db.example.com")?, tcp).await?;
//! # Ok(())
//! # }
//! ```

mod client;
mod pem;
mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use client::{Roots, Verify, client, server_name, with_alpn};
pub use rustls::pki_types::ServerName;
pub use rustls::{ClientConfig, ServerConfig};
pub use server::server;
pub use tokio_rustls::client::TlsStream as ClientStream;
pub use tokio_rustls::server::TlsStream as ServerStream;
pub use tokio_rustls::{Accept, Connect, TlsAcceptor, TlsConnector};

/// HTTP/2 in the negotiation of protocols (ALPN, RFC 7301).
pub const H2: &[u8] = b"h2";
/// HTTP/1.1 in the negotiation of protocols.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// Makes ring the provider of libraries that ask rustls for its default. Configurations made here need it not. Call it
/// first thing in a program; calling it again, or after somebody else did the like, changes nothing.
pub fn install() {
    // An error says that there is a default already, which nothing can replace.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
