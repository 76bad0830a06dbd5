//! TLS on the same server: both protocols by negotiation, and no handshake without an end.

use burgeon_core::Error;
use burgeon_http::{Config, Server, Tls};
use burgeon_tls::{ClientStream, Roots, ServerName, TlsConnector};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::serving::{Served, echo, quick, rest};

/// A certificate for `localhost` that is its own root, and a configuration that serves it.
fn certified(folder: &tempfile::TempDir) -> Config {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    Config { tls: Tls { certificate, key }, ..quick() }
}

async fn connect(served: &Served, config: &Config, protocol: &[u8]) -> ClientStream<TcpStream> {
    let roots = Roots::File(config.tls.certificate.clone());
    let client = burgeon_tls::client(&roots, burgeon_tls::Verify::Full).unwrap();
    let connector = TlsConnector::from(burgeon_tls::with_alpn(client, &[protocol]));
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, served.connect().await).await.unwrap()
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the client's connection needs a task")]
async fn both_protocols_are_spoken_under_tls_as_negotiated() {
    let folder = tempfile::tempdir().unwrap();
    let config = certified(&folder);
    let served = Served::start(&config, |request, connection| {
        assert!(connection.is_tls());
        echo(request)
    });

    let mut stream = connect(&served, &config, b"http/1.1").await;
    stream.write_all(b"GET /one HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("GET /one 0"), "{answer}");

    let io = TokioIo::new(connect(&served, &config, b"h2").await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::post("https://localhost/two").body(Full::new(Bytes::from_static(b"abc"))).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), Version::HTTP_2);
    assert_eq!(response.collect().await.unwrap().to_bytes(), "POST /two 3");
    drop(sender);
    connection.await.unwrap().unwrap();
    served.stop().await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_and_plain_text_are_both_ended() {
    let folder = tempfile::tempdir().unwrap();
    let config = certified(&folder);
    let served = Served::start(&config, |request, _| echo(request));
    for says in ["", "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"] {
        let mut stream = served.connect().await;
        stream.write_all(says.as_bytes()).await.unwrap();
        // Which says so if it is not ended.
        rest(&mut stream).await;
    }
    served.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_named() {
    let tls = Tls { certificate: "/nowhere/cert.pem".into(), key: "/nowhere/key.pem".into() };
    let refused: Result<Server, Error> = Server::bind(&Config { tls, ..quick() });
    let Err(error) = refused else { panic!("served without a certificate") };
    assert!(error.to_string().contains("/nowhere/cert.pem"), "{error}");
}
