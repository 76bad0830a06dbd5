//! The side that is connected to: its certificate and key.

use std::path::Path;
use std::sync::Arc;

use burgeon_core::{Error, Result};
use rustls::{InconsistentKeys, ServerConfig};

use crate::{H2, HTTP_1_1, pem, ring};

/// A server's configuration from two PEM files: the certificate, followed by those between it and the authority, and
/// its private key. It offers HTTP/2 and HTTP/1.1 (ALPN), TLS 1.3 and 1.2, and resumes sessions by tickets, whose
/// keys are this process's own and change every few hours.
///
/// # Errors
/// [`Kind::Invalid`](burgeon_core::Kind::Invalid), naming the file, when one cannot be read, holds something else, or
/// the key is not the certificate's.
pub fn server(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>> {
    let chain = pem::certificates(certificate)?;
    let secret = pem::private_key(key)?;
    let mut config = ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| refused(certificate, key, error))?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(Error::internal)?;
    Ok(Arc::new(config))
}

fn refused(certificate: &Path, key: &Path, error: rustls::Error) -> Error {
    let (certificate, key) = (certificate.display(), key.display());
    let why = match &error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "The private key in {key} does not belong to the first certificate in {certificate}. The server's own certificate must come first in the file."
        ),
        _ => {
            format!("The certificate in {certificate} and the private key in {key} cannot be used: {error}.")
        }
    };
    Error::invalid(why).with_source(error)
}
