//! What the advisor says: indexes, views, space.

use std::time::{Duration, Instant};

use pgprime_advisor::aggregates::{self, ViewOptions};
use pgprime_advisor::index_review::{self, IndexFinding, ReviewOptions};
use pgprime_advisor::indexes::{self, AdviceOptions, Confidence, Suggestion};
use pgprime_advisor::space::{self, Measure, Severity, SpaceOptions, TableSpace};
use tokio_postgres::Client;

use super::asked::Catalog;
use super::error::GatherError;
use crate::checklist::evidence::{
    IndexAdvice, IndexProblem, IndexReview, SuggestedIndex, SuggestedView, Table, Views,
};
use crate::health::{Missing, Section};

/// Planning with candidates stops after this.
const ADVICE_TIME_MAX: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
const TABLES_MAX: u32 = 2_000;

/// What the advisor says.
pub(super) struct Advised {
    pub(super) tables: Section<Vec<Table>>,
    pub(super) advice: Section<IndexAdvice>,
    pub(super) review: Section<IndexReview>,
    pub(super) views: Section<Views>,
}

pub(super) async fn read(
    client: &Client,
    weights: Result<&indexes::Workload, &Missing>,
    catalog: &Section<Catalog>,
    deadline: Instant,
) -> Result<Advised, GatherError> {
    Ok(Advised {
        tables: tables(client, deadline).await?,
        review: review(client, deadline).await?,
        advice: advice(client, weights, deadline).await?,
        views: views(client, weights, catalog, deadline).await?,
    })
}

/// Whether there is time for a further part.
fn time_left(what: &str, deadline: Instant) -> Section<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        false => Ok(left),
        true => Err(missing(what, "what was looked at before took all of the time")),
    }
}

fn missing(what: &str, why: impl ToString) -> Missing {
    Missing { what: what.to_owned(), why: why.to_string(), statement: None }
}

/// What took the connection away ends it all; what was refused is missing.
fn part<T>(what: &str, error: &impl std::error::Error, is_lost: bool) -> Result<Section<T>, GatherError> {
    match is_lost {
        true => Err(GatherError::Lost { reason: error.to_string() }),
        false => Ok(Err(missing(what, error))),
    }
}

fn space_options() -> SpaceOptions {
    SpaceOptions {
        tables_max: TABLES_MAX,
        measure: Measure { relations_max: 0, time_limit: Duration::ZERO },
        statement_timeout: STATEMENT_TIMEOUT,
        ..SpaceOptions::default()
    }
}

async fn tables(client: &Client, deadline: Instant) -> Result<Section<Vec<Table>>, GatherError> {
    let what = "what autovacuum has to do";
    if let Err(missing) = time_left(what, deadline) {
        return Ok(Err(missing));
    }
    match space::report(client, &space_options()).await {
        Ok(report) => Ok(Ok(report.tables.iter().map(table).collect())),
        Err(error) => part(what, &error, error.is_connection_lost()),
    }
}

fn table(table: &TableSpace) -> Table {
    Table {
        qualified: table.qualified.clone(),
        live_rows: table.live_rows,
        dead_rows: table.dead_rows,
        vacuum_dead_rows: table.autovacuum.vacuum_dead_rows,
        is_vacuum_due: table.autovacuum.is_vacuum_due,
        is_off: table.autovacuum.is_off_for_table,
    }
}

async fn review(client: &Client, deadline: Instant) -> Result<Section<IndexReview>, GatherError> {
    let what = "a review of the indexes";
    if let Err(missing) = time_left(what, deadline) {
        return Ok(Err(missing));
    }
    let options = ReviewOptions { space: space_options(), ..ReviewOptions::default() };
    match index_review::review(client, &options).await {
        Ok(review) => Ok(Ok(IndexReview {
            indexes: review.indexes,
            problems: review.findings.iter().filter(|finding| is_lack(finding)).map(problem).collect(),
        })),
        Err(error) => part(what, &error, error.is_connection_lost()),
    }
}

/// What statements lack. What costs more than it gives is for the review, which is another item.
fn is_lack(finding: &IndexFinding) -> bool {
    let is_lack = matches!(
        finding.problem,
        index_review::IndexProblem::Invalid | index_review::IndexProblem::ForeignKeyWithoutIndex
    );
    is_lack && finding.severity >= Severity::Warning
}

fn problem(finding: &IndexFinding) -> IndexProblem {
    let remedy = finding.remedies.first().filter(|remedy| !remedy.is_shell);
    IndexProblem {
        problem: finding.problem.to_string(),
        object: finding.index.clone().unwrap_or_else(|| finding.table.clone()),
        statement: remedy.map(|remedy| remedy.statement.clone()),
    }
}

async fn advice(
    client: &Client,
    weights: Result<&indexes::Workload, &Missing>,
    deadline: Instant,
) -> Result<Section<IndexAdvice>, GatherError> {
    let workload = match weights {
        Ok(workload) => workload,
        Err(missing) => return Ok(Err(missing.clone())),
    };
    let what = "indexes that the workload lacks";
    let left = match time_left(what, deadline) {
        Ok(left) => left,
        Err(missing) => return Ok(Err(missing)),
    };
    let options = AdviceOptions {
        time_max: left.min(ADVICE_TIME_MAX),
        statement_timeout: STATEMENT_TIMEOUT,
        ..AdviceOptions::default()
    };
    match indexes::advise(client, workload, &options).await {
        Ok(advice) => Ok(Ok(IndexAdvice {
            suggestions: advice.suggestions.iter().map(suggested).collect(),
            statements: advice.queries.len(),
        })),
        Err(error) => part(what, &error, error.is_connection_lost()),
    }
}

fn suggested(suggestion: &Suggestion) -> SuggestedIndex {
    let confidence = match suggestion.confidence {
        Confidence::Low => "an estimate",
        Confidence::Medium => "likely, by the planner",
        Confidence::High => "sure, by the planner",
    };
    SuggestedIndex {
        table: suggestion.table.clone(),
        saved_share: suggestion.saved_share,
        confidence: confidence.to_owned(),
        statements: suggestion.statements.clone(),
    }
}

async fn views(
    client: &Client,
    weights: Result<&indexes::Workload, &Missing>,
    catalog: &Section<Catalog>,
    deadline: Instant,
) -> Result<Section<Views>, GatherError> {
    let workload = match weights {
        Ok(workload) => workload,
        Err(missing) => return Ok(Err(missing.clone())),
    };
    let what = "views that would help";
    if let Err(missing) = time_left(what, deadline) {
        return Ok(Err(missing));
    }
    let materialized = match catalog {
        Ok(catalog) => catalog.materialized,
        Err(missing) => return Ok(Err(missing.clone())),
    };
    let options = ViewOptions { statement_timeout: STATEMENT_TIMEOUT, ..ViewOptions::default() };
    match aggregates::suggest(client, workload, &options).await {
        Ok(found) => {
            let suggestions = found.suggestions.into_iter().map(|view| SuggestedView {
                name: view.name,
                saved_ms_per_hour: view.saved_ms_per_hour,
                query_ms: view.query_ms,
                calls_per_hour: view.calls_per_hour,
            });
            Ok(Ok(Views { materialized, suggestions: suggestions.collect() }))
        }
        Err(error) => part(what, &error, error.is_connection()),
    }
}
