//! The first line of a node: what it does, to what, and its figures.

use serde_json::{Map, Value};

use crate::plan::kind::Kind;

/// What a first line says, as fields of the JSON format; `Err` with what was expected.
pub(super) fn read(line: &str) -> Result<Map<String, Value>, &'static str> {
    const EXPECTED: &str = "a node such as \"Seq Scan on orders  (cost=0.00..18.10 rows=810 width=36)\"";
    let (name, figures) = split_figures(line);
    let mut fields = Map::new();
    if !read_name(name.trim(), &mut fields) {
        if figures.is_empty() || name.trim().is_empty() {
            return Err(EXPECTED);
        }
        put(&mut fields, "Node Type", name.trim());
    }
    read_figures(figures, &mut fields)?;
    Ok(fields)
}

/// Whether a line has figures of a node.
pub(super) fn has_figures(line: &str) -> bool {
    !split_figures(line).1.is_empty()
}

/// The name, and everything from the first parenthesis with figures on.
fn split_figures(line: &str) -> (&str, &str) {
    let mut is_quoted = false;
    for (at, letter) in line.char_indices() {
        is_quoted ^= letter == '"';
        let rest = &line[at..];
        let is_start = ["(cost=", "(actual ", "(never executed)"].iter().any(|start| rest.starts_with(start));
        if letter == '(' && !is_quoted && is_start {
            return (&line[..at], rest);
        }
    }
    (line, "")
}

fn read_figures(figures: &str, fields: &mut Map<String, Value>) -> Result<(), &'static str> {
    const COST: &str = "\"(cost=START..TOTAL rows=ROWS width=BYTES)\"";
    const ACTUAL: &str = "\"(actual time=START..TOTAL rows=ROWS loops=LOOPS)\" or \"(never executed)\"";
    let mut rest = figures.trim();
    while !rest.is_empty() {
        let inner = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let Some((inner, after)) = inner else {
            return Err(if rest.starts_with("(cost=") { COST } else { ACTUAL });
        };
        if inner.starts_with("cost=") {
            read_cost(inner, fields).ok_or(COST)?;
        } else {
            read_actual(inner, fields).ok_or(ACTUAL)?;
        }
        rest = after.trim_start();
    }
    Ok(())
}

fn read_cost(inner: &str, fields: &mut Map<String, Value>) -> Option<()> {
    let mut words = inner.split_whitespace();
    let (startup, total) = words.next()?.strip_prefix("cost=")?.split_once("..")?;
    put_number(fields, "Startup Cost", startup)?;
    put_number(fields, "Total Cost", total)?;
    put_number(fields, "Plan Rows", words.next()?.strip_prefix("rows=")?)?;
    put_number(fields, "Plan Width", words.next()?.strip_prefix("width=")?)
}

/// Reads `actual time=1..2 rows=3 loops=4`, without time where there was no timing, or `never executed`.
pub(super) fn read_actual(inner: &str, fields: &mut Map<String, Value>) -> Option<()> {
    if inner == "never executed" {
        for name in ["Actual Startup Time", "Actual Total Time", "Actual Rows", "Actual Loops"] {
            fields.insert(name.to_owned(), Value::from(0));
        }
        return Some(());
    }
    for word in inner.strip_prefix("actual ")?.split_whitespace() {
        match word.split_once('=')? {
            ("time", times) => {
                let (startup, total) = times.split_once("..")?;
                put_number(fields, "Actual Startup Time", startup)?;
                put_number(fields, "Actual Total Time", total)?;
            }
            ("rows", rows) => put_number(fields, "Actual Rows", rows)?,
            ("loops", loops) => put_number(fields, "Actual Loops", loops)?,
            _ => return None,
        }
    }
    (fields.contains_key("Actual Rows") && fields.contains_key("Actual Loops")).then_some(())
}

fn read_name(name: &str, fields: &mut Map<String, Value>) -> bool {
    let (name, is_parallel) = without(name, "Parallel ");
    let (name, is_async) = without(name, "Async ");
    fields.insert("Parallel Aware".to_owned(), Value::Bool(is_parallel));
    fields.insert("Async Capable".to_owned(), Value::Bool(is_async));
    read_join(name, fields)
        || read_aggregate(name, fields)
        || read_set_operation(name, fields)
        || read_change(name, fields)
        || read_other(name, fields)
}

fn without<'a>(name: &'a str, prefix: &str) -> (&'a str, bool) {
    name.strip_prefix(prefix).map_or((name, false), |rest| (rest, true))
}

fn read_join(name: &str, fields: &mut Map<String, Value>) -> bool {
    const TYPES: &[&str] = &["Left", "Right", "Full", "Semi", "Anti", "Right Semi", "Right Anti"];
    for (prefix, kind) in [("Nested Loop", "Nested Loop"), ("Hash", "Hash Join"), ("Merge", "Merge Join")] {
        let Some(rest) = name.strip_prefix(prefix) else { continue };
        let typed = rest.strip_prefix(' ').and_then(|rest| rest.strip_suffix(" Join"));
        let join_type = match typed {
            Some(join_type) if TYPES.contains(&join_type) => join_type,
            None if rest == " Join" || rest.is_empty() && prefix == "Nested Loop" => "Inner",
            _ => continue,
        };
        put(fields, "Node Type", kind);
        put(fields, "Join Type", join_type);
        return true;
    }
    false
}

fn read_aggregate(name: &str, fields: &mut Map<String, Value>) -> bool {
    let partial = ["Partial ", "Finalize "].into_iter().find(|mode| name.starts_with(mode));
    let strategy = match partial.map_or(name, |mode| &name[mode.len()..]) {
        "Aggregate" => "Plain",
        "GroupAggregate" => "Sorted",
        "HashAggregate" => "Hashed",
        "MixedAggregate" => "Mixed",
        _ => return false,
    };
    put(fields, "Node Type", "Aggregate");
    put(fields, "Strategy", strategy);
    put(fields, "Partial Mode", partial.map_or("Simple", str::trim_end));
    true
}

fn read_set_operation(name: &str, fields: &mut Map<String, Value>) -> bool {
    let (command, strategy) = match (name.strip_prefix("HashSetOp "), name.strip_prefix("SetOp ")) {
        (Some(command), _) => (command, "Hashed"),
        (_, Some(command)) => (command, "Sorted"),
        _ => return false,
    };
    put(fields, "Node Type", "SetOp");
    put(fields, "Strategy", strategy);
    put(fields, "Command", command);
    true
}

fn read_change(name: &str, fields: &mut Map<String, Value>) -> bool {
    for (prefix, kind) in [("Foreign ", "Foreign Scan"), ("", "ModifyTable")] {
        for operation in ["Insert", "Update", "Delete", "Merge"] {
            let rest = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(operation));
            if let Some(target) = rest.and_then(|rest| rest.strip_prefix(" on ")) {
                put(fields, "Node Type", kind);
                put(fields, "Operation", operation);
                return read_target(kind, target, fields);
            }
        }
    }
    false
}

fn read_other(name: &str, fields: &mut Map<String, Value>) -> bool {
    let Some(kind) = Kind::prefix_of(name) else { return false };
    put(fields, "Node Type", kind);
    let mut rest = &name[kind.len()..];
    if let Some((provider, after)) = rest.strip_prefix(" (").and_then(|rest| rest.split_once(')')) {
        put(fields, "Custom Plan Provider", provider);
        rest = after;
    }
    if kind.starts_with("Index") {
        let backward = rest.strip_prefix(" Backward");
        put(fields, "Scan Direction", if backward.is_some() { "Backward" } else { "Forward" });
        rest = backward.unwrap_or(rest);
    }
    if let Some(using) = rest.strip_prefix(" using ") {
        let Some((index, after)) = identifier(using) else { return false };
        put(fields, "Index Name", &index);
        rest = after;
    }
    match rest.strip_prefix(" on ") {
        Some(target) => read_target(kind, target, fields),
        None => rest.trim().is_empty(),
    }
}

/// `[schema.]name [alias]`.
fn read_target(kind: &str, target: &str, fields: &mut Map<String, Value>) -> bool {
    let Some((mut name, mut rest)) = identifier(target.trim()) else { return false };
    if let Some(after) = rest.strip_prefix('.') {
        put(fields, "Schema", &name);
        let Some(parts) = identifier(after) else { return false };
        (name, rest) = parts;
    }
    let slot = match kind {
        "Bitmap Index Scan" => "Index Name",
        "CTE Scan" | "WorkTable Scan" => "CTE Name",
        "Function Scan" => "Function Name",
        "Table Function Scan" => "Table Function Name",
        "Named Tuplestore Scan" => "Tuplestore Name",
        "Values Scan" | "Subquery Scan" => "Alias",
        _ => "Relation Name",
    };
    put(fields, slot, &name);
    let alias = match rest.trim() {
        "" => Some((name, "")),
        rest => identifier(rest),
    };
    match alias {
        Some((alias, "")) => {
            if slot != "Index Name" {
                put(fields, "Alias", &alias);
            }
            true
        }
        _ => false,
    }
}

/// The identifier that `text` begins with, without its quotes, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '.']).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let (mut name, mut rest) = (String::new(), quoted);
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

fn put(fields: &mut Map<String, Value>, name: &str, value: &str) {
    fields.insert(name.to_owned(), Value::from(value));
}

/// Sets a field to a number that is finite; nothing where it is none.
pub(super) fn put_number(fields: &mut Map<String, Value>, name: &str, value: &str) -> Option<()> {
    let number: f64 = value.trim().parse().ok().filter(|number: &f64| number.is_finite())?;
    fields.insert(name.to_owned(), Value::from(number));
    Some(())
}
