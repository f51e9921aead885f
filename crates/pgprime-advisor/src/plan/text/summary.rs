//! Lines about the statement as a whole, below its nodes.

use serde_json::{Map, Value};

use super::node_line::put_number;
use super::property;

/// Which lines may follow, further to the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Planning,
    Jit,
    Serialization,
    /// Of one worker: nothing that is kept.
    WorkerJit,
}

/// What a line turned out to be.
pub(super) enum Summary {
    /// It stands for itself.
    Line,
    /// Others belong to it.
    Section(Section),
    /// It has nothing to do with the statement.
    No,
}

/// Reads a line about the statement; `Err` with what was expected.
pub(super) fn read(line: &str, statement: &mut Map<String, Value>) -> Result<Summary, &'static str> {
    if let Some(trigger) = line.strip_prefix("Trigger ") {
        return read_trigger(trigger, statement);
    }
    let Some((name, value)) = property::split(line) else { return Ok(Summary::No) };
    match name {
        "Planning Time" | "Planning time" => milliseconds(statement, "Planning Time", value)?,
        "Execution Time" | "Execution time" | "Total runtime" => {
            milliseconds(statement, "Execution Time", value)?
        }
        "Planning" if value.is_empty() => return Ok(Summary::Section(Section::Planning)),
        "JIT" if value.is_empty() => return Ok(Summary::Section(Section::Jit)),
        _ if name.starts_with("JIT for worker") => return Ok(Summary::Section(Section::WorkerJit)),
        "Serialization" => {
            serialization(statement, value)
                .ok_or("\"Serialization: time=MS ms  output=NkB  format=NAME\"")?;
            return Ok(Summary::Section(Section::Serialization));
        }
        "Settings" => settings(statement, value),
        "Query Identifier" => {
            let id: i64 = value.parse().map_err(|_| "a number that identifies the query")?;
            statement.insert(name.to_owned(), Value::from(id));
        }
        "Query Text" | "Query Parameters" => drop(statement.insert(name.to_owned(), Value::from(value))),
        _ => return Ok(Summary::No),
    }
    Ok(Summary::Line)
}

/// Reads a line that belongs to `section`.
pub(super) fn read_in(
    section: Section,
    line: &str,
    statement: &mut Map<String, Value>,
) -> Result<(), &'static str> {
    let Some((name, value)) = property::split(line) else { return Err("a line such as \"Name: value\"") };
    match section {
        Section::Planning => planning(name, value, object(statement, "Planning")),
        Section::Jit => jit(name, value, object(statement, "JIT")),
        Section::Serialization | Section::WorkerJit => Ok(()),
    }
}

fn milliseconds(statement: &mut Map<String, Value>, name: &str, value: &str) -> Result<(), &'static str> {
    let number = value.strip_suffix("ms").ok_or("a time in ms")?;
    put_number(statement, name, number).ok_or("a time in ms")
}

/// The object `name` of the statement, made if it is not there.
fn object<'a>(statement: &'a mut Map<String, Value>, name: &str) -> &'a mut Map<String, Value> {
    let value = statement.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it has just been made one")
}

fn planning(name: &str, value: &str, fields: &mut Map<String, Value>) -> Result<(), &'static str> {
    if name != "Memory" {
        return property::read(name, value, fields);
    }
    let used = value.split_whitespace().find_map(|word| word.strip_prefix("used=")?.strip_suffix("kB"));
    used.and_then(|used| put_number(fields, "Memory Used", used)).ok_or("\"Memory: used=NkB  allocated=NkB\"")
}

fn jit(name: &str, value: &str, fields: &mut Map<String, Value>) -> Result<(), &'static str> {
    match name {
        "Functions" => put_number(fields, name, value).ok_or("a number of functions"),
        "Timing" => {
            let timing = object(fields, name);
            jit_timing(value, timing).ok_or("\"Timing: Generation MS ms, …, Total MS ms\"")
        }
        _ => Ok(()),
    }
}

/// `Generation 0.1 ms (Deform 0.0 ms), Inlining 0.2 ms, …`: what is in parentheses is part of what is before.
fn jit_timing(value: &str, timing: &mut Map<String, Value>) -> Option<()> {
    for part in value.split(", ") {
        let part = part.split(" (").next()?.strip_suffix(" ms")?;
        let (name, number) = part.rsplit_once(' ')?;
        put_number(timing, name, number)?;
    }
    Some(())
}

fn serialization(statement: &mut Map<String, Value>, value: &str) -> Option<()> {
    let fields = object(statement, "Serialization");
    for part in value.split("  ") {
        match part.trim().split_once('=')? {
            ("time", time) => put_number(fields, "Time", time.strip_suffix(" ms")?)?,
            ("output", size) => put_number(fields, "Output Volume", size.strip_suffix("kB")?)?,
            ("format", format) => drop(fields.insert("Format".to_owned(), Value::from(format))),
            _ => return None,
        }
    }
    Some(())
}

/// `work_mem = '64kB', jit = 'off'`.
fn settings(statement: &mut Map<String, Value>, value: &str) {
    let fields = object(statement, "Settings");
    let mut rest = value;
    while let Some((name, after)) = rest.split_once(" = '") {
        let (setting, following) = after.split_once('\'').unwrap_or((after, ""));
        fields.insert(name.trim_start_matches([',', ' ']).to_owned(), Value::from(setting));
        rest = following;
    }
}

/// `name[ for constraint name][ on relation]: time=1.2 calls=3`, or `for constraint name: …`.
fn read_trigger(line: &str, statement: &mut Map<String, Value>) -> Result<Summary, &'static str> {
    const EXPECTED: &str = "\"Trigger NAME: time=MS calls=N\"";
    let (head, figures) = line.rsplit_once(": ").ok_or(EXPECTED)?;
    let (head, relation) =
        head.split_once(" on ").map_or((head, None), |(head, relation)| (head, Some(relation)));
    let (name, constraint) = match head.strip_prefix("for constraint ") {
        Some(constraint) => (None, Some(constraint)),
        None => head
            .split_once(" for constraint ")
            .map_or((Some(head), None), |(name, of)| (Some(name), Some(of))),
    };
    let mut fields = Map::new();
    for (slot, value) in [("Trigger Name", name), ("Constraint Name", constraint), ("Relation", relation)] {
        fields.extend(value.map(|value| (slot.to_owned(), Value::from(value))));
    }
    for word in figures.split_whitespace() {
        match word.split_once('=') {
            Some(("time", ms)) => put_number(&mut fields, "Time", ms).ok_or(EXPECTED)?,
            Some(("calls", calls)) => put_number(&mut fields, "Calls", calls).ok_or(EXPECTED)?,
            _ => return Err(EXPECTED),
        }
    }
    match statement.entry("Triggers").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(triggers) => triggers.push(Value::Object(fields)),
        other => *other = Value::Array(vec![Value::Object(fields)]),
    }
    Ok(Summary::Line)
}
