//! What every input is put through, by the fuzzer and by the tests alike: no decoder may panic, and whatever is
//! decoded must be the same bytes again when it is encoded.
#![allow(dead_code, reason = "each fuzz target uses one of the two functions")]

use pgprime_wire::backend::{self, ErrorFields, NegotiateProtocolVersion};
use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::frontend::{self, Bind, Close, Describe, Execute, Parse, SaslInitial, Target};
use pgprime_wire::scram::{ScramClient, ScramError, ScramKeys, ScramServer, ScramVerifier};
use pgprime_wire::startup::{self, StartupPacket};
use pgprime_wire::{WireError, md5};

/// Reads `data` in every way: as a body, as a startup packet, and as a stream of messages.
pub(crate) fn decode(data: &[u8]) {
    every_body(data);
    startup_packet(data);
    let mut stream = data;
    while let Ok(Some(header)) = Header::peek(stream) {
        assert!(header.len >= HEADER_BYTES);
        every_body(header.body(stream));
        stream = stream.get(header.len..).unwrap_or_default();
    }
}

fn every_body(body: &[u8]) {
    frontend_body(body);
    backend_body(body);
}

fn startup_packet(packet: &[u8]) {
    let claimed = startup::packet_len(packet);
    let Ok(decoded) = startup::decode(packet) else { return };
    assert_eq!(claimed, Ok(Some(packet.len())));
    let mut encoded = Vec::new();
    match decoded {
        StartupPacket::SslRequest => startup::encode_ssl_request(&mut encoded),
        StartupPacket::Cancel(key) => startup::encode_cancel(&mut encoded, &key),
        StartupPacket::Startup(message) if message.major == 3 => {
            let pairs = message.parameters.iter();
            let parameters: Vec<_> = pairs.map(|(name, value)| (name.as_str(), value.as_str())).collect();
            startup::encode_startup(&mut encoded, message.minor, &parameters);
        }
        StartupPacket::GssEncRequest | StartupPacket::Startup(_) => return,
    }
    assert_eq!(encoded, packet);
}

fn frontend_body(body: &[u8]) {
    same(body, Parse::decode(body), |out, parse| {
        frontend::encode::parse(out, parse.name, parse.query, parse.parameter_types);
    });
    let bind = Bind::decode(body);
    let names = frontend::bind_names(body).map(|(portal, statement, at)| (portal, statement, &body[at..]));
    assert_eq!(names, bind.as_ref().ok().map(|bind| (bind.portal, bind.statement, bind.rest)));
    same(body, bind, |out, bind| {
        frontend::encode::bind_prefix(out, bind.portal, bind.statement, bind.rest.len());
        out.extend_from_slice(bind.rest);
    });
    same(body, Describe::decode(body), |out, describe| match describe.target {
        Target::Statement => frontend::encode::describe_statement(out, describe.name),
        Target::Portal => frontend::encode::describe_portal(out, describe.name),
    });
    same(body, Close::decode(body), |out, close| match close.target {
        Target::Statement => frontend::encode::close_statement(out, close.name),
        Target::Portal => frontend::encode::close_portal(out, close.name),
    });
    same(body, Execute::decode(body), |out, execute| {
        frontend::encode::execute(out, execute.portal, execute.rows_max);
    });
    same(body, frontend::query_text(body), frontend::encode::query);
    same(body, frontend::password_text(body), frontend::encode::password);
    same(body, SaslInitial::decode(body), |out, initial| match initial.data {
        Some(data) => frontend::encode::sasl_initial(out, initial.mechanism, data),
        // The form without data is only read; what is written here is what was read.
        None => {
            frontend::encode::sasl_initial(out, initial.mechanism, b"");
            out.splice(out.len() - 4.., (-1_i32).to_be_bytes());
        }
    });
}

fn backend_body(body: &[u8]) {
    use backend::Authentication;
    use backend::encode;
    same(body, backend::ready_for_query(body), encode::ready_for_query);
    same(body, backend::parameter_status(body), |out, (name, value)| {
        encode::parameter_status(out, name, value);
    });
    same(body, backend::backend_key_data(body), |out, key| encode::backend_key_data(out, &key));
    // A tag in other bytes than UTF-8 is only read.
    if let Ok(Ok(tag)) = backend::command_tag(body).map(std::str::from_utf8) {
        same(body, Ok(tag), encode::command_complete);
    }
    same(body, backend::authentication(body), |out, request| match request {
        Authentication::Ok => encode::authentication_ok(out),
        Authentication::CleartextPassword => encode::authentication_cleartext(out),
        Authentication::Md5Password { salt } => encode::authentication_md5(out, salt),
        Authentication::Sasl { mechanisms } => encode::authentication_sasl(out, &mechanisms),
        Authentication::SaslContinue(data) => encode::authentication_sasl_continue(out, data),
        Authentication::SaslFinal(data) => encode::authentication_sasl_final(out, data),
        Authentication::Other(_) => {
            // Not written by this crate.
            out.extend_from_slice(&[0; HEADER_BYTES]);
            out.extend_from_slice(body);
        }
    });
    if let Ok(answer) = NegotiateProtocolVersion::decode(body) {
        let mut encoded = Vec::new();
        encode::negotiate_protocol_version(&mut encoded, answer.minor, &answer.options);
        let again = NegotiateProtocolVersion::decode(&encoded[HEADER_BYTES..]);
        assert_eq!(again.map(|again| again.options), Ok(answer.options));
    }
    let error = ErrorFields::parse(body);
    let fields =
        [error.severity(), error.sqlstate(), error.message(), error.detail(), error.hint(), error.routine()];
    assert!(fields.into_iter().flatten().all(|field| field.len() < body.len()));
}

/// What was decoded must be the same body again.
fn same<T>(body: &[u8], decoded: Result<T, WireError>, encode: impl FnOnce(&mut Vec<u8>, T)) {
    match decoded {
        Ok(decoded) => {
            let mut encoded = Vec::new();
            encode(&mut encoded, decoded);
            assert_eq!(&encoded[HEADER_BYTES..], body);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A stored verifier: the password `pencil` with the salt of RFC 7677.
const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const CLIENT_NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

/// Hands `data` to both sides of SCRAM: the first line as the peer's first message, the rest as its second. The first
/// line is also read as a stored secret.
pub(crate) fn scram(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (first, second) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    scram_server(first, second);
    scram_client(first, second);
    if let Ok(stored) = std::str::from_utf8(first) {
        stored_secret(stored, second);
    }
}

fn scram_server(first: &[u8], second: &[u8]) {
    let verifier = ScramVerifier::parse(PENCIL).expect("the constant is well formed");
    let mut server = ScramServer::new(verifier, SERVER_NONCE);
    let challenged = server.client_first(first);
    let ended = server.client_final(second);
    match (challenged, &ended) {
        (Ok(challenge), _) => assert!(challenge.contains(SERVER_NONCE)),
        (Err(_), Err(error)) => assert!(matches!(error, ScramError::OutOfOrder { .. })),
        (Err(_), Ok(_)) => panic!("a proof was accepted without a challenge"),
    }
    assert!(server.client_first(first).is_err() && server.client_final(second).is_err());
}

fn scram_client(first: &[u8], second: &[u8]) {
    let mut client = ScramClient::new(CLIENT_NONCE);
    let keys = ScramKeys::from_salted_password(&[7; 32]);
    let challenged = client.server_first(first);
    let proof = client.final_message(&keys);
    assert_eq!(proof.is_empty(), challenged.is_err());
    let ended = client.server_final(second);
    assert!(challenged.is_ok() || ended.is_err());
    assert!(client.server_first(first).is_err() && client.server_final(second).is_err());
}

fn stored_secret(stored: &str, answer: &[u8]) {
    if let Ok(verifier) = ScramVerifier::parse(stored) {
        assert_eq!(ScramVerifier::parse(&verifier.to_string()), Ok(verifier));
    }
    let salt = answer.first_chunk().copied().unwrap_or_default();
    let expected = md5::md5_response(stored, salt);
    assert!(expected.is_none_or(|expected| md5::md5_verify(stored, salt, expected.as_bytes())));
    let _ = md5::md5_verify(stored, salt, answer);
}
