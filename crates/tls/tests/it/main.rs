//! Tests of the crate through its public door, with certificates made for each test.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burgeon_core::Kind;
use burgeon_tls::{
    ClientConfig, H2, HTTP_1_1, Roots, ServerConfig, TlsAcceptor, TlsConnector, Verify, client, server,
    server_name, with_alpn,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// An authority, and the directory its files are in.
struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key), file }
    }

    fn roots(&self) -> Roots {
        Roots::File(self.file.clone())
    }

    /// The files of a certificate for `host`, valid until `year`, and its key.
    fn certificate(&self, host: &str, year: i32) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (
            self.write(&format!("{host}.pem"), &certificate.pem()),
            self.write(&format!("{host}.key"), &key.serialize_pem()),
        )
    }

    fn server(&self, host: &str, year: i32) -> Arc<ServerConfig> {
        let (certificate, key) = self.certificate(host, year);
        server(&certificate, &key).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Says hello both ways; the protocol agreed on, or why the client refused.
async fn talk(
    client: Arc<ClientConfig>,
    host: &str,
    server: Arc<ServerConfig>,
) -> Result<Option<Vec<u8>>, String> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let serving = async move {
        let mut stream = TlsAcceptor::from(server).accept(far).await.ok()?;
        let mut greeting = [0; 5];
        stream.read_exact(&mut greeting).await.ok()?;
        stream.write_all(&greeting).await.ok()?;
        stream.shutdown().await.ok()
    };
    let calling = async move {
        let mut stream = TlsConnector::from(client).connect(server_name(host).unwrap(), near).await?;
        stream.write_all(b"hello").await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"hello");
        Ok(stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec))
    };
    let (_, called) = tokio::join!(serving, calling);
    called.map_err(|error: std::io::Error| error.to_string())
}

#[tokio::test]
async fn the_right_authority_is_trusted_and_the_protocol_negotiated() {
    burgeon_tls::install();
    burgeon_tls::install();
    let authority = Authority::new();
    let server = authority.server("db.example.com", 2100);
    let client = client(&authority.roots(), Verify::Full).unwrap();
    assert_eq!(talk(client.clone(), "db.example.com", server.clone()).await, Ok(None));
    let both = with_alpn(client.clone(), &[H2, HTTP_1_1]);
    assert_eq!(talk(both, "db.example.com", server.clone()).await, Ok(Some(H2.to_vec())));
    let old = with_alpn(client, &[HTTP_1_1]);
    assert_eq!(talk(old, "db.example.com", server).await, Ok(Some(HTTP_1_1.to_vec())));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused_unless_only_the_authority_counts() {
    let authority = Authority::new();
    let server = authority.server("db.example.com", 2100);
    let full = client(&authority.roots(), Verify::Full).unwrap();
    let refused = talk(full, "evil.example.com", server.clone()).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    let lenient = client(&authority.roots(), Verify::Authority).unwrap();
    assert_eq!(talk(lenient, "evil.example.com", server).await, Ok(None));
}

#[tokio::test]
async fn an_unknown_authority_is_refused_unless_nothing_is_checked() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let server = theirs.server("db.example.com", 2100);
    for verify in [Verify::Full, Verify::Authority] {
        let client = client(&ours.roots(), verify).unwrap();
        let refused = talk(client, "db.example.com", server.clone()).await.unwrap_err();
        assert!(
            refused.contains("UnknownIssuer") || refused.contains("BadSignature"),
            "{verify:?}: {refused}"
        );
    }
    let blind = client(&ours.roots(), Verify::Nothing).unwrap();
    assert_eq!(talk(blind, "db.example.com", server).await, Ok(None));
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let server = authority.server("db.example.com", 2001);
    for verify in [Verify::Full, Verify::Authority] {
        let client = client(&authority.roots(), verify).unwrap();
        let refused = talk(client, "db.example.com", server.clone()).await.unwrap_err();
        assert!(refused.contains("expired"), "{verify:?}: {refused}");
    }
}

#[tokio::test]
async fn an_address_can_be_certified_like_a_name() {
    let authority = Authority::new();
    let server = authority.server("127.0.0.1", 2100);
    let client = client(&authority.roots(), Verify::Full).unwrap();
    assert_eq!(talk(client, "127.0.0.1", server).await, Ok(None));
    assert_eq!(server_name("not a host").unwrap_err().kind(), Kind::Invalid);
}

#[test]
fn what_cannot_be_used_is_refused_with_the_files_name_and_a_hint() {
    let authority = Authority::new();
    let (certificate, key) = authority.certificate("a.example.com", 2100);
    let (_, other_key) = authority.certificate("b.example.com", 2100);
    let empty = authority.write("empty.pem", "");
    let torn = authority.write("torn.pem", "-----BEGIN CERTIFICATE-----\nMIIB");
    let locked = authority.write(
        "locked.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let missing = Path::new("/nonexistent/cert.pem");

    for (certificate, key, file, why) in [
        (missing, key.as_path(), missing, "No such file"),
        (&certificate, missing, missing, "No such file"),
        (&empty, &key, &empty, "no certificate"),
        (&torn, &key, &torn, "Cannot read a certificate"),
        (&certificate, &empty, &empty, "no private key"),
        (&certificate, &locked, &locked, "encrypted"),
        (&key, &certificate, &key, "swapped"),
        (&certificate, &certificate, &certificate, "swapped"),
        (&certificate, &other_key, &other_key, "does not belong"),
    ] {
        let error = server(certificate, key).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        let said = error.public();
        assert!(said.contains(why) && said.contains(&file.display().to_string()), "wanted `{why}`: {said}");
    }

    for (file, why) in [(missing, "No such file"), (&empty, "no certificate"), (&key, "swapped")] {
        let error = client(&Roots::File(file.to_owned()), Verify::Full).unwrap_err();
        assert!(error.public().contains(why), "{error}");
    }
    let garbage =
        authority.write("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let error = client(&Roots::File(garbage), Verify::Full).unwrap_err();
    assert!(error.public().contains("cannot serve as an authority"), "{error}");
}

#[test]
fn the_systems_authorities_are_found_or_their_absence_is_explained() {
    match client(&Roots::System, Verify::Full) {
        Ok(_) => {}
        Err(error) => assert!(error.public().contains("ca-certificates"), "{error}"),
    }
}
