//! From EXPLAIN's JSON to a plan. The text format is brought into the same shape first, so this is the one place that
//! knows what the fields mean.

mod fields;
mod node;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::error::PlanError;
use super::model::{Jit, Plan, Serialization, Trigger};
use fields::{Fields, Path};

/// The plan in `value`: what EXPLAIN prints, what auto_explain logs, or the topmost node alone.
pub(super) fn decode(value: &Value) -> Result<Plan, PlanError> {
    let map = statement(value)?;
    let path = Path::Root;
    let fields = Fields { map, path: &path };
    let mut nodes = node::Count::default();
    let root = match map.get("Plan") {
        Some(plan) => node::decode(plan, &path.field("Plan"), &mut nodes)?,
        None => node::decode_map(map, &path, &mut nodes)?,
    };
    let planning_path = path.field("Planning");
    let planning = fields.object("Planning")?.map(|map| Fields { map, path: &planning_path });
    Ok(Plan {
        root,
        planning_ms: fields.number("Planning Time")?,
        planning_buffers: planning.map_or(Ok(None), |planning| planning.buffers())?,
        planning_memory_kib: planning.map_or(Ok(None), |planning| planning.count("Memory Used"))?,
        execution_ms: fields.number("Execution Time")?,
        triggers: triggers(&fields)?,
        jit: jit(&fields)?,
        serialization: serialization(&fields)?,
        settings: settings(&fields)?,
        query_id: map.get("Query Identifier").and_then(Value::as_i64),
        query_text: fields.text("Query Text")?,
    })
}

/// The object about the statement, out of what may be around it.
fn statement(value: &Value) -> Result<&Map<String, Value>, PlanError> {
    let wrong = |path: &str, expected, found: &Value| PlanError::Field {
        path: path.to_owned(),
        expected,
        found: fields::describe(found),
    };
    let map = match value {
        Value::Array(plans) if plans.len() > 1 => return Err(PlanError::Several { count: plans.len() }),
        Value::Array(plans) => match plans.first() {
            Some(Value::Object(map)) => map,
            other => return Err(wrong("[0]", "an object with \"Plan\"", other.unwrap_or(&Value::Null))),
        },
        Value::Object(map) => map,
        other => return Err(wrong("the beginning", "an array or object with \"Plan\"", other)),
    };
    // Some clients hand out the result as a row with its column.
    match map.get("QUERY PLAN") {
        Some(Value::Array(plans)) if plans.len() > 1 => Err(PlanError::Several { count: plans.len() }),
        Some(Value::Array(plans)) => match plans.first() {
            Some(Value::Object(inner)) => known(inner),
            other => {
                Err(wrong("\"QUERY PLAN\"[0]", "an object with \"Plan\"", other.unwrap_or(&Value::Null)))
            }
        },
        Some(other) => Err(wrong("\"QUERY PLAN\"", "an array", other)),
        None => known(map),
    }
}

fn known(map: &Map<String, Value>) -> Result<&Map<String, Value>, PlanError> {
    if map.contains_key("Plan") || map.contains_key("Node Type") {
        return Ok(map);
    }
    let names: Vec<&str> = map.keys().take(5).map(String::as_str).collect();
    Err(PlanError::Field {
        path: "the beginning".to_owned(),
        expected: "an object with \"Plan\"",
        found: error_names(&names),
    })
}

fn error_names(names: &[&str]) -> String {
    if names.is_empty() {
        "an object without fields".to_owned()
    } else {
        format!("one with {}", super::error::excerpt(&names.join(", ")))
    }
}

fn triggers(fields: &Fields<'_>) -> Result<Vec<Trigger>, PlanError> {
    let mut triggers = Vec::new();
    let list = fields.path.field("Triggers");
    for (index, value) in fields.array("Triggers")?.iter().enumerate() {
        let path = list.element(index);
        let fields = Fields { map: fields::object(value, &path)?, path: &path };
        triggers.push(Trigger {
            name: fields.text("Trigger Name")?.unwrap_or_default(),
            constraint: fields.text("Constraint Name")?,
            relation: fields.text("Relation")?,
            time_ms: fields.number("Time")?,
            calls: fields.number("Calls")?.unwrap_or_default(),
        });
    }
    Ok(triggers)
}

fn jit(fields: &Fields<'_>) -> Result<Option<Jit>, PlanError> {
    let Some(map) = fields.object("JIT")? else { return Ok(None) };
    let path = fields.path.field("JIT");
    let jit = Fields { map, path: &path };
    let mut found = Jit { functions: jit.count("Functions")?.unwrap_or_default(), ..Jit::default() };
    if let Some(map) = jit.object("Timing")? {
        let path = path.field("Timing");
        let timing = Fields { map, path: &path };
        let ms = |name| timing.number(name).map(Option::unwrap_or_default);
        found.generation_ms = match map.get("Generation") {
            // From 17 on with its parts.
            Some(Value::Object(parts)) => {
                let path = path.field("Generation");
                Fields { map: parts, path: &path }.number("Total")?.unwrap_or_default()
            }
            _ => ms("Generation")?,
        };
        found.inlining_ms = ms("Inlining")?;
        found.optimization_ms = ms("Optimization")?;
        found.emission_ms = ms("Emission")?;
        found.total_ms = ms("Total")?;
    }
    Ok(Some(found))
}

fn serialization(fields: &Fields<'_>) -> Result<Option<Serialization>, PlanError> {
    let Some(map) = fields.object("Serialization")? else { return Ok(None) };
    let path = fields.path.field("Serialization");
    let fields = Fields { map, path: &path };
    Ok(Some(Serialization {
        time_ms: fields.number("Time")?,
        output_kib: fields.count("Output Volume")?.unwrap_or_default(),
        format: fields.text("Format")?,
    }))
}

fn settings(fields: &Fields<'_>) -> Result<BTreeMap<String, String>, PlanError> {
    let Some(map) = fields.object("Settings")? else { return Ok(BTreeMap::new()) };
    Ok(map.iter().map(|(name, value)| (name.clone(), fields::plain(value))).collect())
}
