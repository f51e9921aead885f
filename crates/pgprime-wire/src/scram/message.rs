//! The text form of SCRAM messages: attributes `x=value` with commas between.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::ScramError;
use super::limits::{ITERATIONS_MAX, MESSAGE_BYTES_MAX};

/// The message's text, when its length and its bytes allow it to be one.
pub(super) fn text<'a>(message: &'static str, bytes: &'a [u8]) -> Result<&'a str, ScramError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::TooLong { bytes: bytes.len() });
    }
    let malformed = ScramError::Malformed { message, expected: "UTF-8 without a NUL" };
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or(malformed)
}

/// The attributes of a message, taken one after another.
pub(super) struct Attributes<'a> {
    message: &'static str,
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    pub(super) fn new(message: &'static str, text: &'a str) -> Self {
        Self { message, rest: Some(text) }
    }

    /// The value of the next attribute, which must begin with `prefix`.
    pub(super) fn take(&mut self, prefix: &str, expected: &'static str) -> Result<&'a str, ScramError> {
        let value = self.next().and_then(|attribute| attribute.strip_prefix(prefix));
        value.ok_or(ScramError::Malformed { message: self.message, expected })
    }

    /// Refuses an extension that must be understood, which would stand here.
    pub(super) fn refuse_mandatory_extension(&self) -> Result<(), ScramError> {
        match self.rest.is_some_and(|rest| rest.starts_with("m=")) {
            true => Err(ScramError::Extension),
            false => Ok(()),
        }
    }

    /// Passes over the optional extensions up to the end. They must be well formed, and none may look like an
    /// attribute with a meaning of its own at another place.
    pub(super) fn finish(mut self) -> Result<(), ScramError> {
        while let Some(attribute) = self.next() {
            let is_extension = match attribute.as_bytes() {
                [name, b'=', _, ..] => name.is_ascii_alphabetic() && !matches!(name, b'm' | b'p'),
                _ => false,
            };
            if !is_extension {
                let expected = "optional extensions or the end";
                return Err(ScramError::Malformed { message: self.message, expected });
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        match rest.split_once(',') {
            Some((attribute, after)) => {
                self.rest = Some(after);
                Some(attribute)
            }
            None => self.rest.take(),
        }
    }
}

/// Whether this can be a nonce: visible ASCII without a comma.
pub(super) fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// A number of iterations: digits only, within bounds.
pub(super) fn iterations(digits: &str) -> Option<u32> {
    let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| only_digits)?;
    (1..=ITERATIONS_MAX).contains(&number).then_some(number)
}

/// Bytes of strict base64: canonical, with its padding, nothing around it.
pub(super) fn from_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// 32 bytes of strict base64: a key, a proof or a signature.
pub(super) fn digest_from_base64(text: &str) -> Option<[u8; 32]> {
    from_base64(text)?.try_into().ok()
}

pub(super) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_iterations_are_plain_and_bounded() {
        let check =
            |digits: &str, expected: Option<u32>| assert_eq!(iterations(digits), expected, "{digits}");
        check("1", Some(1));
        check("4096", Some(4096));
        check("10000000", Some(ITERATIONS_MAX));
        for digits in ["", "0", "-1", "+1", " 1", "1 ", "0x10", "1e3", "10000001", "4294967297", "٣"] {
            check(digits, None);
        }
        check(&"9".repeat(100), None);
    }

    #[test]
    fn base64_is_strict() {
        assert_eq!(from_base64("Zm8="), Some(b"fo".to_vec()));
        for text in ["Zm8", "Zm9=", "Zm8= ", "Zm8=\n", "Zm8=Zm8=", "Z", "Zm-_", "====", "Zm8=="] {
            assert_eq!(from_base64(text), None, "{text}");
        }
        assert_eq!(digest_from_base64("Zm8="), None);
        assert_eq!(digest_from_base64(&to_base64(&[7; 32])), Some([7; 32]));
        assert_eq!(digest_from_base64(&to_base64(&[7; 33])), None);
    }

    #[test]
    fn extensions_are_passed_over_when_they_are_optional() {
        let check = |text: &str, valid: bool| {
            let mut attributes = Attributes::new("message", text);
            attributes.take("r=", "a nonce").unwrap();
            assert_eq!(attributes.finish().is_ok(), valid, "{text}");
        };
        check("r=x", true);
        check("r=x,t=1", true);
        check("r=x,t=1,u==", true);
        for text in
            ["r=x,", "r=x,,", "r=x,t", "r=x,t=", "r=x,=1", "r=x,1=1", "r=x,m=1", "r=x,p=1", "r=x,tt=1"]
        {
            check(text, false);
        }
    }
}
