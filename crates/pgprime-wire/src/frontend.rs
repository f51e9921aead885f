//! Messages of clients. Names and texts are bytes: their encoding is the client's and not known here.

pub mod encode;

use crate::WireError;
use crate::read::{Reader, split_text};

/// Prepare a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Name of the statement; empty for the unnamed one.
    pub name: &'a [u8],
    /// The statement's text.
    pub query: &'a [u8],
    /// Types of the parameters as they stand in the message: a 16-bit count and that many 32-bit OIDs.
    pub parameter_types: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Decodes the body of a Parse message.
    ///
    /// # Errors
    /// A text without its NUL; a count of types that is not what follows.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Parse", body);
        let name = reader.text("a statement's name")?;
        let query = reader.text("a query")?;
        let parameter_types = reader.rest();
        let count = usize::from(reader.u16("a count of parameter types")?);
        let held = reader.rest().len() / size_of::<u32>();
        if count != held || !reader.rest().len().is_multiple_of(size_of::<u32>()) {
            return Err(reader.out_of_bounds("a count of parameter types", held, held, count));
        }
        Ok(Self { name, query, parameter_types })
    }
}

/// Make a portal of a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Name of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Name of the statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// Formats and values, which only the server reads: not checked here.
    pub rest: &'a [u8],
}

impl<'a> Bind<'a> {
    /// Decodes the body of a Bind message.
    ///
    /// # Errors
    /// A name without its NUL.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Bind", body);
        let portal = reader.text("a portal's name")?;
        let statement = reader.text("a statement's name")?;
        Ok(Self { portal, statement, rest: reader.rest() })
    }
}

/// The names in the first part of a Bind body that has not all arrived: portal, statement, and where the rest
/// begins in the body. `None` while a name's end is not there yet.
#[must_use]
pub fn bind_names(partial_body: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let (portal, after_portal) = split_text(partial_body)?;
    let (statement, rest) = split_text(after_portal)?;
    Some((portal, statement, partial_body.len().saturating_sub(rest.len())))
}

/// What a Describe or Close is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A prepared statement.
    Statement,
    /// A portal.
    Portal,
}

impl Target {
    fn as_byte(self) -> u8 {
        match self {
            Self::Statement => b'S',
            Self::Portal => b'P',
        }
    }
}

/// Describe a statement or a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Describe<'a> {
    /// Statement or portal.
    pub target: Target,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Describe<'a> {
    /// Decodes the body of a Describe message.
    ///
    /// # Errors
    /// A target other than `S` and `P`; a name without its NUL; bytes after it.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        decode_target("Describe", body).map(|(target, name)| Self { target, name })
    }
}

/// Close a statement or a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close<'a> {
    /// Statement or portal.
    pub target: Target,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

impl<'a> Close<'a> {
    /// Decodes the body of a Close message.
    ///
    /// # Errors
    /// A target other than `S` and `P`; a name without its NUL; bytes after it.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        decode_target("Close", body).map(|(target, name)| Self { target, name })
    }
}

fn decode_target<'a>(message: &'static str, body: &'a [u8]) -> Result<(Target, &'a [u8]), WireError> {
    let mut reader = Reader::new(message, body);
    let field = "its target";
    let target = match reader.u8(field)? {
        b'S' => Target::Statement,
        b'P' => Target::Portal,
        found => return Err(WireError::UnknownByte { message, field, expected: "S or P", found }),
    };
    let name = reader.text("a name")?;
    reader.finish()?;
    Ok((target, name))
}

/// Run a portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Name of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Rows after which the portal is suspended. 0 is all rows, and so is a value above `i32::MAX`, which is a
    /// negative number on the wire.
    pub rows_max: u32,
}

impl<'a> Execute<'a> {
    /// Decodes the body of an Execute message.
    ///
    /// # Errors
    /// A name without its NUL; a body that does not end after the limit of rows.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Execute", body);
        let portal = reader.text("a portal's name")?;
        let rows_max = reader.u32("a limit of rows")?;
        reader.finish()?;
        Ok(Self { portal, rows_max })
    }
}

/// The text of a Query message's body, without its NUL.
///
/// # Errors
/// No NUL, or one before the body's end.
pub fn query_text(body: &[u8]) -> Result<&[u8], WireError> {
    only_text("Query", "a query", body)
}

/// The password of a PasswordMessage's body, without its NUL.
///
/// # Errors
/// No NUL, or one before the body's end.
pub fn password_text(body: &[u8]) -> Result<&[u8], WireError> {
    only_text("PasswordMessage", "a password", body)
}

fn only_text<'a>(message: &'static str, field: &'static str, body: &'a [u8]) -> Result<&'a [u8], WireError> {
    let mut reader = Reader::new(message, body);
    let text = reader.text(field)?;
    reader.finish()?;
    Ok(text)
}

/// A client's choice of a SASL mechanism, with its first message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    /// The mechanism's name.
    pub mechanism: &'a str,
    /// The mechanism's first message; `None` where the client waits for the server to begin.
    pub data: Option<&'a [u8]>,
}

impl<'a> SaslInitial<'a> {
    /// Decodes the body of a SASLInitialResponse.
    ///
    /// # Errors
    /// A mechanism that is not UTF-8 or without its NUL; a length other than -1 that is not what follows.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("SASLInitialResponse", body);
        let mechanism = reader.utf8("a mechanism's name")?;
        let length = reader.i32("a length of data")?;
        if length == -1 {
            reader.finish()?;
            return Ok(Self { mechanism, data: None });
        }
        let data = reader.rest();
        if usize::try_from(length) != Ok(data.len()) {
            return Err(WireError::OutOfBounds {
                message: "SASLInitialResponse",
                field: "a length of data",
                min: i64::try_from(data.len()).unwrap_or(i64::MAX),
                max: i64::try_from(data.len()).unwrap_or(i64::MAX),
                found: i64::from(length),
            });
        }
        Ok(Self { mechanism, data: Some(data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_has_a_name_a_query_and_types() {
        let check = |body: &[u8], expected: Option<(&[u8], &[u8], &[u8])>| {
            let decoded =
                Parse::decode(body).ok().map(|parse| (parse.name, parse.query, parse.parameter_types));
            assert_eq!(decoded, expected, "{body:?}");
        };
        check(b"s1\0SELECT $1\0\0\x01\0\0\0\x17", Some((b"s1", b"SELECT $1", b"\0\x01\0\0\0\x17")));
        check(b"\0\0\0\0", Some((b"", b"", b"\0\0")));
        check(b"\xff\xfe\0\xc3\0\0\0", Some((b"\xff\xfe", b"\xc3", b"\0\0")));
        check(b"", None);
        check(b"s1", None);
        check(b"s1\0SELECT 1", None);
        check(b"s1\0SELECT 1\0", None);
        check(b"s1\0SELECT 1\0\0", None);
        check(b"s1\0SELECT 1\0\0\x01", None);
        check(b"s1\0SELECT 1\0\0\x01\0\0\0", None);
        check(b"s1\0SELECT 1\0\0\0\0", None);
        check(b"s1\0SELECT 1\0\0\x02\0\0\0\x17", None);
        check(b"s1\0SELECT 1\0\xff\xff", None);
    }

    #[test]
    fn bind_has_two_names_and_a_rest_that_is_not_read() {
        let bind = Bind::decode(b"p\0s\0anything").unwrap();
        assert_eq!(bind, Bind { portal: b"p", statement: b"s", rest: b"anything" });
        assert!(Bind::decode(b"p\0s").is_err());
    }

    #[test]
    fn bind_names_are_found_in_a_part_of_the_body() {
        let whole = b"p1\0stmt\0\0\0\0\x01";
        for cut in 0..=whole.len() {
            let found = bind_names(&whole[..cut]);
            assert_eq!(found, (cut >= 8).then_some((&b"p1"[..], &b"stmt"[..], 8)), "cut at {cut}");
        }
        assert_eq!(bind_names(b"\0\0"), Some((&b""[..], &b""[..], 2)));
    }

    #[test]
    fn describe_and_close_have_a_target_and_a_name() {
        let check = |body: &[u8], expected: Option<(Target, &[u8])>| {
            let describe = Describe::decode(body).ok().map(|describe| (describe.target, describe.name));
            let close = Close::decode(body).ok().map(|close| (close.target, close.name));
            assert_eq!((describe, close), (expected, expected), "{body:?}");
        };
        check(b"Ss1\0", Some((Target::Statement, b"s1")));
        check(b"P\0", Some((Target::Portal, b"")));
        check(b"", None);
        check(b"S", None);
        check(b"Ss1", None);
        check(b"Ss1\0x", None);
        check(b"Xs1\0", None);
        check(b"\0\0", None);
    }

    #[test]
    fn execute_has_a_portal_and_a_limit_of_rows() {
        let check = |body: &[u8], expected: Option<(&[u8], u32)>| {
            let decoded = Execute::decode(body).ok().map(|execute| (execute.portal, execute.rows_max));
            assert_eq!(decoded, expected, "{body:?}");
        };
        check(b"\0\0\0\0\0", Some((b"", 0)));
        check(b"p\0\0\0\x01\0", Some((b"p", 256)));
        check(b"p\0\xff\xff\xff\xff", Some((b"p", u32::MAX)));
        check(b"p", None);
        check(b"p\0\0\0\0", None);
        check(b"p\0\0\0\0\0\0", None);
    }

    #[test]
    fn a_single_text_is_the_whole_body() {
        for decode in [query_text, password_text] {
            assert_eq!(decode(b"\0"), Ok(&b""[..]));
            assert_eq!(decode(b"SELECT '\xc3'\0"), Ok(&b"SELECT '\xc3'"[..]));
            for body in [&b""[..], b"SELECT 1", b"SELECT 1\0;\0", b"\0\0"] {
                assert!(decode(body).is_err(), "{body:?}");
            }
        }
    }

    #[test]
    fn sasl_initial_response_may_have_no_data() {
        let check = |body: &[u8], expected: Option<(&str, Option<&[u8]>)>| {
            let decoded = SaslInitial::decode(body).ok().map(|initial| (initial.mechanism, initial.data));
            assert_eq!(decoded, expected, "{body:?}");
        };
        check(b"SCRAM-SHA-256\0\0\0\0\x03n,,", Some(("SCRAM-SHA-256", Some(b"n,,"))));
        check(b"X\0\0\0\0\0", Some(("X", Some(b""))));
        check(b"X\0\xff\xff\xff\xff", Some(("X", None)));
        check(b"X\0\xff\xff\xff\xffdata", None);
        check(b"X\0\xff\xff\xff\xfe", None);
        check(b"X\0\x80\0\0\0", None);
        check(b"X\0\0\0\0\x04n,,", None);
        check(b"X\0\0\0\0\x02n,,", None);
        check(b"X\0\0\0\0", None);
        check(b"\xff\0\0\0\0\0", None);
        check(b"X", None);
    }

    #[test]
    fn errors_say_what_was_expected_and_what_came() {
        let check = |error: WireError, expected: &str| assert_eq!(error.to_string(), expected);
        check(
            Describe::decode(b"Xs\0").unwrap_err(),
            "Describe: expected its target to be S or P, received byte 0x58",
        );
        check(
            query_text(b"SELECT").unwrap_err(),
            "Query: expected a NUL after a query, received the end of the message",
        );
        check(
            Execute::decode(b"\0\0").unwrap_err(),
            "Execute: expected 4 bytes of a limit of rows, received 1",
        );
        check(
            query_text(b"a\0bc").unwrap_err(),
            "Query: expected the end of the message, received 2 more bytes",
        );
        check(
            Parse::decode(b"\0\0\0\x02\0\0\0\x17").unwrap_err(),
            "Parse: expected a count of parameter types of 1 to 1, received 2",
        );
    }
}
