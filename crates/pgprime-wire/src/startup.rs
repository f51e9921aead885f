//! The packets that open a connection. They have a length of four bytes that counts itself and no tag.

use std::fmt;

use crate::WireError;
use crate::read::Reader;
use crate::write;

/// Bytes of the longest accepted packet. PostgreSQL's own bound.
pub const STARTUP_BYTES_MAX: usize = 10_000;

/// Length field and version or request code.
const STARTUP_BYTES_MIN: usize = 8;
/// A request code has this in place of a major version, and tells the request in place of the minor one.
const REQUEST_MAJOR: u16 = 1234;
const CANCEL_MINOR: u16 = 5678;
const SSL_MINOR: u16 = 5679;
const GSS_MINOR: u16 = 5680;
/// The major version that this crate speaks.
const MAJOR: u16 = 3;

/// Bytes of a cancel key's secret: exactly 4 in protocol 3.0, up to 256 from 3.2 on.
const SECRET_BYTES_MIN: usize = 4;
const SECRET_BYTES_MAX: usize = 256;

/// Names a server process to cancel, and proves the right to do so.
///
/// `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CancelKey {
    /// The server process, or whatever the pooler puts in its place.
    pub process_id: u32,
    /// 4 bytes in protocol 3.0, 4 to 256 bytes from 3.2 on.
    pub secret: Vec<u8>,
}

impl CancelKey {
    /// Reads the key that makes up the rest of a message.
    pub(crate) fn read(mut reader: Reader<'_>) -> Result<Self, WireError> {
        let process_id = reader.u32("a process id")?;
        let secret = reader.rest();
        if !(SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len()) {
            let (min, max) = (SECRET_BYTES_MIN, SECRET_BYTES_MAX);
            return Err(reader.out_of_bounds("a secret's length", min, max, secret.len()));
        }
        Ok(Self { process_id, secret: secret.to_vec() })
    }

    /// Appends the key as it stands in BackendKeyData and CancelRequest.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.process_id.to_be_bytes());
        out.extend_from_slice(&self.secret);
    }
}

impl fmt::Debug for CancelKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CancelKey").field("process_id", &self.process_id).finish_non_exhaustive()
    }
}

/// A client's first words: protocol version and parameters (`user`, `database`, `options`, any setting).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartupMessage {
    /// Major version of the protocol. Other than 3, the parameters are unknown and empty.
    pub major: u16,
    /// Minor version of the protocol.
    pub minor: u16,
    /// Names and values as they came, duplicates included.
    pub parameters: Vec<(String, String)>,
}

impl StartupMessage {
    /// A parameter's value. Of duplicates the last counts, as it does in PostgreSQL.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What a client may open a connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartupPacket {
    /// Asks for TLS; answered with one byte, then another packet follows.
    SslRequest,
    /// Asks for GSSAPI encryption; answered with one byte, then another packet follows.
    GssEncRequest,
    /// Asks to cancel what the key's server process does; not answered.
    Cancel(CancelKey),
    /// Opens a session.
    Startup(StartupMessage),
}

/// Length of the packet at the start of `bytes`, `None` while fewer than 4 bytes are there.
///
/// # Errors
/// A length outside 8 to [`STARTUP_BYTES_MAX`]. It is what a peer gets who speaks another protocol.
pub fn packet_len(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let Some(field) = bytes.first_chunk() else { return Ok(None) };
    let found = u32::from_be_bytes(*field);
    match usize::try_from(found) {
        Ok(len) if (STARTUP_BYTES_MIN..=STARTUP_BYTES_MAX).contains(&len) => Ok(Some(len)),
        _ => Err(WireError::OutOfBounds {
            message: PACKET,
            field: "a length",
            min: STARTUP_BYTES_MIN as i64,
            max: STARTUP_BYTES_MAX as i64,
            found: i64::from(found),
        }),
    }
}

const PACKET: &str = "startup packet";

/// Decodes one whole packet, its length field included.
///
/// A major version other than 3 is no error here: the caller knows which versions it serves and how to say so. Its
/// parameters stay empty because their layout is not known.
///
/// # Errors
/// A packet that is not as long as it says; parameters without terminators, or not in UTF-8; a request with bytes
/// too many; a cancel secret outside 4 to 256 bytes.
pub fn decode(packet: &[u8]) -> Result<StartupPacket, WireError> {
    let mut reader = Reader::new(PACKET, packet);
    let claimed = packet_len(packet)?.unwrap_or_default();
    if claimed != packet.len() {
        return Err(reader.out_of_bounds("a length", packet.len(), packet.len(), claimed));
    }
    reader.u32("a length")?;
    let major = reader.u16("a major version")?;
    let minor = reader.u16("a minor version")?;
    match (major, minor) {
        (REQUEST_MAJOR, SSL_MINOR) => reader.finish().map(|()| StartupPacket::SslRequest),
        (REQUEST_MAJOR, GSS_MINOR) => reader.finish().map(|()| StartupPacket::GssEncRequest),
        (REQUEST_MAJOR, CANCEL_MINOR) => CancelKey::read(reader).map(StartupPacket::Cancel),
        (MAJOR, _) => {
            let parameters = read_parameters(reader)?;
            Ok(StartupPacket::Startup(StartupMessage { major, minor, parameters }))
        }
        _ => Ok(StartupPacket::Startup(StartupMessage { major, minor, parameters: Vec::new() })),
    }
}

/// Pairs of texts up to an empty name, which must be the packet's end.
fn read_parameters(mut reader: Reader<'_>) -> Result<Vec<(String, String)>, WireError> {
    let mut parameters = Vec::new();
    loop {
        let name = reader.utf8("a parameter's name")?;
        if name.is_empty() {
            reader.finish()?;
            return Ok(parameters);
        }
        let value = reader.utf8("a parameter's value")?;
        parameters.push((name.to_owned(), value.to_owned()));
    }
}

/// Appends a startup message of protocol 3.`minor`. A parameter with an empty name is left out: it would end the list.
pub fn encode_startup(out: &mut Vec<u8>, minor: u16, parameters: &[(&str, &str)]) {
    write::packet(out, |out| {
        out.extend_from_slice(&MAJOR.to_be_bytes());
        out.extend_from_slice(&minor.to_be_bytes());
        for (name, value) in parameters {
            if !write::cut_at_nul(name.as_bytes()).is_empty() {
                write::text(out, name.as_bytes());
                write::text(out, value.as_bytes());
            }
        }
        out.push(0);
    });
}

/// Appends a request for TLS.
pub fn encode_ssl_request(out: &mut Vec<u8>) {
    write::packet(out, |out| request_code(out, SSL_MINOR));
}

/// Appends a cancel request.
pub fn encode_cancel(out: &mut Vec<u8>, key: &CancelKey) {
    write::packet(out, |out| {
        request_code(out, CANCEL_MINOR);
        key.write(out);
    });
}

fn request_code(out: &mut Vec<u8>, minor: u16) {
    out.extend_from_slice(&REQUEST_MAJOR.to_be_bytes());
    out.extend_from_slice(&minor.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn startup(minor: u16, parameters: &[(&str, &str)]) -> Vec<u8> {
        let mut packet = Vec::new();
        encode_startup(&mut packet, minor, parameters);
        packet
    }

    /// A packet with its length filled in.
    fn packet(rest: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        write::packet(&mut packet, |out| out.extend_from_slice(rest));
        packet
    }

    #[test]
    fn requests_are_told_from_startups() {
        let key = CancelKey { process_id: 7, secret: vec![1, 2, 3, 4] };
        let mut request = Vec::new();
        encode_ssl_request(&mut request);
        assert_eq!(request, b"\0\0\0\x08\x04\xd2\x16\x2f");
        let bob = vec![("user".to_owned(), "bob".to_owned())];
        let cases: [(&[u8], StartupPacket); 4] = [
            (b"\0\0\0\x08\x04\xd2\x16\x2f", StartupPacket::SslRequest),
            (b"\0\0\0\x08\x04\xd2\x16\x30", StartupPacket::GssEncRequest),
            (b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x07\x01\x02\x03\x04", StartupPacket::Cancel(key)),
            (
                b"\0\0\0\x12\0\x03\0\0user\0bob\0\0",
                StartupPacket::Startup(StartupMessage { major: 3, minor: 0, parameters: bob }),
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(bytes), Ok(expected), "{bytes:?}");
        }
    }

    #[test]
    fn a_startup_keeps_order_and_duplicates_and_the_last_one_counts() {
        let parameters = [("user", "bob"), ("database", ""), ("user", "eve"), ("options", "-c geqo=off")];
        let StartupPacket::Startup(message) = decode(&startup(2, &parameters)).unwrap() else { panic!() };
        assert_eq!((message.major, message.minor), (3, 2));
        let expected: Vec<_> = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        assert_eq!(message.parameters, expected);
        assert_eq!(message.get("user"), Some("eve"));
        assert_eq!(message.get("database"), Some(""));
        assert_eq!(message.get("User"), None);
    }

    #[test]
    fn a_length_is_known_from_four_bytes_on_and_bounded() {
        let check = |bytes: &[u8], expected: Option<usize>| assert_eq!(packet_len(bytes), Ok(expected));
        check(b"", None);
        check(b"\0\0\0", None);
        check(b"\0\0\0\x08", Some(8));
        check(b"\0\0\x27\x10more", Some(STARTUP_BYTES_MAX));
        for bytes in [*b"\0\0\0\0", *b"\0\0\0\x07", *b"\0\0\x27\x11", *b"GET ", *b"\xff\xff\xff\xff"] {
            assert!(matches!(packet_len(&bytes), Err(WireError::OutOfBounds { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn another_major_version_is_for_the_caller_to_refuse() {
        let check = |bytes: &[u8], major: u16, minor: u16| {
            let expected = StartupMessage { major, minor, parameters: Vec::new() };
            assert_eq!(decode(&packet(bytes)), Ok(StartupPacket::Startup(expected)), "{bytes:?}");
        };
        check(b"\0\x02\0\0\xff\xfe", 2, 0);
        check(b"\0\x04\0\x01user", 4, 1);
        check(b"\x04\xd2\0\0", 1234, 0);
    }

    #[test]
    fn malformed_packets_are_errors() {
        let cases: [(&str, Vec<u8>); 13] = [
            ("nothing", Vec::new()),
            ("a length alone", b"\0\0\0\x08".to_vec()),
            ("shorter than it says", b"\0\0\0\x09\0\x03\0\0".to_vec()),
            ("longer than it says", b"\0\0\0\x09\0\x03\0\0\0\0".to_vec()),
            ("no list", packet(b"\0\x03\0\0")),
            ("no end of the list", packet(b"\0\x03\0\0user\0bob\0")),
            ("no value", packet(b"\0\x03\0\0user\0")),
            ("bytes after the list", packet(b"\0\x03\0\0user\0bob\0\0\0")),
            ("a name that is not UTF-8", packet(b"\0\x03\0\0us\xffer\0bob\0\0")),
            ("a value that is not UTF-8", packet(b"\0\x03\0\0user\0b\xc3\0\0")),
            ("bytes after a TLS request", packet(b"\x04\xd2\x16\x2fmore")),
            ("a cancel secret of 3 bytes", packet(b"\x04\xd2\x16\x2e\0\0\0\x07abc")),
            (
                "a cancel secret of 257 bytes",
                packet(&[b"\x04\xd2\x16\x2e\0\0\0\x07", &[1; 257][..]].concat()),
            ),
        ];
        for (what, bytes) in cases {
            assert!(decode(&bytes).is_err(), "{what}");
        }
    }

    #[test]
    fn a_parameter_cannot_end_the_list_or_forge_another() {
        let packet = startup(0, &[("user", "bob\0superuser\0on"), ("", "x"), ("\0a", "y"), ("a\0b", "z")]);
        let StartupPacket::Startup(message) = decode(&packet).unwrap() else { panic!() };
        let expected = [("user", "bob"), ("a", "z")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(message.parameters, expected);
    }

    #[test]
    fn cancel_keys_of_both_versions_go_round_and_hide_their_secret() {
        for secret in [vec![9; 4], vec![9; 32], vec![9; 256]] {
            let key = CancelKey { process_id: u32::MAX, secret };
            let mut packet = Vec::new();
            encode_cancel(&mut packet, &key);
            assert_eq!(decode(&packet), Ok(StartupPacket::Cancel(key.clone())));
            assert_eq!(format!("{key:?}"), "CancelKey { process_id: 4294967295, .. }");
        }
    }
}
