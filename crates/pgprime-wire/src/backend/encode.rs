//! Messages of servers: each function appends one whole message.

use super::{
    AUTH_CLEARTEXT, AUTH_MD5, AUTH_OK, AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL, MAJOR_3,
    TransactionStatus,
};
use crate::startup::CancelKey;
use crate::tag::backend as tag;
use crate::write;

/// Columns in a row, at most; PostgreSQL's own bound is lower. Those beyond it are left out.
const COLUMNS_MAX: u16 = i16::MAX as u16;
/// Values in text form.
const TEXT_FORMAT: u16 = 0;

/// AuthenticationOk.
pub fn authentication_ok(out: &mut Vec<u8>) {
    authentication(out, AUTH_OK, |_| {});
}

/// AuthenticationCleartextPassword.
pub fn authentication_cleartext(out: &mut Vec<u8>) {
    authentication(out, AUTH_CLEARTEXT, |_| {});
}

/// AuthenticationMD5Password.
pub fn authentication_md5(out: &mut Vec<u8>, salt: [u8; 4]) {
    authentication(out, AUTH_MD5, |out| out.extend_from_slice(&salt));
}

/// AuthenticationSASL: the mechanisms to choose from. An empty name is left out: it would end the list.
pub fn authentication_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    authentication(out, AUTH_SASL, |out| {
        for mechanism in mechanisms {
            if !write::cut_at_nul(mechanism.as_bytes()).is_empty() {
                write::text(out, mechanism.as_bytes());
            }
        }
        out.push(0);
    });
}

/// AuthenticationSASLContinue: the mechanism's next message.
pub fn authentication_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, AUTH_SASL_CONTINUE, |out| out.extend_from_slice(data));
}

/// AuthenticationSASLFinal: the mechanism's last message.
pub fn authentication_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    authentication(out, AUTH_SASL_FINAL, |out| out.extend_from_slice(data));
}

fn authentication(out: &mut Vec<u8>, method: i32, body: impl FnOnce(&mut Vec<u8>)) {
    write::message(out, tag::AUTHENTICATION, |out| {
        out.extend_from_slice(&method.to_be_bytes());
        body(out);
    });
}

/// NegotiateProtocolVersion: the newest version is 3.`minor`, and these options are not known.
pub fn negotiate_protocol_version(out: &mut Vec<u8>, minor: u32, options: &[&str]) {
    write::message(out, tag::NEGOTIATE_PROTOCOL_VERSION, |out| {
        out.extend_from_slice(&(MAJOR_3 | minor.min(0xffff)).to_be_bytes());
        out.extend_from_slice(&write::length_field(options.len()));
        options.iter().for_each(|option| write::text(out, option.as_bytes()));
    });
}

/// ParameterStatus.
pub fn parameter_status(out: &mut Vec<u8>, name: &str, value: &str) {
    write::message(out, tag::PARAMETER_STATUS, |out| {
        write::text(out, name.as_bytes());
        write::text(out, value.as_bytes());
    });
}

/// BackendKeyData.
pub fn backend_key_data(out: &mut Vec<u8>, key: &CancelKey) {
    write::message(out, tag::BACKEND_KEY_DATA, |out| key.write(out));
}

/// ReadyForQuery.
pub fn ready_for_query(out: &mut Vec<u8>, status: TransactionStatus) {
    write::message(out, tag::READY_FOR_QUERY, |out| out.push(status.as_byte()));
}

/// What an ErrorResponse or a NoticeResponse says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorNotice<'a> {
    /// `ERROR`, `FATAL`, `WARNING`, `NOTICE`…
    pub severity: &'a str,
    /// Five characters.
    pub sqlstate: &'a str,
    /// What happened.
    pub message: &'a str,
    /// More about it.
    pub detail: Option<&'a str>,
    /// What to do about it.
    pub hint: Option<&'a str>,
    /// Where in PostgreSQL's source it comes from, which some drivers go by.
    pub routine: Option<&'a str>,
}

/// ErrorResponse.
pub fn error_response(out: &mut Vec<u8>, error: &ErrorNotice<'_>) {
    error_or_notice(out, tag::ERROR_RESPONSE, error);
}

/// NoticeResponse.
pub fn notice_response(out: &mut Vec<u8>, notice: &ErrorNotice<'_>) {
    error_or_notice(out, tag::NOTICE_RESPONSE, notice);
}

fn error_or_notice(out: &mut Vec<u8>, tag: u8, fields: &ErrorNotice<'_>) {
    let fields = [
        // Once to be shown, in the server's language, and once for programs.
        (b'S', Some(fields.severity)),
        (b'V', Some(fields.severity)),
        (b'C', Some(fields.sqlstate)),
        (b'M', Some(fields.message)),
        (b'D', fields.detail),
        (b'H', fields.hint),
        (b'R', fields.routine),
    ];
    write::message(out, tag, |out| {
        for (code, value) in fields {
            if let Some(value) = value {
                out.push(code);
                write::text(out, value.as_bytes());
            }
        }
        out.push(0);
    });
}

/// CommandComplete with its command tag, such as `SELECT 1`.
pub fn command_complete(out: &mut Vec<u8>, command_tag: &str) {
    write::message(out, tag::COMMAND_COMPLETE, |out| write::text(out, command_tag.as_bytes()));
}

/// ParseComplete.
pub fn parse_complete(out: &mut Vec<u8>) {
    write::message(out, tag::PARSE_COMPLETE, |_| {});
}

/// BindComplete.
pub fn bind_complete(out: &mut Vec<u8>) {
    write::message(out, tag::BIND_COMPLETE, |_| {});
}

/// CloseComplete.
pub fn close_complete(out: &mut Vec<u8>) {
    write::message(out, tag::CLOSE_COMPLETE, |_| {});
}

/// NoData.
pub fn no_data(out: &mut Vec<u8>) {
    write::message(out, tag::NO_DATA, |_| {});
}

/// EmptyQueryResponse.
pub fn empty_query_response(out: &mut Vec<u8>) {
    write::message(out, tag::EMPTY_QUERY_RESPONSE, |_| {});
}

/// One column of a RowDescription: text form, of no table, without a type modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'a> {
    /// The column's name.
    pub name: &'a str,
    /// OID of the type: 25 for text, 20 for bigint, 23 for integer.
    pub type_oid: u32,
    /// Bytes of the type's binary form; negative where it varies.
    pub type_len: i16,
}

/// RowDescription.
pub fn row_description(out: &mut Vec<u8>, columns: &[Column<'_>]) {
    let (no_table, no_attribute, no_modifier) = (0_u32, 0_u16, -1_i32);
    write::message(out, tag::ROW_DESCRIPTION, |out| {
        write::counted(out, columns, COLUMNS_MAX, |out, column| {
            write::text(out, column.name.as_bytes());
            out.extend_from_slice(&no_table.to_be_bytes());
            out.extend_from_slice(&no_attribute.to_be_bytes());
            out.extend_from_slice(&column.type_oid.to_be_bytes());
            out.extend_from_slice(&column.type_len.to_be_bytes());
            out.extend_from_slice(&no_modifier.to_be_bytes());
            out.extend_from_slice(&TEXT_FORMAT.to_be_bytes());
        });
    });
}

/// DataRow; `None` is NULL.
pub fn data_row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    write::message(out, tag::DATA_ROW, |out| {
        write::counted(out, values, COLUMNS_MAX, |out, value| write::value(out, *value));
    });
}

/// CopyInResponse for this many columns in text form.
pub fn copy_in_response(out: &mut Vec<u8>, columns: u16) {
    copy_response(out, tag::COPY_IN_RESPONSE, columns);
}

/// CopyOutResponse for this many columns in text form.
pub fn copy_out_response(out: &mut Vec<u8>, columns: u16) {
    copy_response(out, tag::COPY_OUT_RESPONSE, columns);
}

fn copy_response(out: &mut Vec<u8>, tag: u8, columns: u16) {
    let columns = columns.min(COLUMNS_MAX);
    write::message(out, tag, |out| {
        out.push(0);
        out.extend_from_slice(&columns.to_be_bytes());
        (0..columns).for_each(|_| out.extend_from_slice(&TEXT_FORMAT.to_be_bytes()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{ErrorFields, NegotiateProtocolVersion};
    use crate::frame::Header;

    /// The body of the one message that `encode` appends.
    fn body(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out);
        let header = Header::peek(&out).unwrap().unwrap();
        assert_eq!(header.len, out.len());
        header.body(&out).to_vec()
    }

    #[test]
    fn an_error_holds_the_fields_that_it_has() {
        let error = ErrorNotice {
            severity: "FATAL",
            sqlstate: "53300",
            message: "too many\0VPANIC",
            detail: None,
            hint: Some("Wait."),
            routine: Some("ProcessStartupPacket"),
        };
        let body = body(|out| error_response(out, &error));
        let fields = ErrorFields::parse(&body);
        assert_eq!((fields.severity(), fields.sqlstate()), (Some("FATAL"), Some("53300")));
        assert_eq!((fields.message(), fields.hint()), (Some("too many"), Some("Wait.")));
        assert_eq!((fields.detail(), fields.routine()), (None, Some("ProcessStartupPacket")));
    }

    #[test]
    fn a_mechanism_cannot_end_the_list() {
        let body = body(|out| authentication_sasl(out, &["", "A\0B", "\0", "C"]));
        let expected = super::super::Authentication::Sasl { mechanisms: vec!["A", "C"] };
        assert_eq!(super::super::authentication(&body), Ok(expected));
    }

    #[test]
    fn a_version_goes_round() {
        let body = body(|out| negotiate_protocol_version(out, 2, &["_pq_.x"]));
        let answer = NegotiateProtocolVersion { minor: 2, options: vec!["_pq_.x"] };
        assert_eq!(NegotiateProtocolVersion::decode(&body), Ok(answer));
    }

    #[test]
    fn a_row_never_says_more_columns_than_it_has() {
        let body = body(|out| data_row(out, &vec![None; 40_000]));
        assert_eq!(body[..2], COLUMNS_MAX.to_be_bytes());
        assert_eq!(body.len(), 2 + 4 * usize::from(COLUMNS_MAX));
    }
}
