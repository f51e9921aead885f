//! Parameters that belong to nobody else: as they go into a key, and to the database by themselves.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use pgprime_cache::KeyBuilder;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, WrongType, to_sql_checked};

/// A parameter's type and value as it is sent.
#[derive(Clone)]
pub(super) struct Value {
    type_: Type,
    bytes: Option<BytesMut>,
    format: Format,
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
