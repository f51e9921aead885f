//! Telling systemd, where it started this process, that others may now rely on it (`Type=notify`).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;

/// The variable that says where to tell; without it nobody asks.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Clients are accepted from now on. That nobody hears it is no reason not to serve them.
pub(crate) fn tell_ready() {
    let Some(address) = env::var_os(SOCKET).filter(|address| !address.is_empty()) else { return };
    if let Err(error) = send(&address, b"READY=1\n") {
        tracing::warn!(%error, "the service manager does not hear that the start is over");
    }
}

/// Says in words how it is; nothing where all is well.
pub(crate) fn tell_status(words: &str) {
    let Some(address) = env::var_os(SOCKET).filter(|address| !address.is_empty()) else { return };
    // The log has said it already.
    let _ = send(&address, format!("STATUS={}\n", words.replace('\n', " ")).as_bytes());
}

fn send(address: &OsStr, message: &[u8]) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match address.as_bytes().strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            socket.send_to_addr(message, &address)?;
        }
        _ => {
            socket.send_to(message, address)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_at_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), b"READY=1\n").unwrap();
        let mut message = [0; 32];
        let length = socket.recv(&mut message).unwrap();
        assert_eq!(&message[..length], b"READY=1\n");
        assert!(send(folder.path().join("nobody").as_os_str(), b"READY=1\n").is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_message_arrives_at_a_name_without_a_path() {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("pgprime-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), b"READY=1\n").unwrap();
        let mut message = [0; 32];
        assert_eq!(socket.recv(&mut message).unwrap(), 8);
    }
}
