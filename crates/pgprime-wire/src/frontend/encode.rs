//! Messages of clients: each function appends one whole message.

use super::Target;
use crate::tag::frontend as tag;
use crate::write;

/// Parse. `parameter_types` is as in [`super::Parse::parameter_types`]; empty stands for no types.
pub fn parse(out: &mut Vec<u8>, name: &[u8], query: &[u8], parameter_types: &[u8]) {
    write::message(out, tag::PARSE, |out| {
        write::text(out, name);
        write::text(out, query);
        let none = 0_u16.to_be_bytes();
        out.extend_from_slice(if parameter_types.is_empty() { &none } else { parameter_types });
    });
}

/// The beginning of a Bind: header, portal and statement. Exactly `rest_len` bytes must follow, those of
/// [`super::Bind::rest`]: a Bind gets another statement's name without being held whole.
pub fn bind_prefix(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], rest_len: usize) {
    let (portal, statement) = (write::cut_at_nul(portal), write::cut_at_nul(statement));
    let fixed = size_of::<u32>() + "\0\0".len();
    let len = [portal.len(), statement.len(), rest_len].into_iter().fold(fixed, usize::saturating_add);
    out.push(tag::BIND);
    out.extend_from_slice(&write::length_field(len));
    write::text(out, portal);
    write::text(out, statement);
}

/// Bind with parameters in text form and results in text form; `None` is NULL. Parameters beyond 65,535 are left
/// out: the protocol's count has 16 bits.
pub fn bind_text(out: &mut Vec<u8>, portal: &[u8], statement: &[u8], params: &[Option<&[u8]>]) {
    let default_formats = 0_u16.to_be_bytes();
    write::message(out, tag::BIND, |out| {
        write::text(out, portal);
        write::text(out, statement);
        out.extend_from_slice(&default_formats);
        write::counted(out, params, u16::MAX, |out, param| write::value(out, *param));
        out.extend_from_slice(&default_formats);
    });
}

/// Describe of a statement.
pub fn describe_statement(out: &mut Vec<u8>, name: &[u8]) {
    targeted(out, tag::DESCRIBE, Target::Statement, name);
}

/// Describe of a portal.
pub fn describe_portal(out: &mut Vec<u8>, name: &[u8]) {
    targeted(out, tag::DESCRIBE, Target::Portal, name);
}

/// Close of a statement.
pub fn close_statement(out: &mut Vec<u8>, name: &[u8]) {
    targeted(out, tag::CLOSE, Target::Statement, name);
}

/// Close of a portal.
pub fn close_portal(out: &mut Vec<u8>, name: &[u8]) {
    targeted(out, tag::CLOSE, Target::Portal, name);
}

fn targeted(out: &mut Vec<u8>, tag: u8, target: Target, name: &[u8]) {
    write::message(out, tag, |out| {
        out.push(target.as_byte());
        write::text(out, name);
    });
}

/// Execute; `rows_max` 0 is all rows.
pub fn execute(out: &mut Vec<u8>, portal: &[u8], rows_max: u32) {
    write::message(out, tag::EXECUTE, |out| {
        write::text(out, portal);
        out.extend_from_slice(&rows_max.to_be_bytes());
    });
}

/// Sync.
pub fn sync(out: &mut Vec<u8>) {
    write::message(out, tag::SYNC, |_| {});
}

/// Flush.
pub fn flush(out: &mut Vec<u8>) {
    write::message(out, tag::FLUSH, |_| {});
}

/// Query of the simple protocol.
pub fn query(out: &mut Vec<u8>, text: &[u8]) {
    write::message(out, tag::QUERY, |out| write::text(out, text));
}

/// Terminate.
pub fn terminate(out: &mut Vec<u8>) {
    write::message(out, tag::TERMINATE, |_| {});
}

/// PasswordMessage: a password in clear text or an MD5 response.
pub fn password(out: &mut Vec<u8>, password: &[u8]) {
    write::message(out, tag::PASSWORD, |out| write::text(out, password));
}

/// SASLInitialResponse: the chosen mechanism and its first message.
pub fn sasl_initial(out: &mut Vec<u8>, mechanism: &str, data: &[u8]) {
    write::message(out, tag::PASSWORD, |out| {
        write::text(out, mechanism.as_bytes());
        write::value(out, Some(data));
    });
}

/// SASLResponse: a later message of the mechanism.
pub fn sasl_response(out: &mut Vec<u8>, data: &[u8]) {
    write::message(out, tag::PASSWORD, |out| out.extend_from_slice(data));
}

/// CopyData. The message is the same in both directions.
pub fn copy_data(out: &mut Vec<u8>, data: &[u8]) {
    write::message(out, tag::COPY_DATA, |out| out.extend_from_slice(data));
}

/// CopyDone. The message is the same in both directions.
pub fn copy_done(out: &mut Vec<u8>) {
    write::message(out, tag::COPY_DONE, |_| {});
}

/// CopyFail, with the reason that the server reports.
pub fn copy_fail(out: &mut Vec<u8>, reason: &str) {
    write::message(out, tag::COPY_FAIL, |out| write::text(out, reason.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_prefix_and_its_rest_are_the_same_message() {
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        bind_text(&mut whole, b"p", b"renamed", &[Some(b"42"), None]);
        let rest = b"\0\0\0\x02\0\0\0\x0242\xff\xff\xff\xff\0\0";
        bind_prefix(&mut parts, b"p", b"renamed", rest.len());
        parts.extend_from_slice(rest);
        assert_eq!(parts, whole);
    }

    #[test]
    fn a_bind_prefix_of_a_rest_beyond_all_lengths_is_refused_by_the_receiver() {
        for rest_len in [i32::MAX as usize, usize::MAX] {
            let mut out = Vec::new();
            bind_prefix(&mut out, b"", b"", rest_len);
            assert!(crate::frame::Header::peek(&out).is_err());
        }
    }

    #[test]
    fn no_text_can_forge_the_next_field() {
        let check = |encode: &dyn Fn(&mut Vec<u8>), expected: &dyn Fn(&mut Vec<u8>)| {
            let (mut forged, mut honest) = (Vec::new(), Vec::new());
            encode(&mut forged);
            expected(&mut honest);
            assert_eq!(forged, honest);
        };
        check(&|out| parse(out, b"s\0DROP", b"a\0b", b""), &|out| parse(out, b"s", b"a", b"\0\0"));
        check(&|out| bind_prefix(out, b"p\0x", b"s\0y", 9), &|out| bind_prefix(out, b"p", b"s", 9));
        check(&|out| query(out, b"SELECT 1\0;"), &|out| query(out, b"SELECT 1"));
        check(&|out| execute(out, b"p\0x", 1), &|out| execute(out, b"p", 1));
    }
}
