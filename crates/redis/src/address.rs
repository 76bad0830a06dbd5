//! Where the server is and as whom it is spoken to, taken from a URL.
//!
//! Nothing here prints the URL: a password never reaches a message, also when it is the password that is malformed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use burgeon_core::Secret;
use burgeon_tls::{Roots, TlsConnector, Verify, server_name};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::Config;

/// What the URL says.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: Address,
    pub(crate) is_encrypted: bool,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) database: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

/// An open stream, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Target {
    /// Takes the URL apart. The error is a sentence without any part of the URL in it.
    pub(crate) fn parse(url: &Secret) -> Result<Self, String> {
        let url = url.expose();
        if let Some(path) = url.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                return Err("it names no socket; write unix:/run/redis/redis.sock".to_owned());
            }
            return Ok(Self {
                address: Address::Unix(path.into()),
                is_encrypted: false,
                user: String::new(),
                password: Secret::new(""),
                database: 0,
            });
        }
        let (is_encrypted, rest) = match (url.strip_prefix("redis://"), url.strip_prefix("rediss://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => {
                return Err(
                    "it must begin with redis://, rediss:// (TLS) or unix:, such as redis://:password@host:6379"
                        .to_owned(),
                );
            }
        };
        if rest.contains(['?', '#']) {
            return Err(
                "it has a `?` or `#`: settings are keys of their own; in a password write %3F or %23"
                    .to_owned(),
            );
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.matches('@').count() > 1 {
            return Err("it has more than one `@`: write the one in the user or password as %40".to_owned());
        }
        let (credentials, server) = authority.split_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        if !user.is_empty() && password.is_empty() {
            return Err("it has a user and no password; a password alone is written redis://:password@host"
                .to_owned());
        }
        let (host, port) = host_and_port(server)?;
        Ok(Self {
            address: Address::Tcp { host, port },
            is_encrypted,
            user: decoded(user, "user")?,
            password: Secret::new(decoded(password, "password")?),
            database: match path.trim_end_matches('/') {
                "" => 0,
                number => number
                    .parse()
                    .ok()
                    .filter(|number| *number >= 0)
                    .ok_or("what follows the host's `/` must be the number of a database, such as 0")?,
            },
        })
    }

    /// Opens a stream to the server.
    pub(crate) async fn open(&self, tls: Option<&TlsConnector>) -> io::Result<Box<dyn Stream>> {
        match &self.address {
            Address::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A call is one small write, and its answer is waited for.
                stream.set_nodelay(true)?;
                match tls {
                    None => Ok(Box::new(stream)),
                    Some(connector) => {
                        let name = server_name(host).map_err(io::Error::other)?;
                        Ok(Box::new(connector.connect(name, stream).await?))
                    }
                }
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::Error::other("there are no such sockets on this system")),
        }
    }

    /// What encrypts the stream, if anything does. Read once: a CA file that is not there is found at start.
    pub(crate) fn tls(&self, config: &Config) -> burgeon_core::Result<Option<TlsConnector>> {
        if !self.is_encrypted {
            return Ok(None);
        }
        let roots = match config.ca_file.as_os_str().is_empty() {
            true => Roots::System,
            false => Roots::File(config.ca_file.clone()),
        };
        Ok(Some(burgeon_tls::client(&roots, Verify::Full)?.into()))
    }
}

fn host_and_port(server: &str) -> Result<(String, u16), String> {
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("an address in `[` lacks its `]`")?;
            (host, after.strip_prefix(':').unwrap_or(after))
        }
        None => server.split_once(':').unwrap_or((server, "")),
    };
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    let port = match port {
        "" => 6_379,
        port => port.parse().map_err(|_| {
            "its port is no number from 1 to 65535 (a `:`, `/` or `@` in a password is written %3A, %2F, %40)"
        })?,
    };
    Ok((decoded(host, "host")?, port))
}

fn decoded(text: &str, what: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("its {what} is not UTF-8 once decoded"))
}

/// For messages: where, never as whom.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(&Secret::new(url))
    }

    #[test]
    fn a_url_says_where_and_as_whom() {
        let all = parse("rediss://ann:p%40ss%3A@cache.example.com:7000/3").unwrap();
        assert!(all.is_encrypted);
        assert_eq!((all.user.as_str(), all.password.expose(), all.database), ("ann", "p@ss:", 3));
        assert_eq!(all.address.to_string(), "cache.example.com:7000");
        let least = parse("redis://localhost").unwrap();
        assert!(!least.is_encrypted && least.user.is_empty() && least.password.is_empty());
        assert_eq!(least.address.to_string(), "localhost:6379");
        assert_eq!(parse("redis://:secret@[::1]:1").unwrap().address.to_string(), "[::1]:1");
        assert_eq!(parse("unix:/run/redis.sock").unwrap().address.to_string(), "/run/redis.sock");
    }

    #[test]
    fn a_malformed_url_is_explained_and_not_repeated() {
        for (url, hint) in [
            ("hunter2@localhost", "redis://"),
            ("redis://:hunter2", "no host"),
            ("redis://:hunter2@", "no host"),
            ("redis://:hunter2@localhost:70000", "1 to 65535"),
            ("redis://:hunter2@more@localhost", "%40"),
            ("redis://hunter2@localhost", "no password"),
            ("redis://:hunter2@localhost/name", "number"),
            ("redis://:hunter2?x@localhost", "%3F"),
            ("redis://:hunter2@[::1", "`]`"),
            ("redis://:%ff@localhost", "UTF-8"),
            ("unix:", "socket"),
        ] {
            let why = parse(url).err().unwrap_or_default();
            assert!(why.contains(hint) && !why.contains("hunter2"), "{url}: {why}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_none_is_repeated(text in "[ -~]{6,40}") {
            for prefix in ["redis://", "rediss://:", "unix:", ""] {
                if let Err(why) = parse(&format!("{prefix}{text}")) {
                    prop_assert!(!why.contains(&text));
                }
            }
        }
    }
}
