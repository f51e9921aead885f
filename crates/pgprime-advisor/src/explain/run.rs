//! From a request to a plan.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, Type};

use super::check;
use super::error::ExplainError;
use super::parameters::{ParameterSource, Parameters};
use super::request::{Execution, ExplainRequest, Explained, Superuser};
use super::samples::{self, Samples};
use super::session::{Session, column};
use super::values;
use crate::Missing;
use crate::sql::{Refusal, RefusalReason, StatementKind};

const SERVER: &str = include_str!("../../sql/explain_server.sql");
const TYPES: &str = include_str!("../../sql/explain_parameters.sql");
const STEP: &str = "explain the statement";
const CUSTOM_PLAN: &str = "SET /* pgprime */ LOCAL \"PLAN_CACHE_MODE\" = force_custom_plan";
const GENERIC_PLAN: &str = "SET /* pgprime */ LOCAL \"PLAN_CACHE_MODE\" = force_generic_plan";
/// From this version on EXPLAIN plans for any values by itself.
const GENERIC_OPTION_VERSION: i32 = 160_000;

/// Plans a statement and, if asked to and if it is safe, executes it; see the documentation of the module.
///
/// The connection must not be in a transaction: one is begun here, and what it did is undone at the end. If this future is dropped
/// before its end, close the connection.
///
/// # Errors
/// [`ExplainError`]; nothing was executed unless it is a timeout or an error of the statement's own.
pub async fn explain(client: &Client, request: &ExplainRequest) -> Result<Explained, ExplainError> {
    let (given, expected) = (request.parameters.len(), request.statement.parameters());
    request.statement.plannable().map_err(ExplainError::Refused)?;
    if given != expected && given > 0 {
        return Err(ExplainError::ParameterCount { given, expected });
    }
    let mut notes = Vec::new();
    let executes = request.execution == Execution::Execute && is_executable(request, &mut notes)?;
    let mut session = Session::begin(client, request.limits).await?;
    let outcome = Run { request, executes, notes, missing: Vec::new(), version: 0, role: String::new() };
    let outcome = outcome.explain(&mut session).await;
    session.end(outcome).await
}

/// Whether to execute it; what changes or locks rows is planned instead.
fn is_executable(request: &ExplainRequest, notes: &mut Vec<String>) -> Result<bool, ExplainError> {
    match (request.statement.executable(), request.statement.kind()) {
        (Ok(()), _) => Ok(true),
        (Err(refusal), StatementKind::Write { .. } | StatementKind::Locking) => {
            notes.push(format!("Not executed: {refusal}. What is shown is what the planner expects."));
            Ok(false)
        }
        (Err(refusal), _) => Err(ExplainError::Refused(refusal)),
    }
}

struct Run<'a> {
    request: &'a ExplainRequest,
    executes: bool,
    notes: Vec<String>,
    missing: Vec<Missing>,
    version: i32,
    role: String,
}

/// A document and the parameters that it is for.
type Planned = (String, Parameters);

impl Run<'_> {
    async fn explain(mut self, session: &mut Session<'_>) -> Result<Explained, ExplainError> {
        let step = "ask for the server's version";
        let server = session.row(step, SERVER, &[]).await?;
        self.version = column(&server, step, "version_number")?;
        self.role = column(&server, step, "role")?;
        if self.executes {
            let is_superuser = column::<String>(&server, step, "is_superuser")? == "on";
            self.refuse_superuser(is_superuser)?;
            check::verify(session, &self.request.statement).await?;
        }
        let statement = &self.request.statement;
        if statement.has_shortened_list() {
            self.notes.push(
                "pg_stat_statements has kept one value of a longer list: the plan is for a list of that one."
                    .to_owned(),
            );
        }
        let (document, parameters) = if statement.has_placeholders() {
            self.prepared(session).await?
        } else {
            let document = self.document(session, statement.text()).await;
            let prefix = format!("{} ", self.options(""));
            let about =
                |error: ExplainError| error.about(statement, Some((&prefix, statement.text())), &self.role);
            (document.map_err(about)?, Parameters::default())
        };
        Ok(Explained {
            statement: statement.text().to_owned(),
            document,
            is_executed: self.executes,
            parameters,
            notes: self.notes,
            missing: self.missing,
            server_version_number: self.version,
        })
    }

    fn refuse_superuser(&self, is_superuser: bool) -> Result<(), ExplainError> {
        if !is_superuser || self.request.superuser == Superuser::Allowed {
            return Ok(());
        }
        let why = "is a superuser, for whom privileges keep nothing from harm: use another role, or allow it explicitly";
        Err(ExplainError::Refused(Refusal::new(RefusalReason::Superuser, self.role.clone(), why)))
    }

    /// EXPLAIN and its options, as they stand in front of the statement.
    fn options(&self, more: &str) -> String {
        let measured = if self.executes { "ANALYZE, BUFFERS, TIMING, " } else { "" };
        format!("EXPLAIN /* pgprime */ ({measured}FORMAT JSON, VERBOSE, SETTINGS, SUMMARY{more})")
    }

    async fn document(&self, session: &Session<'_>, text: &str) -> Result<String, ExplainError> {
        let row = session.row(STEP, &format!("{} {text}", self.options("")), &[]).await?;
        let JsonText(json) = row.try_get(0).map_err(ExplainError::answer(STEP))?;
        Ok(json.to_owned())
    }

    /// A statement with parameters: the server finds their types, and plans with their values as it does for clients.
    async fn prepared(&mut self, session: &mut Session<'_>) -> Result<Planned, ExplainError> {
        let request = self.request;
        let text = request.statement.preparable_text();
        let about = |(prefix, error): (String, ExplainError)| {
            error.about(&request.statement, Some((&prefix, text)), &self.role)
        };
        let name = session.prepare(text).await.map_err(about)?;
        let types = self.types(session, &name).await?;
        if !request.parameters.is_empty() {
            let given = values::from(ParameterSource::Given, &request.parameters, &types);
            let planned = self.with_values(session, &name, given).await;
            return planned.map_err(|error| self.in_words(error, &types));
        }
        if let Some(planned) = self.with_known_values(session, &name, &types).await? {
            return Ok(planned);
        }
        self.generic(session, &name).await
    }

    async fn types(&self, session: &Session<'_>, name: &str) -> Result<Vec<String>, ExplainError> {
        let step = "find the types of its parameters";
        session.enter_catalog().await?;
        let rows = session.rows(step, TYPES, &[(&name, Type::TEXT)]).await;
        let rows = session.leave_catalog(rows).await?;
        rows.iter().map(|row| column(row, step, "type")).collect()
    }

    /// With captured or sampled values, the first that the server takes.
    async fn with_known_values(
        &mut self,
        session: &Session<'_>,
        name: &str,
        types: &[String],
    ) -> Result<Option<Planned>, ExplainError> {
        let captured = self.request.captured.iter().find(|values| values.len() == types.len());
        if let Some(captured) = captured {
            let captured = values::from(ParameterSource::Captured, captured, types);
            if let Some(planned) = self.attempt(session, name, captured).await? {
                return Ok(Some(planned));
            }
        }
        match samples::find(session, &self.request.statement, types).await? {
            Samples::Found(sampled) => self.attempt(session, name, sampled).await,
            Samples::NotFound { why, missing } => {
                self.notes.push(format!("No samples for the parameters: {why}."));
                self.missing.extend(missing);
                Ok(None)
            }
        }
    }

    /// None when the server does not take the values, which nobody has stated to be right.
    async fn attempt(
        &mut self,
        session: &Session<'_>,
        name: &str,
        parameters: Parameters,
    ) -> Result<Option<Planned>, ExplainError> {
        session.savepoint().await?;
        let planned = self.with_values(session, name, parameters).await;
        match session.roll_back(planned).await {
            Ok(planned) => Ok(Some(planned)),
            Err(error) if error.state().is_some_and(is_about_values) => {
                self.notes.push(format!("Values for the parameters were found, but not taken: {error}."));
                Ok(None)
            }
            Err(error) => Err(self.in_words(error, &[])),
        }
    }

    async fn with_values(
        &self,
        session: &Session<'_>,
        name: &str,
        parameters: Parameters,
    ) -> Result<Planned, ExplainError> {
        session.set(CUSTOM_PLAN).await?;
        let execute = format!("EXECUTE {name}{}", values::arguments(&parameters));
        Ok((self.document(session, &execute).await?, parameters))
    }

    /// The plan for any values. It cannot be executed: there are none.
    async fn generic(&mut self, session: &Session<'_>, name: &str) -> Result<Planned, ExplainError> {
        if self.executes {
            self.executes = false;
            self.notes
                .push("Not executed: the values of its parameters are not known; give them.".to_owned());
        }
        let statement = &self.request.statement;
        let document = if self.version >= GENERIC_OPTION_VERSION {
            // EXECUTE with NULLs would leave out partitions that hold none.
            let explain = format!("{} {}", self.options(", GENERIC_PLAN"), statement.preparable_text());
            session.simple(STEP, &explain).await
        } else {
            session.set(GENERIC_PLAN).await?;
            let execute = format!("EXECUTE {name}{}", values::nulls(statement.parameters()));
            self.document(session, &execute).await
        };
        let document = document.map_err(|error| self.in_words(error, &[]))?;
        Ok((document, Parameters { source: ParameterSource::Generic, values: Vec::new() }))
    }

    /// An error of EXPLAIN in which places mean nothing to anybody else.
    fn in_words(&self, error: ExplainError, types: &[String]) -> ExplainError {
        let is_about_values = error.state().is_some_and(is_about_values);
        match error {
            ExplainError::Query { source, .. } if is_about_values && !types.is_empty() => {
                let named = types.iter().enumerate().map(|(index, name)| format!("${} {name}", index + 1));
                let message =
                    source.as_db_error().map_or_else(|| source.to_string(), |said| said.message().to_owned());
                ExplainError::ParameterValue { message, types: named.collect::<Vec<_>>().join(", ") }
            }
            error => error.about(&self.request.statement, None, &self.role),
        }
    }
}

/// A value that is not one of its parameter's type.
fn is_about_values(state: &SqlState) -> bool {
    [
        SqlState::INVALID_TEXT_REPRESENTATION,
        SqlState::INVALID_BINARY_REPRESENTATION,
        SqlState::INVALID_DATETIME_FORMAT,
        SqlState::DATETIME_FIELD_OVERFLOW,
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        SqlState::INVALID_PARAMETER_VALUE,
        SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
        SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE,
    ]
    .contains(state)
}

/// A json column as text.
struct JsonText<'a>(&'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(type_: &Type) -> bool {
        *type_ == Type::JSON
    }
}
