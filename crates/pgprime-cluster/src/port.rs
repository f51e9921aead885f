//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections. Otherwise a client's
/// own port could take the place of a server that is down for a restart, and thousands of clients make that likely.
const PORTS: Range<u16> = 15_000..32_000;
const TRIES: usize = 200;

/// A TCP port of 127.0.0.1 that nobody listens on at this moment.
///
/// Another process can take it before the caller does, so whoever listens on it must be ready to ask again.
#[must_use]
pub fn free_port() -> u16 {
    let mut candidates = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(TRIES);
    candidates.find(|port| bind(*port).is_some()).or_else(|| bind(0)).unwrap_or(PORTS.start)
}

/// Binds the port, any for 0, and returns which one it was; it is released again at once.
fn bind(port: u16) -> Option<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
    listener.local_addr().ok().map(|address| address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_free() {
        let port = free_port();
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_eq!(bind(port), None);
        assert_ne!(free_port(), port);
    }
}
