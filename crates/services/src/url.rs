//! The one thing done to a URL here: another host and port in it.

/// `url` with `127.0.0.1:port` for its host and port; a `host:port` without a scheme works too.
pub(crate) fn with_port(url: &str, port: u16) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let user = authority.rfind('@').map_or("", |at| &authority[..=at]);
    format!("{scheme}{user}127.0.0.1:{port}{path}")
}

#[cfg(test)]
mod tests {
    use super::with_port;

    #[test]
    fn only_host_and_port_change() {
        assert_eq!(
            with_port("postgres://me:p%40ss@db.example:5432/shop?sslmode=disable", 7),
            "postgres://me:p%40ss@127.0.0.1:7/shop?sslmode=disable"
        );
        assert_eq!(with_port("redis://localhost:6379", 7), "redis://127.0.0.1:7");
        assert_eq!(with_port("nats://[::1]:4222/", 7), "nats://127.0.0.1:7/");
        assert_eq!(with_port("localhost:80", 7), "127.0.0.1:7");
    }
}
