//! Messages of servers.

pub mod encode;

use crate::WireError;
use crate::read::{Reader, split_text};
use crate::startup::CancelKey;

/// Where a session stands, as ReadyForQuery says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// Outside a transaction.
    Idle,
    /// Within a transaction.
    InTransaction,
    /// Within a transaction that failed: only its end is accepted.
    Failed,
}

impl TransactionStatus {
    /// The byte in ReadyForQuery.
    #[must_use]
    pub fn as_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }

    /// The status that a byte in ReadyForQuery stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }
}

/// Decodes the body of ReadyForQuery.
///
/// # Errors
/// A body other than one byte `I`, `T` or `E`.
pub fn ready_for_query(body: &[u8]) -> Result<TransactionStatus, WireError> {
    let (message, field) = ("ReadyForQuery", "the transaction's status");
    let mut reader = Reader::new(message, body);
    let found = reader.u8(field)?;
    reader.finish()?;
    let expected = "I, T or E";
    TransactionStatus::from_byte(found).ok_or(WireError::UnknownByte { message, field, expected, found })
}

/// Decodes the body of ParameterStatus: name and value.
///
/// # Errors
/// A text without its NUL or not in UTF-8; bytes after the second.
pub fn parameter_status(body: &[u8]) -> Result<(&str, &str), WireError> {
    let mut reader = Reader::new("ParameterStatus", body);
    let name = reader.utf8("a parameter's name")?;
    let value = reader.utf8("a parameter's value")?;
    reader.finish()?;
    Ok((name, value))
}

/// Decodes the body of BackendKeyData.
///
/// # Errors
/// A secret outside 4 to 256 bytes.
pub fn backend_key_data(body: &[u8]) -> Result<CancelKey, WireError> {
    CancelKey::read(Reader::new("BackendKeyData", body))
}

/// The command tag in the body of CommandComplete, such as `INSERT 0 1`, without its NUL.
///
/// # Errors
/// No NUL, or one before the body's end.
pub fn command_tag(body: &[u8]) -> Result<&[u8], WireError> {
    let mut reader = Reader::new("CommandComplete", body);
    let tag = reader.text("a command tag")?;
    reader.finish()?;
    Ok(tag)
}

/// A column of a result, as RowDescription tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResultColumn<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The OID of its type.
    pub type_oid: u32,
    /// What its declaration adds to the type, such as a length; -1 where nothing.
    pub type_modifier: i32,
}

/// Decodes the body of RowDescription, column after column.
///
/// # Errors
/// A body that is cut, at the column where it is.
pub fn row_description(
    body: &[u8],
) -> Result<impl Iterator<Item = Result<ResultColumn<'_>, WireError>>, WireError> {
    let mut reader = Reader::new("RowDescription", body);
    let count = reader.u16("the number of columns")?;
    Ok((0..count).map(move |_| {
        let name = reader.text("a column's name")?;
        let _table_and_place: [u8; 6] = reader.array("a column's table")?;
        let type_oid = reader.u32("a column's type")?;
        let _type_len: [u8; 2] = reader.array("a type's length")?;
        let type_modifier = reader.i32("a type's modifier")?;
        let _format: [u8; 2] = reader.array("a column's format")?;
        Ok(ResultColumn { name, type_oid, type_modifier })
    }))
}

const AUTH_OK: i32 = 0;
const AUTH_CLEARTEXT: i32 = 3;
const AUTH_MD5: i32 = 5;
const AUTH_SASL: i32 = 10;
const AUTH_SASL_CONTINUE: i32 = 11;
const AUTH_SASL_FINAL: i32 = 12;

/// A server's demand for authentication, or its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The login is complete.
    Ok,
    /// The password is to be sent as it is.
    CleartextPassword,
    /// The password is to be sent as [`crate::md5::md5_response`] makes it.
    Md5Password {
        /// Random bytes of the server's.
        salt: [u8; 4],
    },
    /// One of these mechanisms is to be begun.
    Sasl {
        /// Names, in the server's order of preference.
        mechanisms: Vec<&'a str>,
    },
    /// The mechanism's next message.
    SaslContinue(&'a [u8]),
    /// The mechanism's last message; [`Authentication::Ok`] follows.
    SaslFinal(&'a [u8]),
    /// A method that this crate does not speak (GSSAPI, SSPI and methods of the past), by its code.
    Other(i32),
}

/// Decodes the body of an authentication request.
///
/// # Errors
/// A body that is cut, or that has bytes after what its code tells.
pub fn authentication(body: &[u8]) -> Result<Authentication<'_>, WireError> {
    let mut reader = Reader::new("Authentication", body);
    let request = match reader.i32("a method")? {
        AUTH_OK => Authentication::Ok,
        AUTH_CLEARTEXT => Authentication::CleartextPassword,
        AUTH_MD5 => Authentication::Md5Password { salt: reader.array("a salt")? },
        AUTH_SASL => Authentication::Sasl { mechanisms: reader.utf8_list("a mechanism's name")? },
        AUTH_SASL_CONTINUE => return Ok(Authentication::SaslContinue(reader.rest())),
        AUTH_SASL_FINAL => return Ok(Authentication::SaslFinal(reader.rest())),
        other => return Ok(Authentication::Other(other)),
    };
    reader.finish()?;
    Ok(request)
}

/// A server's answer to a newer minor version, or to options it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest minor version of protocol 3 that the server speaks.
    pub minor: u32,
    /// Protocol options (`_pq_.…`) that the server does not know.
    pub options: Vec<&'a str>,
}

/// Servers send the whole version, major in the upper half, where the protocol's description has the minor alone.
const MAJOR_3: u32 = 3 << 16;

impl<'a> NegotiateProtocolVersion<'a> {
    /// Decodes the body of NegotiateProtocolVersion. A version with and one without the major half are understood.
    ///
    /// # Errors
    /// Options that are not as many as the count, without their NUL, or not in UTF-8.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("NegotiateProtocolVersion", body);
        let version = reader.u32("a version")?;
        let minor = if version & !0xffff == MAJOR_3 { version & 0xffff } else { version };
        let count = reader.u32("a count of options")?;
        // The list grows by what is there, never by the count, which is only a claim.
        let mut options = Vec::new();
        for _ in 0..count {
            options.push(reader.utf8("an option")?);
        }
        reader.finish()?;
        Ok(Self { minor, options })
    }
}

/// The fields of an ErrorResponse or NoticeResponse.
///
/// Any field may be missing, and reading never fails: a field that is not in UTF-8 or cut off is treated as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorFields<'a> {
    body: &'a [u8],
}

impl<'a> ErrorFields<'a> {
    /// Takes the body of an ErrorResponse or NoticeResponse. Fields are looked up when they are asked for.
    #[must_use]
    pub fn parse(body: &'a [u8]) -> Self {
        Self { body }
    }

    /// `ERROR`, `FATAL`, `PANIC`, `WARNING`, `NOTICE`…: not translated, where the server sends that form (from 9.6).
    #[must_use]
    pub fn severity(&self) -> Option<&'a str> {
        self.field(b'V').or_else(|| self.field(b'S'))
    }

    /// The SQLSTATE.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&'a str> {
        self.field(b'C')
    }

    /// The message for people.
    #[must_use]
    pub fn message(&self) -> Option<&'a str> {
        self.field(b'M')
    }

    /// More about the problem.
    #[must_use]
    pub fn detail(&self) -> Option<&'a str> {
        self.field(b'D')
    }

    /// What might be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'a str> {
        self.field(b'H')
    }

    /// The function of the server's source code that raised it. Unlike the message it is never translated.
    #[must_use]
    pub fn routine(&self) -> Option<&'a str> {
        self.field(b'R')
    }

    /// The first field of this code.
    fn field(&self, code: u8) -> Option<&'a str> {
        let mut rest = self.body;
        while let Some((&found, after_code)) = rest.split_first() {
            let (text, after_text) = split_text(after_code)?;
            match found {
                0 => return None,
                _ if found == code => return std::str::from_utf8(text).ok(),
                _ => rest = after_text,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_status_or_an_error() {
        for byte in 0..=u8::MAX {
            let status = TransactionStatus::from_byte(byte);
            assert_eq!(ready_for_query(&[byte]).ok(), status);
            assert_eq!(status.is_some(), b"ITE".contains(&byte));
            assert!(status.is_none_or(|status| status.as_byte() == byte));
        }
        assert!(ready_for_query(b"").is_err());
        assert!(ready_for_query(b"II").is_err());
    }

    #[test]
    fn parameter_status_has_two_texts() {
        let check = |body: &[u8], expected: Option<(&str, &str)>| {
            assert_eq!(parameter_status(body).ok(), expected, "{body:?}");
        };
        check(b"TimeZone\0Europe/Berlin\0", Some(("TimeZone", "Europe/Berlin")));
        check(b"\0\0", Some(("", "")));
        check(b"a\0b", None);
        check(b"a\0", None);
        check(b"a\0b\0c", None);
        check(b"a\0\xff\0", None);
        check(b"", None);
    }

    #[test]
    fn a_cancel_key_has_a_secret_of_4_to_256_bytes() {
        let check = |len: usize, valid: bool| {
            let body = [&[0, 0, 0, 9][..], &vec![5; len]].concat();
            let expected = valid.then(|| CancelKey { process_id: 9, secret: vec![5; len] });
            assert_eq!(backend_key_data(&body).ok(), expected, "{len} bytes");
        };
        for (len, valid) in [(0, false), (3, false), (4, true), (32, true), (256, true), (257, false)] {
            check(len, valid);
        }
        assert!(backend_key_data(b"\0\0\0").is_err());
    }

    #[test]
    fn a_command_tag_is_the_whole_body() {
        assert_eq!(command_tag(b"INSERT 0 1\0"), Ok(&b"INSERT 0 1"[..]));
        assert!(command_tag(b"INSERT 0 1").is_err());
        assert!(command_tag(b"INSERT\0 0 1\0").is_err());
    }

    #[test]
    fn authentication_requests_are_told_apart() {
        use Authentication::*;
        let check = |body: &[u8], expected: Option<Authentication<'_>>| {
            assert_eq!(authentication(body).ok(), expected, "{body:?}");
        };
        check(b"\0\0\0\0", Some(Ok));
        check(b"\0\0\0\x03", Some(CleartextPassword));
        check(b"\0\0\0\x05salt", Some(Md5Password { salt: *b"salt" }));
        check(b"\0\0\0\x0aA\0B\0\0", Some(Sasl { mechanisms: vec!["A", "B"] }));
        check(b"\0\0\0\x0a\0", Some(Sasl { mechanisms: Vec::new() }));
        check(b"\0\0\0\x0br=x", Some(SaslContinue(b"r=x")));
        check(b"\0\0\0\x0cv=x", Some(SaslFinal(b"v=x")));
        check(b"\0\0\0\x07", Some(Other(7)));
        check(b"\xff\xff\xff\xffdata", Some(Other(-1)));
        check(b"", None);
        check(b"\0\0\0", None);
        check(b"\0\0\0\0x", None);
        check(b"\0\0\0\x03x", None);
        check(b"\0\0\0\x05sal", None);
        check(b"\0\0\0\x05salty", None);
        check(b"\0\0\0\x0aA\0B\0", None);
        check(b"\0\0\0\x0aA", None);
        check(b"\0\0\0\x0aA\0\0x", None);
        check(b"\0\0\0\x0a\xff\0\0", None);
    }

    #[test]
    fn a_version_is_negotiated_with_and_without_its_major_half() {
        let check = |body: &[u8], expected: Option<(u32, Vec<&str>)>| {
            let decoded = NegotiateProtocolVersion::decode(body).ok();
            assert_eq!(decoded.map(|answer| (answer.minor, answer.options)), expected, "{body:?}");
        };
        check(b"\0\x03\0\x02\0\0\0\0", Some((2, vec![])));
        check(b"\0\0\0\x02\0\0\0\0", Some((2, vec![])));
        check(b"\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0", Some((0, vec!["_pq_.a", "_pq_.b"])));
        check(b"\0\x03\0\0\0\0\0\x02_pq_.a\0", None);
        check(b"\0\x03\0\0\0\0\0\x01a\0b\0", None);
        check(b"\0\x03\0\0\xff\xff\xff\xff", None);
        check(b"\0\x03\0\0", None);
    }

    #[test]
    fn error_fields_are_found_whatever_the_order() {
        let fields = ErrorFields::parse(b"SFEHLER\0VERROR\0C42P01\0Mno table\0Dd\0Hh\0Rr\0\0");
        assert_eq!(fields.severity(), Some("ERROR"));
        assert_eq!(fields.sqlstate(), Some("42P01"));
        assert_eq!(fields.message(), Some("no table"));
        assert_eq!((fields.detail(), fields.hint(), fields.routine()), (Some("d"), Some("h"), Some("r")));
        assert_eq!(ErrorFields::parse(b"SFATAL\0\0").severity(), Some("FATAL"), "servers before 9.6");
    }

    #[test]
    fn error_fields_may_be_missing_cut_or_in_another_encoding() {
        let check = |body: &[u8], sqlstate: Option<&str>, message: Option<&str>| {
            let fields = ErrorFields::parse(body);
            assert_eq!((fields.sqlstate(), fields.message()), (sqlstate, message), "{body:?}");
        };
        check(b"", None, None);
        check(b"\0", None, None);
        check(b"C42P01\0", Some("42P01"), None);
        check(b"C42P01\0Mno ta", Some("42P01"), None);
        check(b"C42P0", None, None);
        check(b"C42P01\0M\xff\xfe\0\0", Some("42P01"), None);
        check(b"C42P01\0\0Mafter the end\0", Some("42P01"), None);
        check(b"M\0C\0\0", Some(""), Some(""));
        check(b"MC42P01\0\0", None, Some("C42P01"));
    }
}
