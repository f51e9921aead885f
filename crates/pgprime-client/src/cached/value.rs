//! Parameters that belong to nobody else: as they go into a key, and to the database by themselves.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use pgprime_cache::KeyBuilder;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, WrongType, to_sql_checked};

/// A parameter's type and value as it is sent.
#[derive(Clone)]
pub(super) struct Value {
    type_: Type,
    bytes: Option<BytesMut>,
    format: Format,
}

/// Types whose values are texts, or have texts in them.
const TEXTS: &[Type] =
    &[Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN, Type::JSON, Type::JSONB, Type::XML];

/// The type behind domains and arrays, and whether a value is one of it as a whole.
fn innermost(type_: &Type) -> (&Type, bool) {
    match type_.kind() {
        Kind::Domain(inner) => innermost(inner),
        Kind::Array(inner) => (innermost(inner).0, false),
        _ => (type_, ![Type::JSON, Type::JSONB, Type::XML].contains(type_)),
    }
}

/// The parameters do not fit their types, or their number.
pub(super) struct Misfit;

impl Value {
    /// The parameters as they are sent for these types.
    pub(super) fn all(types: &[Type], parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Self>, Misfit> {
        if types.len() != parameters.len() {
            return Err(Misfit);
        }
        let one = |(type_, parameter): (&Type, &&(dyn ToSql + Sync))| {
            let mut bytes = BytesMut::new();
            let is_null = parameter.to_sql_checked(type_, &mut bytes).map_err(|_| Misfit)?;
            let bytes = matches!(is_null, IsNull::No).then_some(bytes);
            Ok(Self { type_: type_.clone(), bytes, format: parameter.encode_format(type_) })
        };
        types.iter().zip(parameters).map(one).collect()
    }

    /// Whether a statement that takes it for a time may find today's in it, as in `'tomorrow 10:00'`.
    pub(super) fn may_be_relative_time(&self) -> bool {
        let Some(bytes) = &self.bytes else { return false };
        let (inner, is_whole) = innermost(&self.type_);
        let is_text =
            matches!(self.format, Format::Text) || TEXTS.contains(inner) || inner.name() == "citext";
        // Longer texts are no times, but parts of them may be.
        let may_be = !is_whole || bytes.len() <= pgprime_footprint::TIME_BYTES_MAX;
        is_text && may_be && pgprime_footprint::has_relative_time(bytes)
    }

    /// Adds it to a key.
    pub(super) fn add_to(&self, key: KeyBuilder) -> KeyBuilder {
        let key = key.parameter(self.type_.oid(), self.bytes.as_deref());
        match self.format {
            Format::Binary => key,
            Format::Text => key.other("format", "text"),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.type_.name()).finish()
    }
}

impl ToSql for Value {
    fn to_sql(&self, type_: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if type_.oid() != self.type_.oid() {
            return Err(Box::new(WrongType::new::<Self>(type_.clone())));
        }
        match &self.bytes {
            Some(bytes) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}
