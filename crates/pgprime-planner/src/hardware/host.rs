//! Whether a host is this machine.

use std::net::{IpAddr, ToSocketAddrs, UdpSocket};

/// Whether the host of a connection string is this machine: a folder of Unix sockets, nothing at all (which means one),
/// or a name or address of this machine.
///
/// Looking up a name may take as long as the resolver does. What listens there may still be a pooler or a forwarded
/// port with the database elsewhere.
#[must_use]
pub fn is_local(host: &str) -> bool {
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() || host.starts_with('/') || host.starts_with('@') {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_own(address);
    }
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let Ok(addresses) = (host, 0).to_socket_addrs() else { return false };
    let addresses: Vec<IpAddr> = addresses.map(|address| address.ip()).collect();
    !addresses.is_empty() && addresses.into_iter().all(is_own)
}

/// Only an address of this machine can be bound to; nothing is sent.
fn is_own(address: IpAddr) -> bool {
    if address.is_loopback() || address.is_unspecified() {
        return true;
    }
    !address.is_multicast() && UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_this_machine() {
        for (host, expected) in [
            ("", true),
            ("/var/run/postgresql", true),
            ("@abstract", true),
            ("localhost", true),
            ("LOCALHOST", true),
            ("127.0.0.1", true),
            ("127.8.8.8", true),
            ("::1", true),
            ("[::1]", true),
            // Documentation addresses, which nobody has.
            ("192.0.2.1", false),
            ("2001:db8::1", false),
            ("224.0.0.1", false),
            ("no such host", false),
        ] {
            assert_eq!(is_local(host), expected, "{host}");
        }
    }
}
