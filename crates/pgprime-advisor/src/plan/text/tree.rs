//! From lines to the tree: a node belongs to the nearest one above that starts further to the left.

use serde_json::{Map, Value};

use super::clean::Line;
use super::summary::{Section, Summary};
use super::{node_line, property, summary};
use crate::plan::error::{PlanError, excerpt};
use crate::plan::limits::{NODE_DEPTH_MAX, NODES_MAX, VALUE_LINES_MAX};

const ARROW: &str = "->";
/// What a tab is worth: a plan's lines only have to stand in the same order as before.
const TAB_COLUMNS: usize = 8;

/// The plan in `lines`, in the shape of the JSON format.
pub(in crate::plan) fn read(lines: &[Line]) -> Result<Value, PlanError> {
    let start = lines.iter().position(is_root).ok_or(PlanError::NoPlan { lines: lines.len() })?;
    let mut tree = Tree::default();
    if let Some(text) = query_text(&lines[..start]) {
        tree.statement.insert("Query Text".to_owned(), Value::from(text));
    }
    for line in &lines[start..] {
        tree.line(line)?;
    }
    Ok(tree.finish())
}

/// Whether the first node may be here: with figures, or all of a node's name and nothing else.
fn is_root(line: &Line) -> bool {
    let text = without_arrow(line.text.trim());
    node_line::has_figures(text) || node_line::read(text).is_ok()
}

fn without_arrow(text: &str) -> &str {
    text.strip_prefix(ARROW).map_or(text, str::trim_start)
}

/// The statement that auto_explain writes before the plan.
fn query_text(lines: &[Line]) -> Option<String> {
    let start = lines.iter().position(|line| line.text.trim_start().starts_with("Query Text:"))?;
    let is_behind = |line: &&Line| !line.text.starts_with("Query Parameters:");
    let text: Vec<&str> =
        lines[start..].iter().take_while(is_behind).map(|line| line.text.as_str()).collect();
    Some(text.join("\n").trim_start().strip_prefix("Query Text:")?.trim().to_owned())
}

/// A node whose lines are being read.
struct Open {
    column: usize,
    fields: Map<String, Value>,
    children: Vec<Value>,
    /// Children that are no InitPlan, SubPlan or common table expression.
    inputs: usize,
}

#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Value>,
    nodes: usize,
    statement: Map<String, Value>,
    section: Option<(usize, Section)>,
    /// The name of the InitPlan, SubPlan or common table expression whose first node comes next.
    heading: Option<String>,
    /// The column of `Worker 0:`, while its lines last.
    worker: Option<usize>,
    /// The field that the last line set and that may go on in the next, and the lines it has.
    text: Option<(String, usize)>,
}

impl Tree {
    fn line(&mut self, line: &Line) -> Result<(), PlanError> {
        let text = line.text.trim();
        let wrong = |expected| PlanError::Line { line: line.number, expected, found: excerpt(text) };
        if text.is_empty() {
            return Ok(());
        }
        let column = column(&line.text);
        if self.open.is_empty() && self.root.is_none() || text.starts_with(ARROW) {
            return self.node(column, without_arrow(text), line);
        }
        if self.goes_on(text) {
            return Ok(());
        }
        if let Some(name) = heading(text) {
            self.heading = Some(name.to_owned());
            (self.section, self.worker, self.text) = (None, None, None);
            return Ok(());
        }
        if let Some((start, section)) = self.section {
            if column > start {
                return summary::read_in(section, text, &mut self.statement).map_err(wrong);
            }
            self.section = None;
        }
        match summary::read(text, &mut self.statement).map_err(wrong)? {
            Summary::Line => return Ok(()),
            Summary::Section(section) => {
                self.section = Some((column, section));
                return Ok(());
            }
            Summary::No => {}
        }
        if node_line::has_figures(text) && property::split(text).is_none() {
            return Err(PlanError::Several { count: 2 });
        }
        self.property(column, text).map_err(wrong)
    }

    fn node(&mut self, column: usize, text: &str, line: &Line) -> Result<(), PlanError> {
        let wrong = |expected| PlanError::Line { line: line.number, expected, found: excerpt(text) };
        let mut fields = node_line::read(text).map_err(wrong)?;
        while self.open.last().is_some_and(|open| open.column >= column) && self.open.len() > 1 {
            self.close();
        }
        if self.open.len() >= NODE_DEPTH_MAX {
            return Err(PlanError::TooDeep { line: line.number });
        }
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(PlanError::TooManyNodes);
        }
        let heading = self.heading.take();
        if let Some(above) = self.open.last_mut() {
            let relationship = relationship(above, heading.as_deref());
            above.inputs += usize::from(heading.is_none());
            fields.insert("Parent Relationship".to_owned(), Value::from(relationship));
        }
        fields.extend(heading.map(|name| ("Subplan Name".to_owned(), Value::from(name))));
        (self.worker, self.section, self.text) = (None, None, None);
        self.open.push(Open { column, fields, children: Vec::new(), inputs: 0 });
        Ok(())
    }

    fn property(&mut self, column: usize, text: &str) -> Result<(), &'static str> {
        const EXPECTED: &str =
            "a node after \"->\", a line such as \"Filter: (x = 1)\", or \"Planning Time: 0.1 ms\"";
        let (name, value) = property::split(text).ok_or(EXPECTED)?;
        let Some(node) = self.open.last_mut() else { return Err(EXPECTED) };
        if let Some(number) = name.strip_prefix("Worker ") {
            self.worker = Some(column);
            return start_worker(&mut node.fields, number, value);
        }
        if self.worker.is_some_and(|worker| column <= worker) {
            self.worker = None;
        }
        let target = match self.worker {
            Some(_) => last_worker(&mut node.fields).ok_or(EXPECTED)?,
            None => &mut node.fields,
        };
        property::read(name, value, target)?;
        self.text = (self.worker.is_none() && is_unfinished(value)).then(|| (name.to_owned(), 1));
        Ok(())
    }

    /// Adds a line to the value of the last one, if that one is not finished.
    fn goes_on(&mut self, text: &str) -> bool {
        let (Some((name, lines)), Some(node)) = (self.text.take(), self.open.last_mut()) else {
            return false;
        };
        let slot = match node.fields.get_mut(&name) {
            Some(Value::Array(parts)) => parts.last_mut(),
            other => other,
        };
        let Some(Value::String(value)) = slot else { return false };
        if lines >= VALUE_LINES_MAX || node_line::has_figures(text) {
            return false;
        }
        value.push('\n');
        value.push_str(text);
        if is_unfinished(value) {
            self.text = Some((name, lines + 1));
        }
        true
    }

    fn close(&mut self) {
        let Some(Open { mut fields, children, .. }) = self.open.pop() else { return };
        if !children.is_empty() {
            fields.insert("Plans".to_owned(), Value::Array(children));
        }
        match self.open.last_mut() {
            Some(above) => above.children.push(Value::Object(fields)),
            None => self.root = Some(Value::Object(fields)),
        }
    }

    fn finish(mut self) -> Value {
        while !self.open.is_empty() {
            self.close();
        }
        self.statement.extend(self.root.map(|root| ("Plan".to_owned(), root)));
        Value::Object(self.statement)
    }
}

fn column(text: &str) -> usize {
    let space = text.chars().take_while(|letter| letter.is_whitespace());
    space.map(|letter| if letter == '\t' { TAB_COLUMNS } else { 1 }).sum()
}

/// The name in a line of its own above an InitPlan, a SubPlan or a common table expression.
fn heading(text: &str) -> Option<&str> {
    let is_heading = ["InitPlan ", "SubPlan ", "CTE "].iter().any(|start| text.starts_with(start));
    (is_heading && !node_line::has_figures(text)).then_some(text)
}

fn relationship(above: &Open, heading: Option<&str>) -> &'static str {
    match heading {
        Some(name) if name.starts_with("SubPlan ") => return "SubPlan",
        Some(_) => return "InitPlan",
        None => {}
    }
    match above.fields.get("Node Type").and_then(Value::as_str).unwrap_or_default() {
        "Append" | "Merge Append" | "BitmapAnd" | "BitmapOr" => "Member",
        "Subquery Scan" => "Subquery",
        _ if above.inputs == 0 => "Outer",
        _ => "Inner",
    }
}

fn start_worker(fields: &mut Map<String, Value>, number: &str, value: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "\"Worker N:  actual time=START..TOTAL rows=ROWS loops=LOOPS\"";
    let mut worker = Map::new();
    node_line::put_number(&mut worker, "Worker Number", number).ok_or(EXPECTED)?;
    if value.starts_with("actual ") {
        node_line::read_actual(value, &mut worker).ok_or(EXPECTED)?;
    } else if let Some((name, value)) = property::split(value) {
        worker.extend(fields.get("Node Type").map(|kind| ("Node Type".to_owned(), kind.clone())));
        property::read(name, value, &mut worker)?;
    }
    match fields.entry("Workers").or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(workers) => workers.push(Value::Object(worker)),
        other => *other = Value::Array(vec![Value::Object(worker)]),
    }
    Ok(())
}

fn last_worker(fields: &mut Map<String, Value>) -> Option<&mut Map<String, Value>> {
    let kind = fields.get("Node Type").cloned();
    let worker = fields.get_mut("Workers")?.as_array_mut()?.last_mut()?.as_object_mut()?;
    worker.extend(kind.map(|kind| ("Node Type".to_owned(), kind)));
    Some(worker)
}

/// Whether a quote or a parenthesis is open at the end.
fn is_unfinished(value: &str) -> bool {
    let (mut depth, mut quote) = (0_i64, None);
    for letter in value.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    quote.is_some() || depth > 0
}
