//! The sockets: one per core on Linux, one elsewhere.
//!
//! # Invariants
//! - A port that another process listens on is refused, though siblings share it: the first socket is bound without
//!   `SO_REUSEPORT`, which is set before its siblings join. A second instance meets the first socket and fails.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Connections the kernel finishes before we accept them. Above it clients wait for a retransmission.
const BACKLOG: i32 = 1024;

/// Binds `count` listeners to one address (a single one where the kernel does not spread load between them).
pub(super) fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = socket(address)?;
    first.bind(&SockAddr::from(address))?;
    let bound = first.local_addr()?;
    let count = if cfg!(target_os = "linux") { count.max(1) } else { 1 };

    let mut sockets = vec![first];
    #[cfg(target_os = "linux")]
    if count > 1 {
        sockets[0].set_reuse_port(true)?;
        for _ in 1..count {
            let sibling = socket(address)?;
            sibling.set_reuse_port(true)?;
            sibling.bind(&bound)?;
            sockets.push(sibling);
        }
    }
    let _ = (bound, count);
    sockets
        .into_iter()
        .map(|socket| {
            socket.listen(BACKLOG)?;
            Ok(socket.into())
        })
        .collect()
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Not for sharing: a restarted process must not wait for the old one's connections in TIME_WAIT.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Small answers must not wait for the acknowledgement of the last one. What is accepted here inherits it on Linux.
    socket.set_tcp_nodelay(true)?;
    Ok(socket)
}

/// Lets no new connection begin, while those whose handshake is under way may finish it and be accepted.
///
/// Closing a listener resets whoever got into its queue after the last `accept`, and there is no telling the kernel to
/// close the queue's entrance first. A packet filter that drops what asks for a new connection does just that. The
/// client asks again a second later, and meets a closed port, or whoever has taken it over. Where there are no such
/// filters a few clients may be reset.
pub(super) fn close_entrance(listener: &tokio::net::TcpListener) {
    #[cfg(target_os = "linux")]
    {
        use socket2::SockFilter;
        let drop_requests = [
            // Load byte 13 of the TCP header, where socket filters begin to count: the flags.
            SockFilter::new(0x30, 0, 0, 13),
            // SYN is set only in the first packet of a connection: then the next step, else the one after.
            SockFilter::new(0x45, 0, 1, 0x02),
            SockFilter::new(0x06, 0, 0, 0),
            SockFilter::new(0x06, 0, 0, u32::MAX),
        ];
        if let Err(error) = socket2::SockRef::from(listener).attach_filter(&drop_requests) {
            tracing::debug!(%error, "the listener's entrance stays open while its queue is emptied");
        }
    }
    let _ = listener;
}

/// Why a bind failed, and what to do.
/// `section` is where address and port were configured.
pub(super) fn explain(section: &str, address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    let variable = match section {
        "http" => "PORT".to_owned(),
        other => format!("BURGEON__{}__PORT", other.to_uppercase()),
    };
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} on {} is already in use: another instance may be running. Stop it, or choose another port \
             ({section}.port in burgeon.toml, or {variable}={} in the environment)",
            address.ip(),
            port.wrapping_add(1).max(1024),
        ),
        io::ErrorKind::PermissionDenied => format!(
            "port {port} may not be opened by this user; ports below 1024 need privileges: choose a higher one \
             ({section}.port in burgeon.toml, or {variable}=3000 in the environment)"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "{} is not an address of this machine: set {section}.address to one, or to 0.0.0.0",
                address.ip()
            )
        }
        _ => format!("cannot listen on {address}"),
    }
}

/// How many connections to take at once: what is configured, or what the file limit leaves beside 256 files for
/// everything else.
pub(super) fn connection_cap(configured: usize) -> usize {
    const RESERVED: usize = 256;
    let Some(files) = file_limit() else { return configured };
    let possible = files.saturating_sub(RESERVED).max(16);
    if possible < configured {
        tracing::warn!(
            possible,
            configured,
            files,
            "fewer connections than configured: the process may open too few files; raise its limit (ulimit -n, LimitNOFILE=) or lower http.connections"
        );
    }
    possible.min(configured)
}

/// The soft limit on open files, where the kernel tells it in a file. Elsewhere `EMFILE` tells it, and accepting pauses.
fn file_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_accepted_has_no_delay_as_its_listener() {
        let listeners = bind((Ipv4Addr::LOCALHOST, 0).into(), 1).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let _client = TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
