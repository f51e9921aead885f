//! One suggestion after the other.

use tokio_postgres::Client;

use super::super::advice::{Advice, Suggestion};
use super::super::error::IndexesError;
use super::super::workload::Workload;
use super::applied::{Applied, ApplyOutcome, Measurement};
use super::build::{Built, build};
use super::clean::{drop_index, is_leftover, is_ours, statement};
use super::failure::Failure;
use super::gain;
use super::measure::{self, Before, Lost};
use super::options::ApplyOptions;
use super::session::{Named, Session};
use super::steps::{self, Step};

/// Statements that are measured for a suggestion; those with the greatest gain tell enough.
const MEASURED_MAX: usize = 10;

/// Creates what was advised, one suggestion after the other: measures the statements that are to gain, builds the index
/// without keeping anybody waiting, checks that it is valid, and measures again. What fails is undone, and the others go
/// ahead.
///
/// The connection must be PostgreSQL's own, not one of a pooler in transaction mode, and in no transaction; its
/// `statement_timeout` and `lock_timeout` are changed and set back. Of a suggestion that fails the reason is in its outcome.
///
/// If this future is dropped before its end, the server goes on with the statement it has: cancel it with the client's
/// cancel token, close the connection, and call [`clean_up`] on a new one. What may remain until then is an index that is
/// not valid, which writes pay for, and which `index_review` names, too.
///
/// # Errors
/// [`IndexesError`], before anything was done: a name that is no suggestion's, a server that follows another one, a
/// session that is not kept, or a lost connection.
pub async fn apply(
    client: &Client,
    workload: &Workload,
    advice: &Advice,
    options: &ApplyOptions,
) -> Result<Vec<Applied>, IndexesError> {
    let suggestions = chosen(advice, &options.names)?;
    let session = Session::begin(client).await?;
    let run = Run { session: &session, workload, options };
    let mut all: Vec<Done> = Vec::new();
    for suggestion in suggestions {
        all.push(run.one(suggestion).await);
        if all.last().is_some_and(|done| done.is_connection_lost) {
            break;
        }
    }
    if options.auto_revert {
        run.revert(&mut all).await;
    }
    if let Err(error) = session.restore().await {
        tracing::warn!(error = %error, "the session's limits were not set back");
    }
    Ok(all.into_iter().map(|done| done.applied).collect())
}

/// Drops what interrupted builds of these suggestions have left: indexes of their names, on the same, that are not valid and
/// that nobody is building, with the parts of partitioned ones. Returns their names, as SQL writes them. Of the options,
/// `names` and `clean_up_timeout` count.
///
/// # Errors
/// [`IndexesError`] when something cannot be dropped within the time, with the statement that does.
pub async fn clean_up(
    client: &Client,
    advice: &Advice,
    options: &ApplyOptions,
) -> Result<Vec<String>, IndexesError> {
    let suggestions = chosen(advice, &options.names)?;
    let session = Session::begin(client).await?;
    let mut dropped = Vec::new();
    let mut outcome = Ok(());
    for suggestion in suggestions {
        outcome = clean_up_one(&session, suggestion, options, &mut dropped).await;
        if outcome.is_err() {
            break;
        }
    }
    let restored = session.restore().await;
    outcome.and(restored).map(|()| dropped)
}

async fn clean_up_one(
    session: &Session<'_>,
    suggestion: &Suggestion,
    options: &ApplyOptions,
    dropped: &mut Vec<String>,
) -> Result<(), IndexesError> {
    let steps = steps::of(suggestion).unwrap_or_default();
    let mut leftovers: Vec<Named> = Vec::new();
    for step in &steps {
        let Step::Create(create) = step else { continue };
        let Some(named) = session.named(create).await? else { continue };
        // Parts may be valid although the whole is not.
        let is_part = leftovers.first().is_some_and(|whole| whole.is_partitioned);
        if is_leftover(&named, create) || is_part && !named.is_in_work && is_ours(&named, create) {
            leftovers.push(named);
        }
    }
    for index in leftovers {
        drop_index(session, &index, options.clean_up_timeout).await.map_err(|error| {
            let statement = statement(&index.qualified, index.is_partitioned);
            IndexesError::CannotApply { reason: format!("{}; to drop it: {statement}", error.said()) }
        })?;
        dropped.push(index.qualified);
    }
    Ok(())
}

fn chosen<'a>(advice: &'a Advice, names: &[String]) -> Result<Vec<&'a Suggestion>, IndexesError> {
    let known = || advice.suggestions.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(name) = names.iter().find(|name| !advice.suggestions.iter().any(|one| one.name == **name)) {
        return Err(IndexesError::UnknownSuggestion { name: name.clone(), known: known() });
    }
    let is_chosen = |one: &&Suggestion| names.is_empty() || names.contains(&one.name);
    Ok(advice.suggestions.iter().filter(is_chosen).collect())
}

struct Run<'a> {
    session: &'a Session<'a>,
    workload: &'a Workload,
    options: &'a ApplyOptions,
}

/// A suggestion so far.
struct Done {
    applied: Applied,
    built: Option<Built>,
    before: Vec<Before>,
    is_connection_lost: bool,
}

impl Run<'_> {
    async fn one(&self, suggestion: &Suggestion) -> Done {
        let mut done =
            Done { applied: not_yet(suggestion), built: None, before: Vec::new(), is_connection_lost: false };
        let outcome = self.build_and_measure(suggestion, &mut done).await;
        if let Err(failure) = outcome {
            done.is_connection_lost = failure.is_connection_lost;
            tracing::warn!(index = suggestion.name, reason = failure.reason, "the index was not created");
            let Failure { reason, sqlstate, is_clean, .. } = failure;
            done.applied.outcome = ApplyOutcome::Failed { reason, sqlstate, is_clean };
        }
        done
    }

    async fn build_and_measure(&self, suggestion: &Suggestion, done: &mut Done) -> Result<(), Failure> {
        for gain in suggestion.gains.iter().take(MEASURED_MAX) {
            let query = self.workload.queries.iter().find(|query| query.id == gain.query_id);
            if let Some(query) = query {
                let before = measure::before(self.session.client, gain, query, self.options).await;
                done.before.push(before.map_err(|lost| lost_before(&lost))?);
            }
        }
        let built = build(self.session, suggestion, self.options).await?;
        done.applied.outcome = ApplyOutcome::Created;
        done.applied.build_ms = Some(built.build_ms);
        done.applied.size_bytes = built.index.size_bytes.and_then(|bytes| u64::try_from(bytes).ok());
        done.built = Some(built);
        // The index is there: a connection that is lost now is noticed by the next suggestion.
        if let Err(Lost(error)) = self.measure(done).await {
            tracing::warn!(index = suggestion.name, error = %error, "the gain was not measured");
            done.is_connection_lost = true;
        }
        tracing::info!(
            index = suggestion.name,
            gained_share = done.applied.gained_share,
            "an index was built"
        );
        Ok(())
    }

    async fn measure(&self, done: &mut Done) -> Result<(), Lost> {
        let Some(built) = &done.built else { return Ok(()) };
        let mut measurements: Vec<Measurement> = Vec::new();
        for before in &done.before {
            measurements.push(measure::after(self.session.client, before, &built.names, self.options).await?);
        }
        done.applied.gained_share = gain::gained_share(&measurements);
        done.applied.has_gained = gain::has_gained(&measurements, self.options.gain_min_share);
        done.applied.measurements = measurements;
        Ok(())
    }

    /// Drops what brings nothing. An index may do so only with another one that came after it, so that it is looked at again
    /// when all are there.
    async fn revert(&self, all: &mut [Done]) {
        let last = all.len().saturating_sub(1);
        for (at, done) in all.iter_mut().enumerate() {
            let is_suspect = done.applied.has_gained == Some(false) && !done.is_connection_lost;
            if !is_suspect || at < last && self.measure(done).await.is_err() {
                continue;
            }
            let Some(built) = &done.built else { continue };
            if done.applied.has_gained != Some(false) {
                continue;
            }
            let reason = gain::reason(&done.applied.measurements, self.options.gain_min_share);
            done.applied.outcome =
                match drop_index(self.session, &built.index, self.options.clean_up_timeout).await {
                    Ok(()) => ApplyOutcome::Reverted { reason },
                    Err(error) => {
                        tracing::warn!(index = built.index.qualified, error = %error, "not dropped");
                        ApplyOutcome::Created
                    }
                };
        }
    }
}

fn lost_before(Lost(error): &Lost) -> Failure {
    let reason = format!("the connection was lost before anything was built: {error}");
    Failure { is_connection_lost: true, ..Failure::refused(reason) }
}

fn not_yet(suggestion: &Suggestion) -> Applied {
    Applied {
        name: suggestion.name.clone(),
        table: suggestion.table.clone(),
        statements: suggestion.statements.clone(),
        undo: suggestion.undo.clone(),
        outcome: ApplyOutcome::Failed { reason: "not begun".to_owned(), sqlstate: None, is_clean: true },
        build_ms: None,
        size_bytes: None,
        gained_share: None,
        has_gained: None,
        measurements: Vec::new(),
    }
}
