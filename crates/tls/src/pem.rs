//! Reads certificates and keys, with errors that name the file and say what to do.

use std::path::Path;

use burgeon_core::{Error, Result};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificates of a file; at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let text = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(path, "a certificate", error))?;
    if found.is_empty() {
        let hint = if PrivateKeyDer::from_pem_slice(&text).is_ok() {
            "It holds a private key: are certificate and key swapped?"
        } else {
            "It must be PEM: `-----BEGIN CERTIFICATE-----`."
        };
        return Err(Error::invalid(format!("There is no certificate in {}. {hint}", path.display())));
    }
    Ok(found)
}

/// The private key of a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let text = read(path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            let hint = if CertificateDer::pem_slice_iter(&text).next().is_some() {
                "It holds a certificate: are certificate and key swapped?"
            } else if text.windows(9).any(|word| word == b"ENCRYPTED") {
                "It is encrypted: write it without a passphrase, readable by this process alone."
            } else {
                "It must be PEM: `-----BEGIN PRIVATE KEY-----`."
            };
            Error::invalid(format!("There is no private key in {}. {hint}", path.display()))
        }
        error => broken(path, "the private key", error),
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::invalid(format!("Cannot read {}: {error}.", path.display())).with_source(error)
    })
}

fn broken(path: &Path, what: &str, error: pem::Error) -> Error {
    Error::invalid(format!("Cannot read {what} in {}: {error}.", path.display())).with_source(error)
}
