//! Sessions over pipes that are small, slow and cut off.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, ring};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, ConnectionTrafficSecrets, ContentType, ProtocolVersion, ServerConfig,
    SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite,
};

use super::session::INCOMING_BYTES_MAX;
use super::{Received, TlsSession};
use pgprime_tls::{Trust, Verifier};

const MESSAGE_BYTES: usize = 300_000;

/// One direction of a connection, with as much room as a socket's buffer.
#[derive(Clone, Debug)]
struct Pipe {
    bytes: Rc<RefCell<VecDeque<u8>>>,
    capacity: usize,
    is_closed: Rc<RefCell<bool>>,
}

/// One end of a connection, non-blocking.
#[derive(Debug)]
struct End {
    from: Pipe,
    to: Pipe,
}

fn connection(capacity: usize) -> (End, End) {
    let pipe = || Pipe { bytes: Rc::default(), capacity, is_closed: Rc::default() };
    let (there, back) = (pipe(), pipe());
    (End { from: back.clone(), to: there.clone() }, End { from: there, to: back })
}

impl End {
    fn is_empty(&self) -> bool {
        self.from.bytes.borrow().is_empty()
    }

    fn close(&self) {
        *self.to.is_closed.borrow_mut() = true;
    }
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.from.bytes.borrow_mut();
        if bytes.is_empty() {
            return if *self.from.is_closed.borrow() { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        bytes.read(buffer)
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.to.bytes.borrow_mut();
        let count = bytes.len().min(self.to.capacity - held.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        held.extend(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn configs(version: &'static SupportedProtocolVersion) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (server, client) = configs_with(version, ring::default_provider());
    (Arc::new(server), Arc::new(client))
}

fn configs_with(
    version: &'static SupportedProtocolVersion,
    provider: CryptoProvider,
) -> (ServerConfig, ClientConfig) {
    let provider = Arc::new(provider);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    server.send_tls13_tickets = 1;
    let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { trust: Trust::Anyone, provider }))
        .with_no_client_auth();
    (server, client)
}

/// Two sessions that have shaken hands, the server's first. With TLS 1.2, their keys are worn out after so many records.
pub(crate) fn sessions_for(records_max: Option<u64>) -> (TlsSession, TlsSession) {
    let mut provider = ring::default_provider();
    let mut version = VERSIONS[0];
    if let Some(confidentiality_limit) = records_max {
        version = VERSIONS[1];
        let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
        let SupportedCipherSuite::Tls12(suite) = suite else { panic!("a suite of TLS 1.2") };
        let common = CipherSuiteCommon { confidentiality_limit, ..*common_of(suite) };
        provider.cipher_suites = vec![SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
            common,
            prf_provider: suite.prf_provider,
            kx: suite.kx,
            sign: suite.sign,
            aead_alg: suite.aead_alg,
        })))];
    }
    let (server, client) = configs_with(version, provider);
    let (server, client) = established_with(Arc::new(server), Arc::new(client), 1 << 20, 1000);
    (server.session, client.session)
}

fn common_of(suite: &Tls12CipherSuite) -> &CipherSuiteCommon {
    &suite.common
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// One session with its end of the connection and what it is to send.
struct Peer {
    session: TlsSession,
    end: End,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    to_send: VecDeque<u8>,
    received: Vec<u8>,
    has_ended: bool,
}

impl Peer {
    fn new(session: TlsSession, end: End, buffer_bytes: usize) -> Self {
        Self {
            session,
            end,
            buffer: vec![0; buffer_bytes],
            scratch: Vec::new(),
            to_send: VecDeque::new(),
            received: Vec::new(),
            has_ended: false,
        }
    }

    fn shake_hands(&mut self) {
        self.session.advance().unwrap();
        let _ = self.session.flush(&mut self.end);
        let mut piece = [0; 100];
        while self.session.is_handshaking()
            && let Ok(count) = self.end.read(&mut piece)
        {
            self.session.incoming().extend_from_slice(&piece[..count]);
            self.session.advance().unwrap();
            let _ = self.session.flush(&mut self.end);
        }
    }

    /// Sends and reads what goes, as a worker does.
    fn work(&mut self) {
        if self.to_send.is_empty() {
            let _ = self.session.flush(&mut self.end);
        }
        while !self.to_send.is_empty() {
            match self.session.write(&mut self.end, self.to_send.make_contiguous()) {
                Ok(count) => drop(self.to_send.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.read();
    }

    fn read(&mut self) {
        while !self.has_ended {
            match self.session.read(&mut self.end, &mut self.buffer, &mut self.scratch) {
                Ok(Received::Plaintext { count, may_have_more }) => {
                    // Without a word of the socket, nobody would ever read what is left.
                    let left = !self.end.is_empty() || self.session.has_unread();
                    assert!(may_have_more || !left);
                    self.received.extend_from_slice(&self.buffer[..count]);
                }
                Ok(Received::End) => self.has_ended = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    assert!(self.end.is_empty() && !self.session.has_unread());
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn established(
    version: &'static SupportedProtocolVersion,
    capacity: usize,
    buffer_bytes: usize,
) -> (Peer, Peer) {
    let (server_config, client_config) = configs(version);
    established_with(server_config, client_config, capacity, buffer_bytes)
}

fn established_with(
    server_config: Arc<ServerConfig>,
    client_config: Arc<ClientConfig>,
    capacity: usize,
    buffer_bytes: usize,
) -> (Peer, Peer) {
    let (here, there) = connection(capacity);
    let mut server = Peer::new(TlsSession::accept(server_config).unwrap(), here, buffer_bytes);
    let mut client = Peer::new(TlsSession::connect(client_config, name()).unwrap(), there, buffer_bytes);
    while server.session.is_handshaking() || client.session.is_handshaking() {
        client.shake_hands();
        server.shake_hands();
    }
    (server, client)
}

fn message(seed: u8) -> VecDeque<u8> {
    (0..MESSAGE_BYTES).map(|place| (place as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn everything_arrives_however_small_sockets_and_buffers_are() {
    for version in VERSIONS {
        for (capacity, buffer_bytes) in [
            (1, 1),
            (7, 64 * 1024),
            (100, 13),
            (5000, 700),
            (20_000, 5000),
            (70_000, 3),
            (200_000, 64 * 1024),
        ] {
            let (mut server, mut client) = established(version, capacity, buffer_bytes);
            (server.to_send, client.to_send) = (message(1), message(2));
            while server.received.len() + client.received.len() < 2 * MESSAGE_BYTES {
                server.work();
                client.work();
            }
            assert!(
                message(2) == server.received && message(1) == client.received,
                "{capacity} {buffer_bytes}"
            );
            // An idle session has no buffers.
            for peer in [&server, &client] {
                let session = &peer.session;
                let held =
                    session.incoming.capacity() + session.outgoing.capacity() + session.plaintext.capacity();
                assert_eq!(held, 0);
            }
        }
    }
}

#[test]
fn what_is_read_at_once_leaves_nothing_over() {
    let (mut server, mut client) = established(VERSIONS[0], 1 << 20, 64 * 1024);
    client.to_send = message(3);
    client.work();
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(received) = server.session.read(&mut server.end, &mut buffer, &mut server.scratch) {
        let Received::Plaintext { count, .. } = received else { panic!("{received:?}") };
        assert!(count > 32 * 1024 || server.end.is_empty(), "{received:?}");
        assert!(server.session.plaintext.is_empty());
    }
}

#[test]
fn only_so_much_waits_for_a_socket() {
    let (mut server, _client) = established(VERSIONS[0], 10_000, 1000);
    let all = vec![0; 1 << 20];
    let mut taken = 0;
    while let Ok(count) = server.session.write(&mut server.end, &all[taken..]) {
        taken += count;
    }
    assert!(taken <= 2 * super::session::WRITE_BYTES, "{taken}");
    assert!(server.session.has_unsent());
}

#[test]
fn a_goodbye_and_a_cut_are_the_end() {
    for version in VERSIONS {
        for says_goodbye in [true, false] {
            let (mut server, mut client) = established(version, 1 << 20, 1000);
            client.to_send = message(4);
            client.work();
            if says_goodbye {
                client.session.say_goodbye();
                client.session.flush(&mut client.end).unwrap();
            } else {
                client.end.close();
            }
            server.read();
            assert!(server.has_ended && message(4) == server.received);
            // Its end is not ours: what is on its way still goes out.
            server.session.write(&mut server.end, b"last words").unwrap();
            if !says_goodbye {
                client.read();
                assert_eq!(client.received, b"last words");
            }
        }
    }
}

#[test]
fn records_that_are_not_the_peers_are_refused_with_an_alert() {
    for version in VERSIONS {
        let (mut server, mut client) = established(version, 1 << 20, 1000);
        client.end.write_all(&[23, 3, 3, 0, 40]).unwrap();
        client.end.write_all(&[7; 40]).unwrap();
        let read = server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::InvalidData);
        let heard = client.session.read(&mut client.end, &mut client.buffer, &mut client.scratch);
        assert!(heard.unwrap_err().to_string().contains("BadRecordMac"));
        // It may be asked again, whatever more comes.
        for _ in 0..3 {
            client.end.write_all(&[23, 3, 3, 0, 1, 7]).unwrap();
            let read = server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch);
            assert!(read.is_err());
            assert!(server.session.write(&mut server.end, b"x").is_err());
            server.session.say_goodbye();
        }
    }
}

#[test]
fn keys_change_on_the_way() {
    let (server_config, client_config) = configs(VERSIONS[0]);
    let (here, mut there) = connection(1 << 20);
    let mut server = Peer::new(TlsSession::accept(server_config).unwrap(), here, 1000);
    let mut client = ClientConnection::new(client_config, name()).unwrap();
    while server.session.is_handshaking() || client.is_handshaking() {
        client.write_tls(&mut there).unwrap();
        server.shake_hands();
        let _ = client.read_tls(&mut there);
        client.process_new_packets().unwrap();
    }
    for round in 0..10_u8 {
        client.refresh_traffic_keys().unwrap();
        client.writer().write_all(&[round; 100]).unwrap();
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        server.read();
        server.session.write(&mut server.end, &[round; 50]).unwrap();
        while client.read_tls(&mut there).is_ok_and(|count| count > 0) {
            client.process_new_packets().unwrap();
        }
        let mut answer = [0; 50];
        client.reader().read_exact(&mut answer).unwrap();
        assert_eq!(answer, [round; 50]);
    }
    assert_eq!(server.received.len(), 1000);
}

#[test]
fn what_came_before_a_bad_record_is_read() {
    for version in VERSIONS {
        let (mut server, mut client) = established(version, 1 << 20, 64 * 1024);
        client.session.write(&mut client.end, b"first words").unwrap();
        client.end.write_all(&[23, 3, 3, 0, 40]).unwrap();
        client.end.write_all(&[7; 40]).unwrap();
        let mut read = || server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch);
        assert_eq!(read().unwrap(), Received::Plaintext { count: 11, may_have_more: true });
        assert_eq!(read().unwrap_err().kind(), ErrorKind::InvalidData);
        assert_eq!(server.buffer[..11], *b"first words");
    }
}

#[test]
fn a_cut_within_a_record_is_the_end() {
    let (mut server, mut client) = established(VERSIONS[0], 1 << 20, 64 * 1024);
    client.end.write_all(&[23, 3, 3, 0x40, 0, 1, 2, 3]).unwrap();
    client.end.close();
    let mut read = || server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch);
    assert_eq!(read().unwrap(), Received::Plaintext { count: 0, may_have_more: false });
    assert_eq!(read().unwrap(), Received::End);
}

/// The longest handshake message there is, a byte in each record.
fn pieces() -> impl Iterator<Item = u8> {
    [1, 0, 0xff, 0xff].into_iter().chain(std::iter::repeat_n(0, 0xffff))
}

#[test]
fn a_message_in_pieces_is_kept_so_long_only() {
    let mut session = TlsSession::accept(configs(VERSIONS[0]).0).unwrap();
    let failure = pieces().find_map(|byte| {
        session.incoming().extend_from_slice(&[22, 3, 1, 0, 1, byte]);
        let outcome = session.advance();
        assert!(session.incoming.len() <= INCOMING_BYTES_MAX + 6);
        outcome.err()
    });
    assert_eq!(failure.unwrap().kind(), ErrorKind::InvalidData);
    assert!(session.check().is_err());
}

/// A server with a session, and what encrypts for it as its client.
fn forged() -> (Peer, End, Box<dyn MessageEncrypter>, u64) {
    let (server, mut client) = configs_with(VERSIONS[0], ring::default_provider());
    client.enable_secret_extraction = true;
    let (here, mut there) = connection(1 << 20);
    let mut server = Peer::new(TlsSession::accept(Arc::new(server)).unwrap(), here, 64 * 1024);
    let mut client = ClientConnection::new(Arc::new(client), name()).unwrap();
    while server.session.is_handshaking() || client.is_handshaking() || client.wants_write() {
        client.write_tls(&mut there).unwrap();
        server.shake_hands();
        let _ = client.read_tls(&mut there);
        client.process_new_packets().unwrap();
    }
    let suite = client.negotiated_cipher_suite().unwrap().tls13().unwrap();
    let (sequence, secrets) = client.dangerous_extract_secrets().unwrap().tx;
    let (key, iv): (AeadKey, Iv) = match secrets {
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (key, iv),
        _ => panic!("not the suite that is preferred"),
    };
    (server, there, suite.aead_alg.encrypter(key, iv), sequence)
}

fn record(
    encrypter: &mut dyn MessageEncrypter,
    sequence: &mut u64,
    typ: ContentType,
    bytes: &[u8],
) -> Vec<u8> {
    let payload = OutboundChunks::Single(bytes);
    let message = OutboundPlainMessage { typ, version: ProtocolVersion::TLSv1_2, payload };
    *sequence += 1;
    encrypter.encrypt(message, *sequence - 1).unwrap().encode()
}

#[test]
fn pieces_within_a_session_are_bounded_too() {
    let (mut server, mut there, mut encrypter, mut sequence) = forged();
    let failure = pieces().find_map(|byte| {
        let bytes = record(&mut *encrypter, &mut sequence, ContentType::Handshake, &[byte]);
        there.write_all(&bytes).unwrap();
        let read = server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch);
        assert!(server.session.incoming.len() <= INCOMING_BYTES_MAX + 30);
        assert!(server.scratch.len() <= 3 * INCOMING_BYTES_MAX);
        read.err().filter(|error| error.kind() != ErrorKind::WouldBlock)
    });
    assert_eq!(failure.unwrap().kind(), ErrorKind::InvalidData);
}

#[test]
fn records_without_plaintext_hold_nobody_up() {
    let (mut server, mut there, mut encrypter, mut sequence) = forged();
    server.buffer = vec![0; 1000];
    for byte in pieces().take(3000) {
        let bytes = record(&mut *encrypter, &mut sequence, ContentType::Handshake, &[byte]);
        there.write_all(&bytes).unwrap();
    }
    let mut reads = 0;
    while !server.end.is_empty() {
        // Each returns, so that others have their turn.
        let read = server.session.read(&mut server.end, &mut server.buffer, &mut server.scratch).unwrap();
        assert!(matches!(read, Received::Plaintext { count: 0, .. }));
        reads += 1;
    }
    assert!((5..100).contains(&reads), "{reads}");
}
