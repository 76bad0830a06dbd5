//! Where a request came from: the connection says, or a proxy that is trusted.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use super::Networks;
use crate::{Peer, Scheme};

/// What the connection knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) peer: Option<SocketAddr>,
    pub(super) tls: bool,
}

/// Who asks, and how they reached the first of our machines.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) peer: Option<Peer>,
    pub(super) scheme: Scheme,
    /// Whether the connection's other end is a trusted proxy, so that its other fields count too.
    pub(super) trusted: bool,
}

/// `X-Forwarded-For` is read from its end: each trusted proxy appends whom it saw, and the first address that is not
/// one of ours is the client. What stands before it was sent by the client and means nothing.
pub(super) fn seen(origin: Origin, headers: &HeaderMap, proxies: &Networks) -> Seen {
    let scheme = if origin.tls { Scheme::Https } else { Scheme::Http };
    let Some(socket) = origin.peer.filter(|peer| proxies.contain(peer.ip())) else {
        return Seen { peer: origin.peer.map(Peer), scheme, trusted: false };
    };
    let mut client = socket;
    'fields: for field in headers.get_all("x-forwarded-for").iter().rev() {
        for entry in field.to_str().unwrap_or_default().rsplit(',') {
            let Some(address) = address(entry) else { break 'fields };
            client = address;
            if !proxies.contain(address.ip()) {
                break 'fields;
            }
        }
    }
    // The proxy nearest to us overwrites this one; with several values the last is its own.
    let proto = headers.get_all("x-forwarded-proto").iter().next_back();
    let proto = proto.and_then(|proto| proto.to_str().ok()).and_then(|proto| proto.rsplit(',').next());
    let scheme = match proto.map(str::trim) {
        Some(proto) if proto.eq_ignore_ascii_case("https") => Scheme::Https,
        Some(_) => Scheme::Http,
        None => scheme,
    };
    Seen { peer: Some(Peer(client)), scheme, trusted: true }
}

/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`.
fn address(entry: &str) -> Option<SocketAddr> {
    let entry = entry.trim();
    entry.parse().ok().or_else(|| {
        let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
        bare.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, 0))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> String {
        let proxies = Networks::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        let origin = Origin { peer: Some(SocketAddr::new(peer.parse().unwrap(), 1)), tls: false };
        seen(origin, &headers, &proxies).peer.unwrap().0.ip().to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_what_they_appended() {
        assert_eq!(client("192.0.2.1", &["1.1.1.1"]), "192.0.2.1", "not a proxy of ours");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            client("10.0.0.1", &["6.6.6.6, 1.1.1.1, 10.0.0.2"]),
            "1.1.1.1",
            "6.6.6.6 is the client's lie"
        );
        assert_eq!(client("10.0.0.1", &["6.6.6.6", "1.1.1.1:99"]), "1.1.1.1");
        assert_eq!(client("10.0.0.1", &["1.1.1.1, nonsense, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"]), "2001:db8::1");
    }
}
