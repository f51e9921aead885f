//! One example of every message that the crate writes, with the bytes that the protocol's description gives it.

use pgprime_wire::backend::encode as server;
use pgprime_wire::backend::encode::{Column, ErrorNotice};
use pgprime_wire::backend::{self, ErrorFields, NegotiateProtocolVersion, TransactionStatus};
use pgprime_wire::frontend::encode as client;
use pgprime_wire::frontend::{self, Bind, Close, Describe, Execute, Parse, SaslInitial};
use pgprime_wire::startup::{self, CancelKey};

/// One message.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    /// As the crate writes it.
    pub(crate) encoded: Vec<u8>,
    /// As it must be.
    pub(crate) expected: &'static [u8],
    /// What its decoder accepts, of a tagged message's body or of a whole packet.
    pub(crate) accepts: Accepts,
}

/// Which parts of a message its decoder accepts.
pub(crate) enum Accepts {
    /// The whole only.
    Whole(fn(&[u8]) -> bool),
    /// The whole, and what is cut after this many bytes of the body: the rest is not the decoder's.
    From(usize, fn(&[u8]) -> bool),
    /// The crate has no decoder for it.
    NotDecoded,
}

use Accepts::{From, NotDecoded, Whole};

fn sample(
    name: &'static str,
    encode: impl FnOnce(&mut Vec<u8>),
    expected: &'static [u8],
    accepts: Accepts,
) -> Sample {
    let mut encoded = Vec::new();
    encode(&mut encoded);
    Sample { name, encoded, expected, accepts }
}

fn key() -> CancelKey {
    CancelKey { process_id: 258, secret: b"key!".to_vec() }
}

/// The packets without a tag.
pub(crate) fn startup_packets() -> Vec<Sample> {
    let accepts = || Whole(|packet| startup::decode(packet).is_ok());
    vec![
        sample("ssl_request", startup::encode_ssl_request, b"\0\0\0\x08\x04\xd2\x16\x2f", accepts()),
        sample(
            "cancel_request",
            |out| startup::encode_cancel(out, &key()),
            b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\x01\x02key!",
            accepts(),
        ),
        sample(
            "startup",
            |out| startup::encode_startup(out, 2, &[("user", "bob"), ("database", "shop")]),
            b"\0\0\0\x20\0\x03\0\x02user\0bob\0database\0shop\0\0",
            accepts(),
        ),
    ]
}

/// Messages of clients, except those of authentication.
fn frontend_messages() -> Vec<Sample> {
    vec![
        sample(
            "query",
            |out| client::query(out, b"SELECT 1"),
            b"Q\0\0\0\x0dSELECT 1\0",
            Whole(|body| frontend::query_text(body) == Ok(b"SELECT 1")),
        ),
        sample(
            "parse",
            |out| client::parse(out, b"s", b"SELECT $1", b"\0\x01\0\0\0\x14"),
            b"P\0\0\0\x16s\0SELECT $1\0\0\x01\0\0\0\x14",
            Whole(|body| Parse::decode(body).is_ok()),
        ),
        sample(
            "parse_without_types",
            |out| client::parse(out, b"", b";", b""),
            b"P\0\0\0\x09\0;\0\0\0",
            Whole(|body| Parse::decode(body).is_ok()),
        ),
        sample(
            "bind",
            |out| client::bind_text(out, b"p", b"st", &[Some(b"42"), None, Some(b"")]),
            b"B\0\0\0\x1d\
              p\0st\0\0\0\0\x03\0\0\0\x0242\xff\xff\xff\xff\0\0\0\0\0\0",
            From(5, |body| Bind::decode(body).is_ok()),
        ),
        sample(
            "describe_statement",
            |out| client::describe_statement(out, b"s"),
            b"D\0\0\0\x07Ss\0",
            Whole(|body| Describe::decode(body).is_ok()),
        ),
        sample(
            "describe_portal",
            |out| client::describe_portal(out, b""),
            b"D\0\0\0\x06P\0",
            Whole(|body| Describe::decode(body).is_ok()),
        ),
        sample(
            "execute",
            |out| client::execute(out, b"p", 100),
            b"E\0\0\0\x0ap\0\0\0\0\x64",
            Whole(|body| Execute::decode(body).is_ok()),
        ),
        sample(
            "close_statement",
            |out| client::close_statement(out, b"s"),
            b"C\0\0\0\x07Ss\0",
            Whole(|body| Close::decode(body).is_ok()),
        ),
        sample(
            "close_portal",
            |out| client::close_portal(out, b"p"),
            b"C\0\0\0\x07Pp\0",
            Whole(|body| Close::decode(body).is_ok()),
        ),
        sample("sync", client::sync, b"S\0\0\0\x04", NotDecoded),
        sample("flush", client::flush, b"H\0\0\0\x04", NotDecoded),
        sample("terminate", client::terminate, b"X\0\0\0\x04", NotDecoded),
        sample("copy_data", |out| client::copy_data(out, b"1\t2\n"), b"d\0\0\0\x081\t2\n", NotDecoded),
        sample("copy_done", client::copy_done, b"c\0\0\0\x04", NotDecoded),
        sample("copy_fail", |out| client::copy_fail(out, "no"), b"f\0\0\0\x07no\0", NotDecoded),
    ]
}

/// Messages of both sides about authentication.
fn authentication_messages() -> Vec<Sample> {
    let request = || Whole(|body| backend::authentication(body).is_ok());
    let request_from = |at| From(at, |body: &[u8]| backend::authentication(body).is_ok());
    vec![
        sample(
            "password",
            |out| client::password(out, b"pencil"),
            b"p\0\0\0\x0bpencil\0",
            Whole(|body| frontend::password_text(body) == Ok(b"pencil")),
        ),
        sample(
            "sasl_initial",
            |out| client::sasl_initial(out, "SCRAM-SHA-256", b"n,,n=,r=x"),
            b"p\0\0\0\x1fSCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x",
            Whole(|body| SaslInitial::decode(body).is_ok()),
        ),
        sample(
            "sasl_response",
            |out| client::sasl_response(out, b"c=biws"),
            b"p\0\0\0\x0ac=biws",
            NotDecoded,
        ),
        sample("authentication_ok", server::authentication_ok, b"R\0\0\0\x08\0\0\0\0", request()),
        sample(
            "authentication_cleartext",
            server::authentication_cleartext,
            b"R\0\0\0\x08\0\0\0\x03",
            request(),
        ),
        sample(
            "authentication_md5",
            |out| server::authentication_md5(out, *b"salt"),
            b"R\0\0\0\x0c\0\0\0\x05salt",
            request(),
        ),
        sample(
            "authentication_sasl",
            |out| server::authentication_sasl(out, &["SCRAM-SHA-256"]),
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
            request(),
        ),
        sample(
            "authentication_sasl_continue",
            |out| server::authentication_sasl_continue(out, b"r=x"),
            b"R\0\0\0\x0b\0\0\0\x0br=x",
            request_from(4),
        ),
        sample(
            "authentication_sasl_final",
            |out| server::authentication_sasl_final(out, b"v=x"),
            b"R\0\0\0\x0b\0\0\0\x0cv=x",
            request_from(4),
        ),
    ]
}

/// Messages of servers about the session, after authentication.
fn session_messages() -> Vec<Sample> {
    vec![
        sample(
            "negotiate_protocol_version",
            |out| server::negotiate_protocol_version(out, 0, &["_pq_.x"]),
            b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0",
            Whole(|body| NegotiateProtocolVersion::decode(body).is_ok()),
        ),
        sample(
            "backend_key_data",
            |out| server::backend_key_data(out, &key()),
            b"K\0\0\0\x0c\0\0\x01\x02key!",
            Whole(|body| backend::backend_key_data(body) == Ok(key())),
        ),
        sample(
            "parameter_status",
            |out| server::parameter_status(out, "TimeZone", "UTC"),
            b"S\0\0\0\x11TimeZone\0UTC\0",
            Whole(|body| backend::parameter_status(body) == Ok(("TimeZone", "UTC"))),
        ),
    ]
}

fn columns_of(body: &[u8]) -> Option<Vec<(Vec<u8>, u32, i32)>> {
    let columns = backend::row_description(body).ok()?;
    let parts =
        |column: backend::ResultColumn<'_>| (column.name.to_vec(), column.type_oid, column.type_modifier);
    columns.map(|column| column.ok().map(parts)).collect()
}

const ERROR: ErrorNotice<'_> = ErrorNotice {
    severity: "ERROR",
    sqlstate: "42P01",
    message: "no table",
    detail: Some("d"),
    hint: Some("h"),
    routine: Some("r"),
};

/// Messages of servers that answer requests.
fn backend_messages() -> Vec<Sample> {
    let notice = ErrorNotice { detail: None, hint: None, routine: None, ..ERROR };
    let columns =
        [Column { name: "id", type_oid: 20, type_len: 8 }, Column { name: "t", type_oid: 25, type_len: -1 }];
    vec![
        sample(
            "ready_for_query",
            |out| server::ready_for_query(out, TransactionStatus::InTransaction),
            b"Z\0\0\0\x05T",
            Whole(|body| backend::ready_for_query(body).is_ok()),
        ),
        sample(
            "error_response",
            |out| server::error_response(out, &ERROR),
            b"E\0\0\0\x2dSERROR\0VERROR\0C42P01\0Mno table\0Dd\0Hh\0Rr\0\0",
            // Reading never fails: a field is there once its NUL is.
            From(37, |body| ErrorFields::parse(body).hint() == Some("h")),
        ),
        sample(
            "notice_response",
            |out| server::notice_response(out, &notice),
            b"N\0\0\0\x24SERROR\0VERROR\0C42P01\0Mno table\0\0",
            From(31, |body| ErrorFields::parse(body).message() == Some("no table")),
        ),
        sample(
            "command_complete",
            |out| server::command_complete(out, "SELECT 1"),
            b"C\0\0\0\x0dSELECT 1\0",
            Whole(|body| backend::command_tag(body) == Ok(b"SELECT 1")),
        ),
        sample("parse_complete", server::parse_complete, b"1\0\0\0\x04", NotDecoded),
        sample("bind_complete", server::bind_complete, b"2\0\0\0\x04", NotDecoded),
        sample("close_complete", server::close_complete, b"3\0\0\0\x04", NotDecoded),
        sample("no_data", server::no_data, b"n\0\0\0\x04", NotDecoded),
        sample("empty_query_response", server::empty_query_response, b"I\0\0\0\x04", NotDecoded),
        sample(
            "row_description",
            |out| server::row_description(out, &columns),
            b"T\0\0\0\x2f\0\x02\
              id\0\0\0\0\0\0\0\0\0\0\x14\0\x08\xff\xff\xff\xff\0\0\
              t\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
            Whole(|body| columns_of(body) == Some(vec![(b"id".to_vec(), 20, -1), (b"t".to_vec(), 25, -1)])),
        ),
        sample(
            "data_row",
            |out| server::data_row(out, &[Some(b"7"), None, Some(b"")]),
            b"D\0\0\0\x13\0\x03\0\0\0\x017\xff\xff\xff\xff\0\0\0\0",
            NotDecoded,
        ),
        sample(
            "copy_in_response",
            |out| server::copy_in_response(out, 2),
            b"G\0\0\0\x0b\0\0\x02\0\0\0\0",
            NotDecoded,
        ),
        sample(
            "copy_out_response",
            |out| server::copy_out_response(out, 1),
            b"H\0\0\0\x09\0\0\x01\0\0",
            NotDecoded,
        ),
    ]
}

/// The messages with a tag.
pub(crate) fn tagged() -> Vec<Sample> {
    let all = [frontend_messages(), authentication_messages(), session_messages(), backend_messages()];
    all.into_iter().flatten().collect()
}
