//! The session parameters that follow a client from server to server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Parameters that every PostgreSQL reports and that change how results or statements read.
const ALWAYS: [&str; 5] =
    ["client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "application_name"];

/// Which parameters are tracked: the standard ones and `track_extra_parameters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    names: Vec<String>,
}

impl Tracked {
    /// The standard parameters and these.
    pub fn new(extra: &[String]) -> Self {
        let mut names: Vec<String> = ALWAYS.map(String::from).to_vec();
        for name in extra {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        Self { names }
    }

    /// The place of a parameter, by its name in any case.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.eq_ignore_ascii_case(name))
    }

    fn is_list(index: usize) -> bool {
        index >= ALWAYS.len()
    }
}

/// The values of the tracked parameters of one session. Cloning is cheap, and equal sets that stem from one another
/// are recognised by address.
#[derive(Clone, Debug)]
pub struct Parameters {
    values: Arc<Vec<Option<Box<str>>>>,
}

impl Parameters {
    /// No value known yet.
    pub fn unknown(tracked: &Tracked) -> Self {
        Self { values: Arc::new(vec![None; tracked.names.len()]) }
    }

    /// The value at a place of [`Tracked`].
    pub fn value(&self, index: usize) -> Option<&str> {
        self.values.get(index)?.as_deref()
    }

    /// Sets a value; `true` when it is another than before.
    pub fn set(&mut self, index: usize, value: &str) -> bool {
        if self.value(index) == Some(value) {
            return false;
        }
        match Arc::make_mut(&mut self.values).get_mut(index) {
            Some(place) => {
                *place = Some(value.into());
                true
            }
            None => false,
        }
    }

    /// Takes over the values that are missing here.
    pub fn fill_from(&mut self, other: &Parameters) {
        if self.values.iter().all(Option::is_none) {
            self.values = Arc::clone(&other.values);
            return;
        }
        for index in 0..self.values.len() {
            if let (None, Some(value)) = (self.value(index), other.value(index)) {
                self.set(index, value);
            }
        }
    }

    /// Whether both are known to be the same without looking at the values.
    pub fn is_same(&self, other: &Parameters) -> bool {
        Arc::ptr_eq(&self.values, &other.values)
    }

    /// Places at which `self` wants a value that `server` does not have.
    pub fn differences(&self, server: &Parameters) -> Vec<usize> {
        let wanted = self.values.iter().zip(server.values.iter()).enumerate();
        wanted.filter(|(_, (own, other))| own.is_some() && own != other).map(|(index, _)| index).collect()
    }

    /// The statement that gives a server the values at `places`. A list such as `search_path` keeps its elements
    /// apart only through set_config.
    pub fn sql(&self, tracked: &Tracked, places: &[usize]) -> String {
        let mut sql = String::new();
        for &index in places {
            let (Some(name), Some(value)) = (tracked.names.get(index), self.value(index)) else { continue };
            let literal = quote_literal(value);
            let result = if Tracked::is_list(index) {
                write!(sql, "SELECT pg_catalog.set_config({}, {literal}, false);", quote_literal(name))
            } else {
                write!(sql, "SET {name}={literal};")
            };
            result.expect("writing to a String does not fail");
        }
        sql
    }
}

/// A literal that reads the same whatever standard_conforming_strings says.
fn quote_literal(value: &str) -> String {
    let quoted = value.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// Everything a server reported at its login: what a new client of the pool is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// Parameter name to value, in the order of names.
    pub parameters: BTreeMap<String, String>,
}

impl Welcome {
    /// The tracked ones among the reported parameters.
    pub fn tracked(&self, tracked: &Tracked) -> Parameters {
        let mut parameters = Parameters::unknown(tracked);
        for (name, value) in &self.parameters {
            if let Some(index) = tracked.index(name) {
                parameters.set(index, value);
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_set_and_quoted() {
        let tracked = Tracked::new(&["IntervalStyle".into(), "search_path".into(), "timezone".into()]);
        let mut server = Parameters::unknown(&tracked);
        let mut client = Parameters::unknown(&tracked);
        for (name, value) in [("TIMEZONE", "UTC"), ("DateStyle", "ISO, MDY")] {
            let index = tracked.index(name).expect("tracked");
            server.set(index, value);
            client.set(index, value);
        }
        client.set(tracked.index("application_name").expect("tracked"), "it's \\ here");
        client.set(tracked.index("search_path").expect("tracked"), "\"$user\", public");
        let places = client.differences(&server);
        assert_eq!(
            client.sql(&tracked, &places),
            "SET application_name=E'it''s \\\\ here';\
             SELECT pg_catalog.set_config('search_path', '\"$user\", public', false);"
        );
    }

    #[test]
    fn filling_from_a_welcome_shares_its_values() {
        let tracked = Tracked::new(&[]);
        let welcome = Welcome { parameters: BTreeMap::from([("TimeZone".into(), "UTC".into())]) };
        let defaults = welcome.tracked(&tracked);
        let mut client = Parameters::unknown(&tracked);
        client.fill_from(&defaults);
        assert!(client.is_same(&defaults));
        client.set(0, "LATIN1");
        assert!(!client.is_same(&defaults) && client.value(2) == Some("UTC"));
    }
}
