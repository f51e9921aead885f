//! From a workload to suggestions.

use std::collections::HashSet;
use std::time::Instant;

use tokio_postgres::Client;

use super::advice::{Advice, CostMethod, QueryAdvice};
use super::catalog;
use super::choice::Choices;
use super::costs::{self, Asker, Entries};
use super::error::IndexesError;
use super::estimate::estimates;
use super::inventory::Inventory;
use super::options::AdviceOptions;
use super::planned;
use super::query::WorkloadQuery;
use super::session::Session;
use super::statements::{self, Statements};
use super::suggestion::{self, Chosen};
use super::uses;
use super::weighed::{self, Query};
use super::workload::Workload;
use crate::Missing;

/// How often the choice is planned all together and made again with what that has shown.
const ROUNDS_MAX: usize = 3;
/// What an index has to save of a single statement.
const STATEMENT_SHARE_MIN: f64 = 0.05;
/// Counters of writes that are younger tell of nothing but how the table was filled.
const STATISTICS_SECONDS_MIN: f64 = 3_600.0;
/// What is left of a join's cost at least, by our own estimate.
const JOIN_SHARE_MIN: f64 = 0.01;
/// One that is the beginning of another has to save so many times as much as others.
const BEGINNING_FACTOR: f64 = 10.0;

/// Which indexes the workload lacks; see the documentation of the module.
///
/// The connection must not be in a transaction: some are begun here, one after the other, and rolled back. If this future is
/// dropped before its end, close the connection.
///
/// # Errors
/// [`IndexesError`]. A statement that cannot be read or planned is no error: the advice lists it as skipped.
pub async fn advise(
    client: &Client,
    workload: &Workload,
    options: &AdviceOptions,
) -> Result<Advice, IndexesError> {
    advise_with(client, workload, options, 0.0).await
}

async fn advise_with(
    client: &Client,
    workload: &Workload,
    options: &AdviceOptions,
    share_of_before_min: f64,
) -> Result<Advice, IndexesError> {
    let deadline = Instant::now() + options.time_max;
    let statements = statements::statements(client, workload, options).await?;
    let mut session = Session::begin(client, options).await?;
    let outcome =
        Run { workload, options, deadline, share_of_before_min }.advise(&mut session, statements).await;
    session.end(outcome).await
}

/// Which indexes one statement lacks, as [`advise`]: such as spare it a twentieth at least. Parameters that are not given are
/// sampled.
///
/// # Errors
/// As [`advise`]; and [`IndexesError::Statement`] when the statement cannot be planned.
pub async fn for_statement(
    client: &Client,
    text: &str,
    parameters: &[Option<String>],
    options: &AdviceOptions,
) -> Result<Advice, IndexesError> {
    let query = WorkloadQuery {
        id: "1".to_owned(),
        text: text.to_owned(),
        weight: 1.0,
        parameters: parameters.to_vec(),
        ..WorkloadQuery::default()
    };
    let workload = Workload { queries: vec![query], seconds: None };
    let advice = advise_with(client, &workload, options, STATEMENT_SHARE_MIN).await?;
    match advice.skipped.first() {
        Some(skipped) => Err(IndexesError::Statement { reason: skipped.reason.clone() }),
        None => Ok(advice),
    }
}

struct Run<'a> {
    workload: &'a Workload,
    options: &'a AdviceOptions,
    deadline: Instant,
    share_of_before_min: f64,
}

/// What was chosen, what that is known from, and how far from the best choice it is at most.
struct Decision {
    chosen: Vec<usize>,
    entries: Entries,
    /// Candidates whose gain is from our own formula.
    estimated: HashSet<usize>,
    gap_max: Option<f64>,
    is_complete: bool,
}

impl Run<'_> {
    async fn advise(&self, session: &mut Session<'_>, mut read: Statements) -> Result<Advice, IndexesError> {
        let server = catalog::server(session).await?;
        let texts: Vec<&crate::sql::Statement> = read.plannable.iter().map(|one| &one.statement).collect();
        let mut inventory = catalog::inventory(session, server, &texts).await?;
        let method = self.method(session, &mut inventory).await?;
        let mut queries = queries(session, &inventory, &mut read).await?;
        let (candidates, hints) = weighed::candidates(&inventory, &mut queries, self.options);
        let choices = Choices {
            inventory: &inventory,
            queries: &queries,
            candidates: &candidates,
            options: self.options,
            share_of_before_min: self.share_of_before_min,
        };
        let decision = match method {
            CostMethod::Hypopg => self.asked(session, &choices).await?,
            CostMethod::Estimated => decided(&choices, estimated_entries(&choices))?,
        };
        let mut advice = self.told(&choices, &decision, method);
        advice.skipped = read.skipped;
        advice.hints = hints;
        advice.missing = read.missing;
        inventory.missing.iter().for_each(|one| statements::add(&mut advice.missing, one.clone()));
        if !decision.is_complete {
            statements::add(&mut advice.missing, out_of_time(self.options));
        }
        Ok(advice)
    }

    /// HypoPG where it is installed and wanted.
    async fn method(
        &self,
        session: &mut Session<'_>,
        inventory: &mut Inventory,
    ) -> Result<CostMethod, IndexesError> {
        if !self.options.uses_hypopg {
            return Ok(CostMethod::Estimated);
        }
        let why = match inventory.server.hypopg_schema.clone() {
            Some(schema) => match session.try_hypopg(&schema).await? {
                Ok(()) => return Ok(CostMethod::Hypopg),
                Err(error) => error.said(),
            },
            None if inventory.server.hypopg_is_available => {
                "the extension hypopg is not installed in this database".to_owned()
            }
            None => "the server does not have the extension hypopg".to_owned(),
        };
        inventory.missing.push(Missing {
            what: "what the planner makes of indexes that do not exist yet".to_owned(),
            why,
            statement: inventory.server.hypopg_is_available.then(|| "CREATE EXTENSION hypopg;".to_owned()),
        });
        Ok(CostMethod::Estimated)
    }

    /// Chooses by the planner's costs, plans the choice all together, and chooses again with what that has shown.
    async fn asked(&self, session: &Session<'_>, choices: &Choices<'_>) -> Result<Decision, IndexesError> {
        let (queries, candidates) = (choices.queries, choices.candidates);
        let mut asker = Asker::new(session, choices.inventory, candidates, queries, self.deadline);
        asker.ask_singles().await?;
        let estimated = add_estimates(choices, &asker.refused.clone(), &mut asker.entries);
        asker.ask_sets().await?;
        let is_complete = !asker.is_late();
        let (mut chosen, mut selection) = choices.select(&asker.entries)?;
        let all: Vec<usize> = (0..queries.len()).collect();
        for _ in 0..ROUNDS_MAX {
            asker.ask_together(&chosen, &all).await?;
            let (again, later) = choices.select(&asker.entries)?;
            let is_same = again == chosen;
            (chosen, selection) = (again, later);
            if is_same {
                break;
            }
        }
        while let Some(place) = self.worthless(&mut asker, choices, &chosen).await? {
            chosen.retain(|other| *other != place);
        }
        for (place, set) in smaller_sets(choices, &chosen) {
            let users = choices.users(&asker.entries, &chosen, place);
            if !asker.is_late() {
                asker.ask_together(&set, &users).await?;
            }
        }
        let chosen = slimmed(choices, &asker.entries, chosen);
        let entries = asker.entries;
        Ok(Decision { chosen, entries, estimated, gap_max: selection.gap_max, is_complete })
    }

    /// One that saves too little when the others are there, as the planner sees it.
    async fn worthless(
        &self,
        asker: &mut Asker<'_, '_>,
        choices: &Choices<'_>,
        chosen: &[usize],
    ) -> Result<Option<usize>, IndexesError> {
        for place in chosen {
            let others: Vec<usize> = chosen.iter().copied().filter(|other| other != place).collect();
            let users = choices.users(&asker.entries, chosen, *place);
            if !asker.is_late() {
                asker.ask_together(&others, &users).await?;
            }
        }
        Ok(least(choices, &asker.entries, chosen))
    }

    fn told(&self, choices: &Choices<'_>, decision: &Decision, method: CostMethod) -> Advice {
        let outcome = choices.outcome(&decision.entries, &decision.chosen);
        let cost_before = choices.cost_before();
        let cost_after = choices.cost_with(&decision.entries, &decision.chosen);
        let mut suggestions = Vec::new();
        let mut names: Vec<(usize, String)> = Vec::new();
        for place in by_saving(choices, decision) {
            let chosen = self.chosen(choices, decision, place, &outcome);
            let taken: Vec<String> = names.iter().map(|(_, name)| name.clone()).collect();
            let one =
                suggestion::suggestion(&chosen, choices.queries, choices.inventory, cost_before, &taken);
            names.push((place, one.name.clone()));
            suggestions.push(one);
        }
        let write_cost = decision.chosen.iter().map(|place| choices.write_cost(*place)).sum::<f64>();
        let saved = cost_before - cost_after - write_cost;
        Advice {
            server_version: choices.inventory.server.version.clone(),
            method,
            workload_seconds: self.workload.seconds,
            cost_before,
            cost_after,
            write_cost,
            saved_share: if cost_before > 0.0 { saved / cost_before } else { 0.0 },
            size_bytes: suggestions.iter().map(|one| one.size_bytes).sum(),
            budget_bytes: self.options.budget_bytes,
            candidates: choices.candidates.len(),
            gap_max: decision.gap_max,
            queries: query_advice(choices.queries, &outcome, &names),
            suggestions,
            skipped: Vec::new(),
            hints: Vec::new(),
            missing: Vec::new(),
        }
    }

    fn chosen<'c>(
        &self,
        choices: &Choices<'c>,
        decision: &Decision,
        place: usize,
        outcome: &[(f64, Vec<usize>)],
    ) -> Chosen<'c> {
        let candidate = &choices.candidates[place];
        let users = outcome.iter().enumerate().filter(|(_, (_, used))| used.contains(&place));
        let figures = &candidate.table(choices.inventory).figures;
        let entries = weighed::entries(choices.queries, candidate, choices.inventory);
        let all = figures.inserted + figures.updated + figures.hot_updated;
        let writes_per_second = match self.workload.seconds {
            Some(seconds) if seconds > 0.0 => Some(entries / seconds),
            _ => {
                let seconds = choices.inventory.server.statistics_seconds;
                Some(all / seconds).filter(|_| seconds >= STATISTICS_SECONDS_MIN)
            }
        };
        Chosen {
            candidate,
            saved_cost: choices.saving(&decision.entries, &decision.chosen, place),
            write_cost: choices.write_cost(place),
            writes_per_second,
            is_estimate: decision.estimated.contains(&place),
            users: users.map(|(query, (cost, _))| (query, *cost)).collect(),
        }
    }
}

/// Plans each statement as it is; those that cannot be planned are skipped.
async fn queries(
    session: &Session<'_>,
    inventory: &Inventory,
    read: &mut Statements,
) -> Result<Vec<Query>, IndexesError> {
    let mut queries = Vec::new();
    for plannable in std::mem::take(&mut read.plannable) {
        match planned::plan(session, &plannable.text).await? {
            Ok(plan) => queries.push(Query {
                uses: uses::uses(inventory, &plannable.statement),
                cost: planned::total(&plan),
                plan,
                plannable,
                candidates: Vec::new(),
            }),
            Err(error) => read.skipped.push(statements::skipped(&plannable.query, error.said())),
        }
    }
    Ok(queries)
}

/// Costs of our own formula for the candidates that the planner cannot be asked about. Returns those that gain.
fn add_estimates(choices: &Choices<'_>, places: &HashSet<usize>, entries: &mut Entries) -> HashSet<usize> {
    let mut gaining = HashSet::new();
    for (query_place, query) in choices.queries.iter().enumerate() {
        let own = query.candidates.iter().filter(|place| places.contains(place));
        let own: Vec<_> = own.map(|place| (*place, &choices.candidates[*place])).collect();
        if own.is_empty() {
            continue;
        }
        for estimated in estimates(choices.inventory, &query.uses, &query.plan, &own) {
            gaining.extend(estimated.candidates.iter().copied());
            // A formula that knows one table at a time must not promise that a join costs nothing.
            let least = if query.uses.tables.len() > 1 { query.cost * JOIN_SHARE_MIN } else { 0.0 };
            let cost = estimated.cost.max(least);
            costs::add(entries, query_place, estimated.candidates, cost, query.cost);
        }
    }
    gaining
}

fn estimated_entries(choices: &Choices<'_>) -> (Entries, HashSet<usize>) {
    let mut entries = Entries::new();
    let all = (0..choices.candidates.len()).collect();
    let estimated = add_estimates(choices, &all, &mut entries);
    (entries, estimated)
}

/// Chooses by costs that cannot be asked for again.
fn decided(
    choices: &Choices<'_>,
    (entries, estimated): (Entries, HashSet<usize>),
) -> Result<Decision, IndexesError> {
    let (mut chosen, selection) = choices.select(&entries)?;
    while let Some(place) = least(choices, &entries, &chosen) {
        chosen.retain(|other| *other != place);
    }
    let chosen = slimmed(choices, &entries, chosen);
    Ok(Decision { chosen, entries, estimated, gap_max: selection.gap_max, is_complete: true })
}

/// The choice with one of it exchanged for a smaller one, in every way, and which one that is.
fn smaller_sets(choices: &Choices<'_>, chosen: &[usize]) -> Vec<(usize, Vec<usize>)> {
    let exchanges =
        chosen.iter().flat_map(|place| choices.smaller(*place).into_iter().map(move |other| (*place, other)));
    exchanges.map(|(place, other)| (place, exchanged(chosen, place, other))).collect()
}

fn exchanged(chosen: &[usize], place: usize, other: usize) -> Vec<usize> {
    let mut set: Vec<usize> = chosen.iter().copied().filter(|one| *one != place).collect();
    if !set.contains(&other) {
        set.push(other);
    }
    set.sort_unstable();
    set
}

/// The choice with smaller indexes where they do as well.
fn slimmed(choices: &Choices<'_>, entries: &Entries, mut chosen: Vec<usize>) -> Vec<usize> {
    for place in chosen.clone() {
        let sets = choices.smaller(place).into_iter().map(|other| exchanged(&chosen, place, other));
        let better = sets.into_iter().find(|set| choices.is_as_good(entries, &chosen, set));
        chosen = better.unwrap_or(chosen);
    }
    chosen
}

/// Of those that save too little the one that saves least.
fn least(choices: &Choices<'_>, entries: &Entries, chosen: &[usize]) -> Option<usize> {
    let saving_min = choices.saving_min(entries);
    let margin = |place: usize| {
        let factor = if choices.is_beginning(place, chosen) { BEGINNING_FACTOR } else { 1.0 };
        choices.saving(entries, chosen, place) - choices.write_cost(place) - factor * saving_min
    };
    let margins = chosen.iter().map(|place| (*place, margin(*place)));
    let worst = margins.min_by(|(_, a), (_, b)| a.total_cmp(b));
    worst.filter(|(_, margin)| *margin < 0.0).map(|(place, _)| place)
}

/// What was chosen, the greatest saving first.
fn by_saving(choices: &Choices<'_>, decision: &Decision) -> Vec<usize> {
    let saved = |place: usize| choices.saving(&decision.entries, &decision.chosen, place);
    let mut order: Vec<(usize, f64)> = decision.chosen.iter().map(|place| (*place, saved(*place))).collect();
    order.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    order.into_iter().map(|(place, _)| place).collect()
}

fn query_advice(
    queries: &[Query],
    outcome: &[(f64, Vec<usize>)],
    names: &[(usize, String)],
) -> Vec<QueryAdvice> {
    let name = |place: &usize| {
        names.iter().find(|(other, _)| other == place).map(|(_, name)| name.clone()).unwrap_or_default()
    };
    let one = |(query, (cost, used)): (&Query, &(f64, Vec<usize>))| QueryAdvice {
        id: query.plannable.query.id.clone(),
        text: query.plannable.query.text.clone(),
        weight: query.plannable.query.weight,
        mean_ms: query.plannable.query.mean_ms,
        cost_before: query.cost,
        cost_after: *cost,
        uses: used.iter().map(name).collect(),
    };
    let mut advice: Vec<QueryAdvice> = queries.iter().zip(outcome).map(one).collect();
    let total = |query: &QueryAdvice| query.weight * query.cost_before;
    advice.sort_by(|a, b| total(b).total_cmp(&total(a)));
    advice
}

fn out_of_time(options: &AdviceOptions) -> Missing {
    Missing {
        what: "some combinations of indexes".to_owned(),
        why: format!(
            "planning with them would have taken longer than {} s, the limit; the dearest statements came first",
            options.time_max.as_secs()
        ),
        statement: None,
    }
}
