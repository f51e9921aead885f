//! From a statement to the definition of a view that holds what it asks for. Pure.
//!
//! ORDER BY and LIMIT are left to the reader. A condition `column = $1` becomes a column of the view, by which it is grouped: the
//! groups with one of its values are those that the statement gives for that value.

use pg_query::DeparseOptions;
use pg_query::NodeEnum;
use pg_query::protobuf::{self, AExpr, AExprKind, BoolExprType, Node, SelectStmt, SetOperation};

use crate::sql::{Statement, StatementKind};

/// Longer statements are not for people to read as a view.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// The stack of the thread that takes trees apart, in bytes; only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;

const NOT_A_KEY: &str = "a parameter stands for something else than one value of a column (column = $1 outside of OR). Where it is \
    always the same constant, which pg_stat_statements does not keep, give the statement with it (--statement)";

/// A view and how to read it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Definition {
    pub(super) sql: String,
    /// Whether it has one row for each group, rather than one altogether.
    pub(super) is_grouped: bool,
    pub(super) unique_key: Vec<String>,
    /// Conditions and order of the reader, which stand behind the view's name.
    pub(super) reader_columns: String,
    pub(super) reader_tail: String,
    /// Whether the reader asks for one value of a column, so that an index of the view finds its rows.
    pub(super) is_keyed: bool,
    /// Whether it has as many rows as the statement.
    pub(super) has_all_rows: bool,
    pub(super) notes: Vec<String>,
}

/// None when the statement is no aggregation; an error says why it makes no view.
pub(super) fn definition(statement: &Statement) -> Option<Result<Definition, String>> {
    if *statement.kind() != StatementKind::Read {
        return None;
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("view".to_owned()).stack_size(STACK_BYTES);
        let worker = builder.spawn_scoped(scope, || {
            let NodeEnum::SelectStmt(select) = statement.tree().node.as_ref()? else { return None };
            is_aggregation(select).then(|| taken_apart(statement, (**select).clone()))
        });
        worker.ok().and_then(|worker| worker.join().ok()).flatten()
    })
}

fn is_aggregation(select: &SelectStmt) -> bool {
    const AGGREGATES: &[&str] = &[
        "array_agg",
        "avg",
        "bool_and",
        "bool_or",
        "count",
        "every",
        "json_agg",
        "jsonb_agg",
        "max",
        "min",
        "percentile_cont",
        "percentile_disc",
        "stddev",
        "string_agg",
        "sum",
        "variance",
    ];
    let is_aggregate = |node: &Node| {
        match &node.node {
        Some(NodeEnum::ResTarget(target)) => target.val.as_ref().is_some_and(|value| {
            let all = value.node.as_ref().map(NodeEnum::nodes).unwrap_or_default();
            all.iter().any(|(node, ..)| {
                matches!(node, pg_query::NodeRef::FuncCall(call)
                    if call.over.is_none() && last_word(&call.funcname).is_some_and(|word| AGGREGATES.contains(&word.as_str())))
            })
        }),
        _ => false,
    }
    };
    select.op == SetOperation::SetopNone as i32
        && !select.from_clause.is_empty()
        && (!select.group_clause.is_empty() || select.target_list.iter().any(is_aggregate))
}

fn taken_apart(statement: &Statement, mut select: SelectStmt) -> Result<Definition, String> {
    if statement.text().len() > TEXT_BYTES_MAX {
        return Err(format!("its text is longer than {} kB", TEXT_BYTES_MAX / 1024));
    }
    if let Some(name) =
        statement.functions().map(|function| function.name.as_str()).find(|name| is_random(name))
    {
        return Err(format!("{name}() gives something else each time"));
    }
    let mut notes = Vec::new();
    let is_clock = |name: &str| {
        matches!(name, "now" | "clock_timestamp" | "statement_timestamp" | "transaction_timestamp")
    };
    if statement.functions().any(|function| is_clock(&function.name)) || mentions_clock(statement) {
        notes.push("it looks at the clock: the view is of the moment of its refresh".to_owned());
    }
    let (columns, is_named) = outputs(&mut select)?;
    let parameters = keys_of_parameters(&mut select)?;
    let order = order(&select, &columns);
    let limit = limit(&select)?;
    if order.is_none() {
        let reason = "its order is by something that is not among its columns: name it there, too";
        match limit.is_empty() {
            true => notes.push(
                "its order is by something that is not among its columns: the reader has none".to_owned(),
            ),
            false => return Err(reason.to_owned()),
        }
    }
    (select.sort_clause, select.limit_count, select.limit_offset, select.limit_option) =
        (Vec::new(), None, None, protobuf::LimitOption::Default as i32);
    let had_groups = !select.group_clause.is_empty();
    let mut all = columns.clone();
    let mut conditions = Vec::new();
    for (column, number) in parameters {
        let name = add_key(&mut select, &mut all, column)?;
        conditions.push(format!("{} = ${number}", sql_name(&name)));
    }
    if !had_groups && !conditions.is_empty() {
        notes.push("for a value that there is none of it gives no row, instead of one with zeros".to_owned());
    }
    if !is_named {
        notes.push("columns without a name have got one".to_owned());
    }
    let is_grouped = had_groups || !conditions.is_empty();
    let unique_key = unique_key(&select, &all, is_grouped);
    let sql = deparsed(NodeEnum::SelectStmt(Box::new(select)))?;
    let has_parameter_left = Statement::parse(&sql).is_ok_and(|view| view.has_placeholders());
    if has_parameter_left {
        return Err(NOT_A_KEY.to_owned());
    }
    let is_keyed = !conditions.is_empty();
    let condition = if is_keyed { format!(" WHERE {}", conditions.join(" AND ")) } else { String::new() };
    let reader_columns: Vec<String> = columns.iter().map(|column| sql_name(column)).collect();
    Ok(Definition {
        sql,
        is_grouped,
        unique_key,
        reader_columns: reader_columns.join(", "),
        reader_tail: format!("{condition}{}{limit}", order.unwrap_or_default()),
        is_keyed,
        has_all_rows: !is_keyed && limit.is_empty(),
        notes,
    })
}

fn is_random(name: &str) -> bool {
    matches!(
        name,
        "random" | "gen_random_uuid" | "uuid_generate_v4" | "nextval" | "random_normal" | "txid_current"
    )
}

/// `CURRENT_DATE` and its like are no functions to the parser.
fn mentions_clock(statement: &Statement) -> bool {
    let nodes = statement.tree().node.as_ref().map(NodeEnum::nodes).unwrap_or_default();
    nodes.iter().any(|(node, ..)| matches!(node, pg_query::NodeRef::SqlvalueFunction(_)))
        || statement.text().to_ascii_lowercase().contains("current_date")
        || statement.text().to_ascii_lowercase().contains("current_timestamp")
}

/// The names of the columns, each of which gets one that no other has; and whether all had one.
fn outputs(select: &mut SelectStmt) -> Result<(Vec<String>, bool), String> {
    let mut names: Vec<String> = Vec::new();
    let mut is_named = true;
    for node in &mut select.target_list {
        let Some(NodeEnum::ResTarget(target)) = &mut node.node else { continue };
        let own = match target.name.as_str() {
            "" => natural_name(target.val.as_deref())?,
            name => Some(name.to_owned()),
        };
        is_named &= own.is_some();
        let stem = own.unwrap_or_else(|| "value".to_owned());
        let mut name = stem.clone();
        let mut number = 1;
        while names.contains(&name) {
            number += 1;
            name = format!("{stem}_{number}");
        }
        target.name.clone_from(&name);
        names.push(name);
    }
    Ok((names, is_named))
}

/// What PostgreSQL would call it.
fn natural_name(value: Option<&Node>) -> Result<Option<String>, String> {
    match value.and_then(|value| value.node.as_ref()) {
        Some(NodeEnum::ColumnRef(column)) => match last_word(&column.fields) {
            Some(name) => Ok(Some(name)),
            None => Err("it asks for all columns (*): name those that are needed".to_owned()),
        },
        Some(NodeEnum::FuncCall(call)) => Ok(last_word(&call.funcname)),
        Some(NodeEnum::TypeCast(cast)) => natural_name(cast.arg.as_deref()),
        Some(NodeEnum::CoalesceExpr(_)) => Ok(Some("coalesce".to_owned())),
        _ => Ok(None),
    }
}

fn last_word(names: &[Node]) -> Option<String> {
    match names.last()?.node.as_ref()? {
        NodeEnum::String(word) => Some(word.sval.clone()),
        _ => None,
    }
}

/// Takes conditions `column = $n` away; returns their columns and numbers.
fn keys_of_parameters(select: &mut SelectStmt) -> Result<Vec<(Node, i32)>, String> {
    let Some(condition) = select.where_clause.take() else { return Ok(Vec::new()) };
    let parts = match condition.node {
        Some(NodeEnum::BoolExpr(all)) if all.boolop == BoolExprType::AndExpr as i32 => all.args,
        node => vec![Node { node }],
    };
    let mut keys = Vec::new();
    let mut kept = Vec::new();
    for part in parts {
        match key_of(&part) {
            Some(key) => keys.push(key),
            None => kept.push(part),
        }
    }
    if !keys.is_empty() && (select.distinct_clause.len() + select.window_clause.len()) > 0 {
        return Err("it has parameters beside DISTINCT or windows".to_owned());
    }
    select.where_clause = match kept.len() {
        0 => None,
        1 => kept.pop().map(Box::new),
        _ => {
            let all =
                protobuf::BoolExpr { boolop: BoolExprType::AndExpr as i32, args: kept, ..Default::default() };
            Some(Box::new(Node { node: Some(NodeEnum::BoolExpr(Box::new(all))) }))
        }
    };
    Ok(keys)
}

/// A column and the number of the parameter that it is compared with.
fn key_of(part: &Node) -> Option<(Node, i32)> {
    let Some(NodeEnum::AExpr(expression)) = &part.node else { return None };
    let AExpr { kind, name, lexpr, rexpr, .. } = &**expression;
    if *kind != AExprKind::AexprOp as i32 || last_word(name).as_deref() != Some("=") {
        return None;
    }
    let (left, right) = (lexpr.as_deref()?, rexpr.as_deref()?);
    let column = |node: &Node| matches!(node.node, Some(NodeEnum::ColumnRef(_))).then(|| node.clone());
    match (column(left), parameter(right), column(right), parameter(left)) {
        (Some(column), Some(number), ..) | (_, _, Some(column), Some(number)) => Some((column, number)),
        _ => None,
    }
}

fn parameter(node: &Node) -> Option<i32> {
    match node.node.as_ref()? {
        NodeEnum::ParamRef(parameter) => Some(parameter.number),
        NodeEnum::TypeCast(cast) => parameter(cast.arg.as_deref()?),
        _ => None,
    }
}

/// Groups by the column, too, and gives it a name among the columns, unless it is one of them.
fn add_key(select: &mut SelectStmt, columns: &mut Vec<String>, column: Node) -> Result<String, String> {
    let own = deparsed_expression(&column)?;
    let known = select.target_list.iter().zip(columns.iter()).find_map(|(target, name)| {
        let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
        let value = deparsed_expression(target.val.as_deref()?).ok()?;
        (value == own).then(|| name.clone())
    });
    let is_grouped =
        select.group_clause.iter().any(|group| deparsed_expression(group).ok().as_ref() == Some(&own));
    if !is_grouped {
        select.group_clause.push(column.clone());
    }
    if let Some(name) = known {
        return Ok(name);
    }
    let stem = natural_name(Some(&column))?.unwrap_or_else(|| "key".to_owned());
    let mut name = stem.clone();
    let mut number = 1;
    while columns.contains(&name) {
        number += 1;
        name = format!("{stem}_{number}");
    }
    let target =
        protobuf::ResTarget { name: name.clone(), val: Some(Box::new(column)), ..Default::default() };
    select.target_list.push(Node { node: Some(NodeEnum::ResTarget(Box::new(target))) });
    columns.push(name.clone());
    Ok(name)
}

/// The columns that the groups are by, if all of them are among the view's; for a single row, none is needed.
fn unique_key(select: &SelectStmt, columns: &[String], is_grouped: bool) -> Vec<String> {
    if !is_grouped {
        return columns.first().cloned().into_iter().collect();
    }
    let key = |group: &Node| place(select, columns, group).and_then(|place| columns.get(place).cloned());
    let keys: Option<Vec<String>> = select.group_clause.iter().map(key).collect();
    keys.unwrap_or_default()
}

/// Which of the columns an expression of GROUP BY or ORDER BY is: by its number, name, or the same expression.
fn place(select: &SelectStmt, columns: &[String], node: &Node) -> Option<usize> {
    if let Some(NodeEnum::AConst(constant)) = &node.node
        && let Some(protobuf::a_const::Val::Ival(number)) = &constant.val
    {
        return usize::try_from(number.ival).ok()?.checked_sub(1);
    }
    let own = deparsed_expression(node).ok()?;
    let by_value = select.target_list.iter().position(|target| match &target.node {
        Some(NodeEnum::ResTarget(target)) => {
            target.val.as_deref().and_then(|value| deparsed_expression(value).ok()).as_ref() == Some(&own)
        }
        _ => false,
    });
    by_value.or_else(|| columns.iter().position(|column| single_word(node).as_ref() == Some(column)))
}

/// A name without a table in front.
fn single_word(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::ColumnRef(column) if column.fields.len() == 1 => last_word(&column.fields),
        _ => None,
    }
}

/// ORDER BY for the reader; None where it is by something that is not a column.
fn order(select: &SelectStmt, columns: &[String]) -> Option<String> {
    let mut parts = Vec::new();
    for item in &select.sort_clause {
        let Some(NodeEnum::SortBy(sort)) = &item.node else { return None };
        let column = columns.get(place(select, columns, sort.node.as_deref()?)?)?;
        let direction = if sort.sortby_dir == protobuf::SortByDir::SortbyDesc as i32 { " DESC" } else { "" };
        let nulls = match protobuf::SortByNulls::try_from(sort.sortby_nulls) {
            Ok(protobuf::SortByNulls::SortbyNullsFirst) => " NULLS FIRST",
            Ok(protobuf::SortByNulls::SortbyNullsLast) => " NULLS LAST",
            _ => "",
        };
        parts.push(format!("{}{direction}{nulls}", sql_name(column)));
    }
    Some(if parts.is_empty() { String::new() } else { format!(" ORDER BY {}", parts.join(", ")) })
}

fn limit(select: &SelectStmt) -> Result<String, String> {
    let part = |word: &str, node: Option<&Node>| -> Result<String, String> {
        node.map_or(Ok(String::new()), |node| Ok(format!(" {word} {}", deparsed_expression(node)?)))
    };
    Ok(part("LIMIT", select.limit_count.as_deref())? + &part("OFFSET", select.limit_offset.as_deref())?)
}

/// An expression as SQL: what stands behind SELECT.
fn deparsed_expression(node: &Node) -> Result<String, String> {
    let target = protobuf::ResTarget { val: Some(Box::new(node.clone())), ..Default::default() };
    let select = SelectStmt {
        target_list: vec![Node { node: Some(NodeEnum::ResTarget(Box::new(target))) }],
        limit_option: protobuf::LimitOption::Default as i32,
        op: SetOperation::SetopNone as i32,
        ..Default::default()
    };
    let text = deparsed(NodeEnum::SelectStmt(Box::new(select)))?;
    Ok(text.strip_prefix("SELECT ").unwrap_or(&text).to_owned())
}

/// A name with quotes where it needs them.
pub(super) fn sql_name(name: &str) -> String {
    let word = protobuf::String { sval: name.to_owned() };
    let column = protobuf::ColumnRef {
        fields: vec![Node { node: Some(NodeEnum::String(word)) }],
        ..Default::default()
    };
    let node = Node { node: Some(NodeEnum::ColumnRef(column)) };
    deparsed_expression(&node).unwrap_or_else(|_| crate::sql::quoted(name))
}

fn deparsed(node: NodeEnum) -> Result<String, String> {
    node.deparse(DeparseOptions::default()).map_err(|error| format!("it cannot be written anew: {error}"))
}
