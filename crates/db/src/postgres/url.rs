//! Where the database is and how it is spoken to: `postgres://user:password@host:port/name?sslmode=verify-full`.
//!
//! What the URL may say is libpq's, less what this driver cannot do, which is refused with the way out. Nothing
//! here prints the URL: a password never reaches a message, also when it is the password that is malformed.

use std::path::PathBuf;
use std::str::FromStr;

use burgeon_core::Secret;
use tokio_postgres::config::{Host, SslMode};

/// What the URL says, taken apart.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Tls,
    weight: u32,
    /// Of several servers only this one.
    only: Option<usize>,
}

/// How far the connection is protected, after libpq's `sslmode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tls {
    /// `disable`: never.
    Off,
    /// `prefer`: encrypted where the server offers it; whom one speaks to is not checked. Libpq's default.
    Prefer,
    /// `require`: encrypted or not at all; whom one speaks to is not checked.
    Require,
    /// `verify-full`: encrypted, and the certificate must be trusted and name the host. The authority comes from
    /// `sslrootcert`, else from the system.
    Verify(Option<PathBuf>),
}

impl Target {
    /// Takes the URL apart.
    pub(super) fn parse(url: &Secret) -> Result<Self, String> {
        let url = url.expose();
        let rest = url
            .strip_prefix("postgres://")
            .or_else(|| url.strip_prefix("postgresql://"))
            .ok_or("it must begin with postgres://, such as postgres://user:password@host:5432/name")?;
        let authority = rest.split('?').next().unwrap_or_default();
        // The driver would take what follows the first @ for the host, and print it.
        if authority.matches('@').count() > 1 {
            return Err("it has more than one `@`: write the one in the user or password as %40".to_owned());
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut mode = None;
        let mut root = None;
        let mut weight = 1;
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("the parameter `{pair}` has no value: write {pair}=..."))?;
            match key {
                "weight" => {
                    weight = value.parse().ok().filter(|weight| (1..=100).contains(weight)).ok_or(
                        "`weight` must be a whole number from 1 to 100: the share of reads beside other replicas",
                    )?;
                }
                "sslmode" => mode = Some(value),
                "sslrootcert" => root = Some(decoded(value)?),
                "sslcert" | "sslkey" => {
                    return Err(format!("`{key}`: client certificates are not supported; use a password"));
                }
                "channel_binding" if value == "require" => {
                    return Err(
                        "channel_binding=require is not supported; use sslmode=verify-full".to_owned()
                    );
                }
                _ => kept.push(pair),
            }
        }
        let tls = tls(mode, root)?;
        let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        let mut config = tokio_postgres::Config::from_str(&url).map_err(explain)?;
        config.ssl_mode(match tls {
            Tls::Off => SslMode::Disable,
            Tls::Prefer => SslMode::Prefer,
            Tls::Require | Tls::Verify(_) => SslMode::Require,
        });
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err("it names no host: write postgres://user:password@host:5432/name".to_owned());
        }
        if config.get_user().is_none() {
            return Err("it names no user: write postgres://user:password@host:5432/name".to_owned());
        }
        if config.get_application_name().is_none() {
            config.application_name("burgeon");
        }
        Ok(Self { config, tls, weight, only: None })
    }

    /// Of several servers only this one.
    pub(super) fn only(mut self, only: Option<usize>) -> Self {
        self.only = only.or(self.only);
        self
    }

    /// The first of its servers, for people.
    pub(super) fn place(&self) -> String {
        self.servers().next().map_or_else(String::new, |(_, host, port)| place(&host, port))
    }

    /// Its share of the reads beside other replicas. Default 1.
    pub(super) fn weight(&self) -> u32 {
        self.weight
    }

    /// The servers to try, in order: which one of the URL, host, and port.
    pub(super) fn servers(&self) -> impl Iterator<Item = (usize, Host, u16)> + '_ {
        let addresses = self.config.get_hostaddrs();
        let count = self.config.get_hosts().len().max(addresses.len());
        let ports = self.config.get_ports();
        (0..count).filter(|index| self.only.is_none_or(|only| only == *index)).filter_map(move |index| {
            let host = addresses
                .get(index)
                .map(|address| Host::Tcp(address.to_string()))
                .or_else(|| self.config.get_hosts().get(index).cloned())?;
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            Some((index, host, port))
        })
    }

    /// What a certificate must name for the server at `index`.
    pub(super) fn certified_name(&self, index: usize) -> String {
        match self.config.get_hosts().get(index) {
            Some(Host::Tcp(name)) => name.clone(),
            _ => self.config.get_hostaddrs().get(index).map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The database's name, for people.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }

    /// The user's name, for people.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("nobody")
    }
}

/// A server as people write it.
pub(super) fn place(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(host) if host.contains(':') => format!("[{host}]:{port}"),
        Host::Tcp(host) => format!("{host}:{port}"),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}/.s.PGSQL.{port}", path.display()),
    }
}

fn tls(mode: Option<&str>, root: Option<String>) -> Result<Tls, String> {
    match (mode.unwrap_or("prefer"), root) {
        ("disable", None) => Ok(Tls::Off),
        ("prefer" | "allow", None) => Ok(Tls::Prefer),
        ("require", None) => Ok(Tls::Require),
        // An authority is named to be asked. Libpq checks the chain and not the name here; this is the safe reading.
        ("require" | "verify-ca" | "verify-full", root) => {
            Ok(Tls::Verify(root.filter(|root| root != "system").map(PathBuf::from)))
        }
        ("disable" | "prefer" | "allow", Some(_)) => {
            Err("sslrootcert checks nothing without sslmode=verify-full: write both, or neither".to_owned())
        }
        _ => Err("sslmode must be disable, prefer, require or verify-full".to_owned()),
    }
}

fn explain(error: tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
    format!("{cause} (expected postgres://user:password@host:5432/name, special characters percent-encoded)")
}

/// Percent-encoding undone. One parameter of ours holds a path; the driver decodes the others.
fn decoded(text: &str) -> Result<String, String> {
    let malformed = || "sslrootcert is not well percent-encoded".to_owned();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (high, low) = (digit().ok_or_else(malformed)?, digit().ok_or_else(malformed)?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, String> {
        Target::parse(&Secret::from(url))
    }

    fn refused(url: &str) -> String {
        match parse(url) {
            Ok(_) => panic!("accepted"),
            Err(why) => why,
        }
    }

    #[test]
    fn the_modes_of_tls_are_those_of_libpq() {
        let tls = |query: &str| parse(&format!("postgres://ada@db.example/shop{query}")).unwrap().tls;
        assert_eq!(tls(""), Tls::Prefer);
        assert_eq!(tls("?sslmode=disable"), Tls::Off);
        assert_eq!(tls("?application_name=x&sslmode=require"), Tls::Require);
        assert_eq!(tls("?sslmode=verify-full"), Tls::Verify(None));
        assert_eq!(
            tls("?sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca.pem"),
            Tls::Verify(Some("/etc/my ca.pem".into()))
        );
        assert_eq!(tls("?sslmode=require&sslrootcert=/ca.pem"), Tls::Verify(Some("/ca.pem".into())));
        assert!(refused("postgres://ada@db/shop?sslrootcert=/ca.pem").contains("sslmode=verify-full"));
        assert!(refused("postgres://ada@db/shop?sslmode=maybe").contains("verify-full"));
    }

    #[test]
    fn a_malformed_url_says_what_to_do_and_never_the_password() {
        for url in [
            "postgres://ada:hunt@er2@db/shop",
            "postgres://ada:hunter2@db:port/shop",
            "postgres://ada:hunter2@/shop",
            "postgres://:hunter2@db/shop?x",
            "postgres://ada:hunter2@db/shop?unknown_option=1",
            "postgres://ada:hunter2@db/shop?sslmode=never",
            "postgres://ada:hunter2@db/shop?sslrootcert=%zz",
            "postgres://ada:hunter2@db/shop?sslcert=/a",
            "mysql://ada:hunter2@db/shop",
        ] {
            let why = refused(url);
            assert!(!why.contains("er2"), "{url}: {why}");
            assert!(why.len() > 20, "{url}: {why}");
        }
    }

    #[test]
    fn several_servers_are_tried_in_order() {
        let target = parse("postgres://ada@one,two:5433/shop").unwrap();
        let servers: Vec<_> = target.servers().map(|(_, host, port)| place(&host, port)).collect();
        assert_eq!(servers, ["one:5432", "two:5433"]);
        assert_eq!(target.clone().only(Some(1)).place(), "two:5433");
        assert_eq!(target.certified_name(1), "two");
        assert_eq!(target.database(), "shop");
    }
}
