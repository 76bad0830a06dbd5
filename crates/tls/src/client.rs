//! The side that connects: whom it trusts, and what it checks.

use std::path::PathBuf;
use std::sync::Arc;

use burgeon_core::{Error, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::{pem, ring};

/// Whose signature under a certificate is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Roots {
    /// The authorities the operating system trusts (on Debian the package `ca-certificates`; `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR` are honoured).
    #[default]
    System,
    /// The authorities in this PEM file, and nobody else: the right choice for a database with a CA of its own.
    File(PathBuf),
}

/// What of the other side's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Chain, dates and host name: Postgres' `verify-full`. The default.
    #[default]
    Full,
    /// Chain and dates, not the name: Postgres' `verify-ca`. Anybody with a certificate of that authority can be in
    /// the middle, so it is right only for a private authority.
    Authority,
    /// Nothing: Postgres' `require`. It keeps out who only listens; whoever stands in the middle reads everything.
    Nothing,
}

/// A client's configuration, without ALPN.
///
/// # Errors
/// [`Kind::Invalid`](burgeon_core::Kind::Invalid), naming the file, when it cannot be read or holds no certificate;
/// [`Kind::Unavailable`](burgeon_core::Kind::Unavailable) when the system trusts nobody.
pub fn client(roots: &Roots, verify: Verify) -> Result<Arc<ClientConfig>> {
    let provider = ring();
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?;
    let config = match verify {
        Verify::Full => builder.with_root_certificates(load(roots)?),
        Verify::Authority => {
            let full = WebPkiServerVerifier::builder_with_provider(Arc::new(load(roots)?), provider)
                .build()
                .map_err(Error::internal)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AuthorityOnly(full)))
        }
        Verify::Nothing => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(NothingAtAll(algorithms)))
        }
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// The same configuration, offering these protocols, the preferred one first: [`H2`](crate::H2),
/// [`HTTP_1_1`](crate::HTTP_1_1).
pub fn with_alpn(config: Arc<ClientConfig>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// The name (or address) of the other side, as its certificate must state it.
///
/// # Errors
/// [`Kind::Invalid`](burgeon_core::Kind::Invalid) when the text is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        Error::invalid(format!(
            "`{host}` is neither a host name nor an address, so no certificate can match it."
        ))
    })
}

fn load(roots: &Roots) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::File(path) => {
            for certificate in pem::certificates(path)? {
                store.add(certificate).map_err(|error| {
                    let refused =
                        format!("A certificate in {} cannot serve as an authority: {error}.", path.display());
                    Error::invalid(refused).with_source(error)
                })?;
            }
        }
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            // A system's list holds certificates of many ages; what cannot be read only means not to trust it.
            store.add_parsable_certificates(found.certs);
            if store.is_empty() {
                let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
                return Err(Error::unavailable(
                    "This system trusts no certificate authority. Install the package `ca-certificates`, or name a CA file.",
                )
                .with_source(errors.join("; ")));
            }
        }
    }
    Ok(store)
}

/// Everything but the name.
#[derive(Debug)]
struct AuthorityOnly(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AuthorityOnly {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The name is checked last, so whoever fails at the name has passed all else.
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Any certificate will do; the other side must still hold its key.
#[derive(Debug)]
struct NothingAtAll(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for NothingAtAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
