//! Statements of a workload, ready to be planned again and again.

use pg_query::protobuf::Token;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::advice::SkippedQuery;
use super::error::IndexesError;
use super::expression::literal;
use super::options::AdviceOptions;
use super::query::WorkloadQuery;
use super::session::{Session, column};
use super::workload::Workload;
use crate::Missing;
use crate::explain::{self, ExplainError, ExplainRequest, Limits, ParameterSource, Parameters};
use crate::sql::{Statement, StatementKind};

/// A statement that can be planned.
pub(super) struct Plannable {
    pub(super) query: WorkloadQuery,
    pub(super) statement: Statement,
    /// Its text with a value for each parameter.
    pub(super) text: String,
    pub(super) values: Values,
}

/// What its parameters stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// They are the real ones, or there are none.
    Real,
    /// Samples of what the columns hold.
    Sampled,
    /// None: the plan is for any values.
    Any,
}

/// What could be read, what not, and what was missing for it.
#[derive(Default)]
pub(super) struct Statements {
    pub(super) plannable: Vec<Plannable>,
    pub(super) skipped: Vec<SkippedQuery>,
    pub(super) missing: Vec<Missing>,
}

/// The statements of the workload with the most time in them, or cost where time was not measured. Opens and closes
/// transactions of its own.
pub(super) async fn statements(
    client: &Client,
    workload: &Workload,
    options: &AdviceOptions,
) -> Result<Statements, IndexesError> {
    let mut statements = Statements::default();
    let queries = workload.queries.iter().filter(|query| query.weight > 0.0);
    // What a server has counted is full of statements without a plan; in a file they are a mistake.
    let is_wanted = |query: &&WorkloadQuery| workload.seconds.is_none() || !is_utility(&query.text);
    let mut ordered: Vec<&WorkloadQuery> = queries.filter(is_wanted).collect();
    let total = |query: &WorkloadQuery| query.weight * query.mean_ms.unwrap_or(1.0);
    ordered.sort_by(|a, b| total(b).total_cmp(&total(a)));
    for (place, query) in ordered.into_iter().enumerate() {
        let outcome = match place < options.queries_max {
            true => plannable(client, query, options).await,
            false => Err(Refused::Statement(format!(
                "only the {} statements with the most time in them are looked at",
                options.queries_max
            ))),
        };
        match outcome {
            Ok((plannable, missing)) => {
                statements.plannable.push(plannable);
                missing.into_iter().for_each(|one| add(&mut statements.missing, one));
            }
            Err(Refused::Connection(error)) => return Err(error),
            Err(Refused::Statement(reason)) => statements.skipped.push(skipped(query, reason)),
        }
    }
    Ok(statements)
}

fn is_utility(text: &str) -> bool {
    match Statement::parse(text) {
        Ok(statement) => matches!(statement.kind(), StatementKind::Utility { .. } | StatementKind::Explain),
        // From version 17 on pg_stat_statements replaces names as well, as in `SAVEPOINT $1`, which no grammar takes.
        Err(_) => !begins_like_a_query(text),
    }
}

/// By its first word, for texts that cannot be parsed; those without one are not left out in silence.
fn begins_like_a_query(text: &str) -> bool {
    let word = first_word(text);
    let queries = ["select", "insert", "update", "delete", "merge", "with", "values", "table"];
    word.is_empty() || queries.iter().any(|query| word.eq_ignore_ascii_case(query))
}

/// What follows white space, comments and opening parentheses.
fn first_word(text: &str) -> &str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
        let after = match (rest.strip_prefix("--"), rest.strip_prefix("/*")) {
            (Some(comment), _) => comment.split_once('\n'),
            (_, Some(comment)) => comment.split_once("*/"),
            _ => break,
        };
        rest = after.map_or("", |(_, after)| after);
    }
    rest.split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default()
}

pub(super) fn skipped(query: &WorkloadQuery, reason: String) -> SkippedQuery {
    SkippedQuery { id: query.id.clone(), text: query.text.clone(), reason }
}

/// The same is missing for many statements.
pub(super) fn add(missing: &mut Vec<Missing>, one: Missing) {
    if !missing.contains(&one) {
        missing.push(one);
    }
}

enum Refused {
    Statement(String),
    Connection(IndexesError),
}

async fn plannable(
    client: &Client,
    query: &WorkloadQuery,
    options: &AdviceOptions,
) -> Result<(Plannable, Vec<Missing>), Refused> {
    let refused = |error: &dyn std::fmt::Display| Refused::Statement(error.to_string());
    let statement = Statement::parse(&query.text).map_err(|error| refused(&error))?;
    statement.plannable().map_err(|error| refused(&error))?;
    if !statement.has_placeholders() {
        let text = statement.text().to_owned();
        return Ok((Plannable { query: query.clone(), statement, text, values: Values::Real }, Vec::new()));
    }
    let limits = Limits { statement_timeout: options.statement_timeout, lock_timeout: options.lock_timeout };
    let parameters = query.parameters.clone();
    let request = ExplainRequest { parameters, limits, ..ExplainRequest::new(statement.clone()) };
    let explained = explain::explain(client, &request).await.map_err(|error| match error {
        ExplainError::Query { step, source } if source.code().is_none() => {
            Refused::Connection(IndexesError::Query { step, source })
        }
        other => Refused::Statement(other.to_string()),
    })?;
    let (literals, values) = literals(&explained.parameters);
    let literals = match values {
        Values::Any => any(client, statement.preparable_text(), options).await?,
        _ => literals,
    };
    let text = filled(statement.preparable_text(), &literals).map_err(|error| refused(&error))?;
    Ok((Plannable { query: query.clone(), statement, text, values }, explained.missing))
}

fn literals(parameters: &Parameters) -> (Vec<String>, Values) {
    let values = match parameters.source {
        ParameterSource::None | ParameterSource::Given | ParameterSource::Captured => Values::Real,
        ParameterSource::Sampled => Values::Sampled,
        ParameterSource::Generic => Values::Any,
    };
    let text = |value: &Option<String>| value.as_deref().map_or("NULL".to_owned(), literal);
    let one = |value: &explain::ParameterValue| format!("({}::{})", text(&value.value), value.type_name);
    (parameters.values.iter().map(one).collect(), values)
}

/// For each parameter something of its type whose value the planner does not know.
async fn any(client: &Client, text: &str, options: &AdviceOptions) -> Result<Vec<String>, Refused> {
    let types = async {
        let mut session = Session::begin(client, options).await?;
        let outcome = types(&mut session, text).await;
        session.end(outcome).await
    };
    match types.await {
        Ok(types) => Ok(types.iter().map(|name| format!("(SELECT NULL::{name})")).collect()),
        Err(error) if error.is_connection_lost() => Err(Refused::Connection(error)),
        Err(error) => Err(Refused::Statement(error.said())),
    }
}

async fn types(session: &mut Session<'_>, text: &str) -> Result<Vec<String>, IndexesError> {
    const STEP: &str = "find the types of its parameters";
    const NAME: &str = "pgprime_types";
    const TYPES: &str = include_str!("../../sql/explain_parameters.sql");
    session.execute(STEP, &format!("PREPARE {NAME} AS {text}")).await?;
    session.keep_prepared(NAME);
    session.execute(STEP, "SET /* pgprime */ LOCAL \"SEARCH_PATH\" = pg_catalog, pg_temp").await?;
    let rows = session.rows(STEP, TYPES, &[(&NAME, Type::TEXT)]).await?;
    rows.iter().map(|row| column(row, STEP, "type")).collect()
}

/// The text with what stands for each parameter in its place.
fn filled(text: &str, literals: &[String]) -> Result<String, String> {
    let tokens = pg_query::scan_tokens(text).map_err(|error| error.to_string())?;
    let mut filled = String::with_capacity(text.len());
    let mut at = 0;
    for token in tokens.iter().filter(|token| token.token == Token::Param as i32) {
        let (start, end) = (byte(token.start), byte(token.end));
        let number = text.get(start + 1..end).and_then(|digits| digits.parse::<usize>().ok());
        let value = number.and_then(|number| literals.get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| "a parameter has no value".to_owned())?;
        filled.push_str(text.get(at..start).unwrap_or_default());
        filled.push_str(value);
        at = end;
    }
    filled.push_str(text.get(at..).unwrap_or_default());
    Ok(filled)
}

fn byte(place: i32) -> usize {
    usize::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_plan() {
        for (text, expected) in [
            ("BEGIN", true),
            ("EXPLAIN SELECT 1", true),
            ("SAVEPOINT $1", true),
            ("/* from here */ ROLLBACK TO SAVEPOINT $1", true),
            ("SELECT 1", false),
            ("/* cut */ (select a, from b", false),
            ("TABLE a WHERE", false),
            ("SELECT 'cut", false),
            ("-- here\nSET x = $1 $2", true),
            ("<insufficient privilege>", false),
            ("", false),
        ] {
            assert_eq!(is_utility(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_are_filled_in_where_they_are_parameters() {
        let literals: Vec<String> = ["('7'::int4)", "(NULL::text)"].map(str::to_owned).to_vec();
        for (text, expected) in [
            ("SELECT $1", Ok("SELECT ('7'::int4)")),
            ("SELECT '$1', $2, \"$1\" -- $1", Ok("SELECT '$1', (NULL::text), \"$1\" -- $1")),
            ("SELECT $1+$1", Ok("SELECT ('7'::int4)+('7'::int4)")),
            ("SELECT $3", Err("a parameter has no value".to_owned())),
        ] {
            assert_eq!(filled(text, &literals), expected.map(str::to_owned), "{text}");
        }
    }
}
