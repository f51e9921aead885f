//! Where a database is.

/// Where the database is, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine, so that its disks are ours.
    Here,
    /// Elsewhere, or not known.
    Elsewhere,
}

impl Place {
    /// By the host of a connection: a Unix socket or a loopback address is here.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        let is_here = host.starts_with('/') || host == "localhost" || is_loopback;
        if is_here { Self::Here } else { Self::Elsewhere }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_hosts_are_this_machine() {
        for (host, expected) in [
            ("/var/run/postgresql", Place::Here),
            ("localhost", Place::Here),
            ("127.0.0.1", Place::Here),
            ("::1", Place::Here),
            ("10.0.0.7", Place::Elsewhere),
            ("db.example.com", Place::Elsewhere),
            ("", Place::Elsewhere),
        ] {
            assert_eq!(Place::of_host(host), expected, "{host}");
        }
    }
}
