//! Lines below the first one of a node: `Name: value`.

use serde_json::{Map, Value};

use super::node_line::put_number;

/// Name and value of a line that looks like `Name: value`.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    const NAME_BYTES_MAX: usize = 48;
    let (name, value) = line.split_once(':')?;
    let is_name = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|letter: char| letter.is_ascii_uppercase())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || " -/_".contains(letter));
    (is_name && (value.is_empty() || value.starts_with(' '))).then(|| (name, value.trim()))
}

/// Sets the fields that a line stands for; `Err` with what was expected.
pub(super) fn read(name: &str, value: &str, fields: &mut Map<String, Value>) -> Result<(), &'static str> {
    match name {
        "Sort Key" | "Presorted Key" | "Output" => put_list(fields, name, value),
        "Group Key" | "Hash Key" => put_list(fields, "Group Key", value),
        "Sort Method" => sort(value, fields).ok_or("\"Sort Method: METHOD  Memory: NkB\""),
        "Buckets" | "Batches" | "Planned Partitions" | "Memory Usage" | "Disk Usage" => {
            hash(name, value, fields).ok_or("\"Buckets: N  Batches: N  Memory Usage: NkB\"")
        }
        "Hits" => cache(value, fields)
            .ok_or("\"Hits: N  Misses: N  Evictions: N  Overflows: N  Memory Usage: NkB\""),
        "Heap Blocks" => heap_blocks(value, fields).ok_or("\"Heap Blocks: exact=N lossy=N\""),
        "Buffers" => buffers(value, fields).ok_or("\"Buffers: shared hit=N read=N, temp read=N written=N\""),
        "I/O Timings" => io_timings(value, fields).ok_or("\"I/O Timings: shared read=MS write=MS\""),
        "WAL" => wal(value, fields).ok_or("\"WAL: records=N fpi=N bytes=N\""),
        "Storage" => storage(value, fields).ok_or("\"Storage: Memory  Maximum Storage: NkB\""),
        "Workers Planned" | "Workers Launched" | "Heap Fetches" | "Index Searches" => {
            put_number(fields, name, value).ok_or("a number")
        }
        _ if name.starts_with("Rows Removed by ") => {
            put_number(fields, name, value).ok_or("a number of rows")
        }
        "Disabled" => put_flag(fields, name, value).ok_or("true or false"),
        _ => {
            fields.insert(name.to_owned(), Value::from(value));
            Ok(())
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it stands in a row with those that can fail")]
fn put_list(fields: &mut Map<String, Value>, name: &str, value: &str) -> Result<(), &'static str> {
    let mut list = match fields.remove(name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    };
    list.extend(split_list(value).into_iter().map(Value::from));
    fields.insert(name.to_owned(), Value::Array(list));
    Ok(())
}

/// The parts of a list, split at commas outside of parentheses and quotes.
fn split_list(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    for (at, letter) in value.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(value[start..].trim());
    parts
}

/// The pairs of `A: 1  B: 2`; the first name has been cut off already.
fn pairs<'a>(first: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut parts = value.split("  ").map(str::trim).filter(|part| !part.is_empty());
    let head = (first, parts.next().unwrap_or_default());
    std::iter::once(head).chain(parts.filter_map(|part| part.split_once(": "))).collect()
}

fn sort(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    let pairs = pairs("Sort Method", value);
    fields.insert("Sort Method".to_owned(), Value::from(pairs.first()?.1));
    if let Some((place, size)) = pairs.get(1) {
        fields.insert("Sort Space Type".to_owned(), Value::from(*place));
        put_number(fields, "Sort Space Used", size.strip_suffix("kB")?)?;
    }
    Some(())
}

fn hash(name: &str, value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    let is_aggregate =
        fields.get("Node Type").is_some_and(|kind| kind != "Hash") || name == "Planned Partitions";
    for (name, value) in pairs(name, value) {
        let (number, original) = match value.split_once(" (originally ") {
            Some((number, original)) => (number, original.strip_suffix(')')?),
            None => (value, value),
        };
        match name {
            "Buckets" => put_number(fields, "Hash Buckets", number)?,
            "Batches" if is_aggregate => put_number(fields, "HashAgg Batches", number)?,
            "Batches" => {
                put_number(fields, "Original Hash Batches", original)?;
                put_number(fields, "Hash Batches", number)?;
            }
            "Planned Partitions" => put_number(fields, name, number)?,
            "Memory Usage" => put_number(fields, "Peak Memory Usage", number.strip_suffix("kB")?)?,
            "Disk Usage" => put_number(fields, name, number.strip_suffix("kB")?)?,
            _ => return None,
        }
    }
    Some(())
}

fn cache(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    for (name, value) in pairs("Hits", value) {
        match name {
            "Memory Usage" => put_number(fields, "Peak Memory Usage", value.strip_suffix("kB")?)?,
            name => put_number(fields, &format!("Cache {name}"), value)?,
        }
    }
    Some(())
}

fn heap_blocks(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    for word in value.split_whitespace() {
        match word.split_once('=')? {
            ("exact", number) => put_number(fields, "Exact Heap Blocks", number)?,
            ("lossy", number) => put_number(fields, "Lossy Heap Blocks", number)?,
            _ => return None,
        }
    }
    Some(())
}

/// Groups such as `shared hit=1 read=2, temp written=3`, each number with its group and name.
fn groups(value: &str) -> Option<Vec<(&str, &str, &str)>> {
    let mut found = Vec::new();
    for part in value.split(", ") {
        let mut group = "";
        for word in part.split_whitespace() {
            match word.split_once('=') {
                Some((name, number)) => found.push((group, name, number)),
                None => group = word,
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Blocks of a node or of the planner.
pub(super) fn buffers(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    let found = groups(value)?;
    fields.insert("Shared Hit Blocks".to_owned(), Value::from(0));
    for (group, name, number) in found {
        put_number(fields, &format!("{} {} Blocks", capital(group)?, capital(name)?), number)?;
    }
    Some(())
}

fn io_timings(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    for (group, name, number) in groups(value)? {
        let group = match group {
            "" | "shared/local" => String::new(),
            group => format!("{} ", capital(group)?),
        };
        put_number(fields, &format!("{group}I/O {} Time", capital(name)?), number)?;
    }
    Some(())
}

fn wal(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    fields.insert("WAL Records".to_owned(), Value::from(0));
    for (_, name, number) in groups(value)? {
        match name {
            "records" => put_number(fields, "WAL Records", number)?,
            "fpi" => put_number(fields, "WAL FPI", number)?,
            "bytes" => put_number(fields, "WAL Bytes", number)?,
            _ => {}
        }
    }
    Some(())
}

fn storage(value: &str, fields: &mut Map<String, Value>) -> Option<()> {
    let pairs = pairs("Storage", value);
    fields.insert("Storage".to_owned(), Value::from(pairs.first()?.1));
    if let Some((name, size)) = pairs.get(1) {
        put_number(fields, name, size.strip_suffix("kB")?)?;
    }
    Some(())
}

fn put_flag(fields: &mut Map<String, Value>, name: &str, value: &str) -> Option<()> {
    fields.insert(name.to_owned(), Value::Bool(value.parse().ok()?));
    Some(())
}

/// `hit` as `Hit`.
fn capital(word: &str) -> Option<String> {
    let first = word.chars().next()?;
    Some(format!("{}{}", first.to_ascii_uppercase(), &word[first.len_utf8()..]))
}
