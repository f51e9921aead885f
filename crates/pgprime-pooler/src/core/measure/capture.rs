//! Parameter values of slow executions. Off unless asked for; bounded in number and size; never logged.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::text::{Normalizer, TEXT_BYTES_MAX};

/// Executions kept for each statement, the last ones.
pub(super) const EXECUTIONS_MAX: usize = 5;
/// Parameters kept of each.
const PARAMETERS_MAX: usize = 64;
/// Bytes kept of each value.
const VALUE_BYTES_MAX: usize = 256;

/// Whether values may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// As they are.
    Shown,
    /// Their type and length only.
    Redacted,
}

/// Which executions' parameters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureSettings {
    /// Of those that take at least this long.
    pub threshold: Duration,
    /// What is kept of them.
    pub redaction: Redaction,
}

/// What may become a captured execution, kept until the answer shows whether it was slow.
#[derive(Debug)]
pub(crate) enum Sample {
    /// The types of the Parse, and the values of the Bind: format, length and first bytes of each.
    Bind {
        types: Box<[u8]>,
        values: Box<[u8]>,
        count: usize,
        is_whole: bool,
        /// The statement's text, whose constants come after the parameters.
        text: Box<[u8]>,
    },
    /// The text of a simple query.
    Query(Box<[u8]>),
}

impl Sample {
    /// Of a Bind: what follows the names in it, as far as it has come. `types` stand as in a Parse.
    pub(crate) fn bind(text: &[u8], types: &[u8], rest: &[u8], redaction: Redaction) -> Self {
        let mut reader = Reader(rest);
        let kept_max = if redaction == Redaction::Redacted { 0 } else { VALUE_BYTES_MAX };
        let formats: Vec<u16> = (0..reader.u16().unwrap_or(0)).map_while(|_| reader.u16()).collect();
        let count = usize::from(reader.u16().unwrap_or(0));
        let mut values = Vec::new();
        let mut read = 0;
        while read < count.min(PARAMETERS_MAX) {
            let format = formats.get(read).or(formats.first().filter(|_| formats.len() == 1));
            let Some(length) = reader.u32() else { break };
            let size = usize::try_from(length.cast_signed()).unwrap_or(0);
            let kept = reader.0.get(..size.min(kept_max).min(reader.0.len())).unwrap_or_default();
            values.push(u8::from(format.is_some_and(|format| *format == 1)));
            values.extend_from_slice(&length.to_be_bytes());
            values.extend_from_slice(&(kept.len() as u16).to_be_bytes());
            values.extend_from_slice(kept);
            read += 1;
            let Some(next) = reader.0.get(size..) else { break };
            reader = Reader(next);
        }
        Self::Bind {
            types: without_count(types).into(),
            values: values.into(),
            count,
            is_whole: read == count,
            text: beginning(text).into(),
        }
    }

    pub(crate) fn query(text: &[u8]) -> Self {
        Self::Query(beginning(text).into())
    }

    pub(super) fn captured(
        &self,
        exec_us: u64,
        at: Instant,
        redaction: Redaction,
        types_told: &[u8],
        normalizer: &mut Normalizer,
    ) -> Captured {
        let (values, is_complete) = match self {
            Self::Bind { types, values, count, is_whole, text } => {
                let types =
                    if types.iter().all(|byte| *byte == 0) { without_count(types_told) } else { types };
                let mut values = bound_values(types, values, redaction);
                values.extend(constants(text, redaction, normalizer));
                (values, *is_whole && *count <= PARAMETERS_MAX && text.len() < TEXT_BYTES_MAX)
            }
            Self::Query(text) => (constants(text, redaction, normalizer), text.len() < TEXT_BYTES_MAX),
        };
        let is_complete = is_complete && values.iter().all(|value| value.is_complete);
        Captured { at, exec_us, parameters: json(&values).into(), is_complete }
    }
}

/// The parameters of one slow execution.
#[derive(Debug)]
pub(crate) struct Captured {
    pub(crate) at: Instant,
    pub(crate) exec_us: u64,
    /// A JSON array of texts and nulls: the values of parameters, then the text's constants.
    pub(crate) parameters: Box<str>,
    /// Whether the values are all there, as they were.
    pub(crate) is_complete: bool,
}

impl Captured {
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.parameters.len()
    }
}

struct Value {
    /// `None` is NULL.
    text: Option<String>,
    is_complete: bool,
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }
}

/// Types as they stand in Parse and ParameterDescription, as many as are needed.
fn without_count(types: &[u8]) -> &[u8] {
    let types = types.get(2..).unwrap_or_default();
    types.get(..types.len().min(4 * PARAMETERS_MAX)).unwrap_or_default()
}

fn bound_values(types: &[u8], values: &[u8], redaction: Redaction) -> Vec<Value> {
    let mut reader = Reader(values);
    let mut types = Reader(types);
    let mut found = Vec::new();
    while let (Some(is_binary), Some(length), Some(kept)) = (reader.u8(), reader.u32(), reader.u16()) {
        let type_oid = types.u32().unwrap_or(0);
        let (bytes, rest) = reader.0.split_at_checked(usize::from(kept)).unwrap_or_default();
        reader = Reader(rest);
        found.push(match usize::try_from(length.cast_signed()) {
            Err(_) => Value { text: None, is_complete: true },
            Ok(length) => bound_value(type_oid, is_binary == 1, length, bytes, redaction),
        });
    }
    found
}

fn constants(text: &[u8], redaction: Redaction, normalizer: &mut Normalizer) -> Vec<Value> {
    normalizer.constants(text).into_iter().map(|constant| constant_value(constant, redaction)).collect()
}

/// As much of a text as is looked at.
fn beginning(text: &[u8]) -> &[u8] {
    text.get(..TEXT_BYTES_MAX).unwrap_or(text)
}

fn bound_value(type_oid: u32, is_binary: bool, length: usize, bytes: &[u8], redaction: Redaction) -> Value {
    let incomplete = |text: String| Value { text: Some(text), is_complete: false };
    if redaction == Redaction::Redacted {
        let name = type_name(type_oid).unwrap_or(if is_binary { "binary" } else { "text" });
        return incomplete(format!("({name}, {length} bytes)"));
    }
    let is_text = !is_binary || matches!(type_name(type_oid), Some("text"));
    if is_text {
        return cut(String::from_utf8_lossy(bytes).into_owned(), length > bytes.len());
    }
    let decoded = decoded(type_oid, bytes).filter(|_| length == bytes.len());
    match decoded {
        Some(text) => Value { text: Some(text), is_complete: true },
        None => incomplete(format!("(binary, {length} bytes)")),
    }
}

fn cut(mut text: String, is_cut: bool) -> Value {
    if is_cut {
        text.push('…');
    }
    Value { text: Some(text), is_complete: !is_cut }
}

/// A constant as it stands in a text; a plain string without its quotes.
fn constant_value(constant: &[u8], redaction: Redaction) -> Value {
    if redaction == Redaction::Redacted {
        return Value { text: Some(format!("(constant, {} bytes)", constant.len())), is_complete: false };
    }
    let kept = constant.get(..VALUE_BYTES_MAX).unwrap_or(constant);
    let text = String::from_utf8_lossy(kept);
    let is_cut = kept.len() < constant.len();
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).filter(|_| !is_cut);
    match inner {
        Some(inner) => cut(inner.replace("''", "'"), false),
        None => {
            let is_number = constant.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
            let mut value = cut(text.into_owned(), is_cut);
            value.is_complete &= is_number;
            value
        }
    }
}

fn type_name(type_oid: u32) -> Option<&'static str> {
    Some(match type_oid {
        16 => "bool",
        20 => "int8",
        21 => "int2",
        23 => "int4",
        25 | 1042 | 1043 => "text",
        700 => "float4",
        701 => "float8",
        1700 => "numeric",
        2950 => "uuid",
        _ => return None,
    })
}

/// A value in the binary format of a type that is known here.
fn decoded(type_oid: u32, bytes: &[u8]) -> Option<String> {
    Some(match type_name(type_oid)? {
        "bool" => bool_text(bytes)?.to_string(),
        "int2" => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "int4" => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "int8" => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "float4" => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "float8" => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "uuid" => uuid_text(bytes)?,
        "numeric" => numeric_text(bytes)?,
        _ => return None,
    })
}

fn bool_text(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0] => Some("false"),
        [1] => Some("true"),
        _ => None,
    }
}

fn uuid_text(bytes: &[u8]) -> Option<String> {
    let number = u128::from_be_bytes(bytes.try_into().ok()?);
    let digits = format!("{number:032x}");
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits.get(part).unwrap_or_default());
    Some(parts.join("-"))
}

/// Digits to the base of 10,000, of which `weight + 1` stand before the point.
fn numeric_text(bytes: &[u8]) -> Option<String> {
    const NEGATIVE: u16 = 0x4000;
    const POWER_MAX: i32 = 64;
    let mut reader = Reader(bytes);
    let (count, weight) = (reader.u16()?, i32::from(reader.u16()?.cast_signed()));
    let (sign, scale) = (reader.u16()?, usize::from(reader.u16()?));
    let digits: Vec<u16> = (0..count).map_while(|_| reader.u16()).collect();
    let is_plain =
        matches!(sign, 0 | NEGATIVE) && weight.abs() <= POWER_MAX && scale <= 4 * POWER_MAX as usize;
    if !is_plain || digits.len() != usize::from(count) || !reader.0.is_empty() {
        return None;
    }
    let digit = |place: i32| usize::try_from(place).ok().and_then(|place| digits.get(place)).unwrap_or(&0);
    let mut whole = String::new();
    for place in 0..=weight {
        let _ = write!(whole, "{:04}", digit(place));
    }
    let mut fraction = String::new();
    for place in (weight + 1)..(weight + 1 + scale.div_ceil(4) as i32) {
        let _ = write!(fraction, "{:04}", digit(place));
    }
    fraction.truncate(scale);
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty()).unwrap_or("0");
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{}{whole}{point}{fraction}", if sign == NEGATIVE { "-" } else { "" }))
}

fn json(values: &[Value]) -> String {
    let mut text = String::from("[");
    for (place, value) in values.iter().enumerate() {
        text.push_str(if place > 0 { ", " } else { "" });
        match &value.text {
            None => text.push_str("null"),
            Some(value) => json_text(&mut text, value),
        }
    }
    text.push(']');
    text
}

fn json_text(out: &mut String, value: &str) {
    out.push('"');
    for character in value.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if u32::from(control) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(formats: &[u16], values: &[Option<&[u8]>]) -> Vec<u8> {
        let mut rest = (formats.len() as u16).to_be_bytes().to_vec();
        formats.iter().for_each(|format| rest.extend_from_slice(&format.to_be_bytes()));
        rest.extend_from_slice(&(values.len() as u16).to_be_bytes());
        for value in values {
            rest.extend_from_slice(&value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            rest.extend_from_slice(value.unwrap_or_default());
        }
        rest
    }

    fn types(oids: &[u32]) -> Vec<u8> {
        let mut types = (oids.len() as u16).to_be_bytes().to_vec();
        oids.iter().for_each(|oid| types.extend_from_slice(&oid.to_be_bytes()));
        types
    }

    fn captured(sample: &Sample, redaction: Redaction) -> (String, bool) {
        let captured =
            sample.captured(1, Instant::now(), redaction, &types(&[23]), &mut Normalizer::default());
        (captured.parameters.into(), captured.is_complete)
    }

    #[test]
    fn values_in_text_and_binary() {
        let long = "x".repeat(300);
        let uuid = 0x550e_8400_e29b_41d4_a716_4466_5544_0000u128.to_be_bytes();
        // 12345.678 is 1 | 2345 . 6780
        let numeric = [4u16, 1, 0x4000, 3, 1, 2345, 6780, 0].map(u16::to_be_bytes).concat();
        for (formats, oids, values, expected, is_complete) in [
            (&[][..], &[][..], vec![Some(&b"a\"b\n"[..]), None], "[\"a\\\"b\\n\", null]".to_owned(), true),
            (
                &[1],
                &[23, 20, 16],
                vec![Some(&[0, 0, 0, 42]), Some(&[255; 8]), Some(&[1])],
                "[\"42\", \"-1\", \"true\"]".into(),
                true,
            ),
            (&[1, 0], &[25], vec![Some(b"text"), Some(b"b")], "[\"text\", \"b\"]".into(), true),
            (
                &[1],
                &[2950, 1700],
                vec![Some(&uuid), Some(&numeric)],
                "[\"550e8400-e29b-41d4-a716-446655440000\", \"-12345.678\"]".into(),
                true,
            ),
            (&[1], &[701], vec![Some(&[0x3f, 0xf8, 0, 0, 0, 0, 0, 0])], "[\"1.5\"]".into(), true),
            (&[1], &[0], vec![Some(&[0, 0, 0, 42])], "[\"42\"]".into(), true),
            (&[1], &[1082], vec![Some(b"1234")], "[\"(binary, 4 bytes)\"]".into(), false),
            (&[1], &[23], vec![Some(b"123")], "[\"(binary, 3 bytes)\"]".into(), false),
            (&[0], &[], vec![Some(long.as_bytes())], format!("[\"{}…\"]", "x".repeat(256)), false),
        ] {
            let sample = Sample::bind(b"SELECT", &types(oids), &bind(formats, &values), Redaction::Shown);
            assert_eq!(captured(&sample, Redaction::Shown), (expected, is_complete));
        }
    }

    #[test]
    fn redacted_values_are_not_even_kept() {
        let rest = bind(&[1, 0], &[Some(&[0, 0, 0, 42]), Some(b"secret")]);
        let sample = Sample::bind(b"SELECT", &types(&[23, 0]), &rest, Redaction::Redacted);
        assert!(!format!("{sample:?}").contains("115, 101, 99"));
        assert_eq!(
            captured(&sample, Redaction::Redacted),
            ("[\"(int4, 4 bytes)\", \"(text, 6 bytes)\"]".into(), false)
        );
        let query = Sample::query(b"SELECT 'secret', 12");
        let (text, _) = captured(&query, Redaction::Redacted);
        assert_eq!(text, "[\"(constant, 8 bytes)\", \"(constant, 2 bytes)\"]");
    }

    #[test]
    fn constants_of_a_query() {
        let query = Sample::query(b"SELECT 'it''s', 12, E'x' FROM t");
        assert_eq!(captured(&query, Redaction::Shown), ("[\"it's\", \"12\", \"E'x'\"]".into(), false));
        let query = Sample::query(b"SELECT 'a', 1.5");
        assert_eq!(captured(&query, Redaction::Shown), ("[\"a\", \"1.5\"]".into(), true));
    }

    #[test]
    fn messages_that_lie_are_taken() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..5_000 {
            let rest: Vec<u8> =
                (0..rng.usize(..40)).map(|_| if rng.bool() { 0 } else { rng.u8(..) }).collect();
            let sample = Sample::bind(&rest, &rest, &rest, Redaction::Shown);
            let (text, _) = captured(&sample, Redaction::Shown);
            assert!(text.starts_with('[') && text.ends_with(']'));
        }
        let many: Vec<Option<&[u8]>> = vec![None; 1_000];
        let (text, is_complete) =
            captured(&Sample::bind(&[], &[], &bind(&[], &many), Redaction::Shown), Redaction::Shown);
        assert!(!is_complete && text.matches("null").count() == PARAMETERS_MAX);
    }
}
