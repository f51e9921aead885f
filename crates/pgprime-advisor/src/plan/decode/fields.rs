//! Fields of JSON objects, and where they are.

use serde_json::{Map, Value};

use crate::plan::error::{PlanError, excerpt};
use crate::plan::measures::Buffers;

/// Where a value is; written out only when something is wrong with it.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root,
    Field(&'a Path<'a>, &'a str),
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    pub(super) fn field(&'a self, name: &'a str) -> Path<'a> {
        Path::Field(self, name)
    }

    pub(super) fn element(&'a self, index: usize) -> Path<'a> {
        Path::Element(self, index)
    }

    fn write(&self) -> String {
        let (mut parts, mut path) = (Vec::new(), self);
        loop {
            path = match path {
                Path::Root => break,
                Path::Field(above, name) if name.contains(' ') => {
                    parts.push(format!(".\"{name}\""));
                    above
                }
                Path::Field(above, name) => {
                    parts.push(format!(".{name}"));
                    above
                }
                Path::Element(above, index) => {
                    parts.push(format!("[{index}]"));
                    above
                }
            };
        }
        let path: String = parts.into_iter().rev().collect();
        path.strip_prefix('.').map_or(path.clone(), str::to_owned)
    }
}

/// The fields of one object.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) map: &'a Map<String, Value>,
    pub(super) path: &'a Path<'a>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, expected: &'static str, found: &Value) -> PlanError {
        PlanError::Field { path: self.path.field(name).write(), expected, found: describe(found) }
    }

    /// A number, finite and not negative.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, PlanError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Ok(Some(number.max(0.0))),
            None => Err(self.wrong(name, "a number", value)),
        }
    }

    /// A number of things.
    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, PlanError> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        Ok(self.number(name)?.map(|number| number as u64))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, PlanError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(self.wrong(name, "a string", other)),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, PlanError> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, "true or false", other)),
        }
    }

    /// Strings; a single one counts as a list of one.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, PlanError> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::String(text)) => Ok(vec![text.clone()]),
            Some(Value::Array(values)) => Ok(values.iter().map(plain).collect()),
            Some(other) => Err(self.wrong(name, "a list of strings", other)),
        }
    }

    pub(super) fn array(&self, name: &str) -> Result<&'a [Value], PlanError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Value::Array(values)) => Ok(values),
            Some(other) => Err(self.wrong(name, "an array", other)),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, PlanError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(self.wrong(name, "an object", other)),
        }
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &str, expected: &'static str) -> Result<&'a Value, PlanError> {
        self.get(name).ok_or_else(|| PlanError::Field {
            path: self.path.field(name).write(),
            expected,
            found: "nothing".to_owned(),
        })
    }

    /// Blocks, if any field about them is there.
    pub(super) fn buffers(&self) -> Result<Option<Buffers>, PlanError> {
        if !self.map.contains_key("Shared Hit Blocks") {
            return Ok(None);
        }
        let count = |name| self.count(name).map(Option::unwrap_or_default);
        Ok(Some(Buffers {
            shared_hit: count("Shared Hit Blocks")?,
            shared_read: count("Shared Read Blocks")?,
            shared_dirtied: count("Shared Dirtied Blocks")?,
            shared_written: count("Shared Written Blocks")?,
            local_hit: count("Local Hit Blocks")?,
            local_read: count("Local Read Blocks")?,
            local_dirtied: count("Local Dirtied Blocks")?,
            local_written: count("Local Written Blocks")?,
            temp_read: count("Temp Read Blocks")?,
            temp_written: count("Temp Written Blocks")?,
        }))
    }
}

/// The object that must be at `path`.
pub(super) fn object<'a>(value: &'a Value, path: &Path<'_>) -> Result<&'a Map<String, Value>, PlanError> {
    value.as_object().ok_or_else(|| {
        let path = path.write();
        let path = if path.is_empty() { "the beginning".to_owned() } else { path };
        PlanError::Field { path, expected: "an object", found: describe(value) }
    })
}

/// What a value is, for a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) => format!("{:?}", excerpt(text)),
        other => excerpt(&other.to_string()),
    }
}

/// A value as text: strings without quotes.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
