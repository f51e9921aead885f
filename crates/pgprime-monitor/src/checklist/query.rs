//! Items about what single statements do.

use super::application::{CALLS_MIN, LOOP_MIN, seen_all};
use super::evidence::{Evidence, Pooling, Statement, StatementKind, Workload};
use super::item::Judged;
use super::report::FixKind;
use super::words::{beginning, listed, shortened};
use crate::health::Missing;
use crate::health::words::{number, percent, plural, seconds};

/// Indexes that save less of the workload's cost all together are not worth a word.
const SAVED_SHARE_MIN: f64 = 0.05;
/// … nor a single one that saves less.
const SAVED_EACH_MIN: f64 = 0.01;
/// A statement whose mean is longer is slow, as `pgprime slow-queries` has it.
const SLOW_MS: f64 = 1_000.0;
/// A page that looks at so many blocks for each row skips most of what it reads.
const SKIPPED_BLOCKS_PER_ROW: f64 = 20.0;
const SKIPPED_BLOCKS_MIN: f64 = 500.0;
/// A result with more rows is read by nobody.
const ROWS_MAX: f64 = 10_000.0;
/// What ran less often was a person's or a job's.
const OFTEN: f64 = 10.0;

pub(super) fn indexes(evidence: &Evidence) -> Judged {
    let advice = match &evidence.advice {
        Ok(advice) => advice,
        Err(missing) => return Judged::unseen(missing),
    };
    let mut lacking: Vec<_> =
        advice.suggestions.iter().filter(|index| index.saved_share >= SAVED_EACH_MIN).collect();
    let saved: f64 = lacking.iter().map(|index| index.saved_share).sum();
    if saved < SAVED_SHARE_MIN {
        lacking.clear();
    }
    let problems = evidence.review.as_ref().map(|review| review.problems.as_slice()).unwrap_or_default();
    let mut statements: Vec<String> = lacking.iter().flat_map(|index| index.statements.clone()).collect();
    statements.extend(problems.iter().filter_map(|problem| problem.statement.clone()));
    if lacking.is_empty() && problems.is_empty() {
        let said = match advice.statements {
            0 => {
                return Judged::cannot_tell(
                    "no statement could be weighed",
                    "nothing that can be planned was counted yet",
                );
            }
            weighed => format!(
                "none that together would save {} of the cost of {}",
                percent(100.0 * SAVED_SHARE_MIN),
                plural(weighed, "statement")
            ),
        };
        return seen_all(evidence, Judged::met(said));
    }
    let mut said: Vec<String> = Vec::new();
    if let Some(best) = lacking.first() {
        said.push(format!(
            "{} would save about {} of the cost, the best one on {} ({})",
            plural_indexes(lacking.len()),
            percent(100.0 * saved.min(1.0)),
            best.table,
            best.confidence
        ));
    }
    let named: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.problem, problem.object)).collect();
    if !named.is_empty() {
        said.push(listed(&named, 3));
    }
    let judged = Judged::not_met(said.join("; "));
    match statements.is_empty() {
        true => judged.fix(FixKind::Command, "pgprime indexes"),
        false => judged.sql_on_primary(evidence, statements.join("\n")),
    }
}

fn plural_indexes(count: usize) -> String {
    if count == 1 { "1 index".to_owned() } else { format!("{count} indexes") }
}

/// What statements did, or why that is not known.
fn workload(evidence: &Evidence) -> Result<&Workload, Box<Judged>> {
    let unseen = |missing: &Missing| Box::new(Judged::unseen(missing));
    let workload = evidence.workload.as_ref().map_err(unseen)?;
    match workload.statements.is_empty() {
        true => Err(Box::new(Judged::cannot_tell(
            "no statement is counted yet",
            "there was no load on this database",
        ))),
        false => Ok(workload),
    }
}

pub(super) fn slow(evidence: &Evidence) -> Judged {
    let workload = match workload(evidence) {
        Ok(workload) => workload,
        Err(judged) => return *judged,
    };
    let is_slow = |statement: &&Statement| {
        statement.kind != StatementKind::Other && statement.exec_ms_mean() >= SLOW_MS
    };
    let slow: Vec<&Statement> = workload.statements.iter().filter(is_slow).collect();
    let Some(worst) = slow.first() else {
        let said = format!("no statement takes {} on average", seconds(SLOW_MS / 1e3));
        return seen_all(evidence, Judged::met(said));
    };
    Judged::not_met(format!(
        "{} at {} or more on average; the most expensive took {} for each of {} executions: {}",
        plural(slow.len(), "statement"),
        seconds(SLOW_MS / 1e3),
        seconds(worst.exec_ms_mean() / 1e3),
        number(worst.calls),
        beginning(worst)
    ))
    .fix(FixKind::Command, format!("pgprime analyze --query-id {}", worst.query_id))
}

pub(super) fn n_plus_one(evidence: &Evidence) -> Judged {
    if let Some(Ok(Pooling { repeats: Some(repeats), .. })) = &evidence.pooling {
        let is_read =
            |text: &str| text.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select"));
        let loops = repeats.iter().filter(|repeat| is_read(&repeat.text) && repeat.longest >= LOOP_MIN);
        return match loops.max_by_key(|repeat| repeat.executions) {
            None => Judged::met("the pooler has seen no client repeat a read in a row"),
            Some(worst) => Judged::not_met(format!(
                "one client ran this up to {} times in a row, {} times in all: {}",
                number(worst.longest as f64),
                number(worst.executions as f64),
                shortened(&worst.text)
            ))
            .advice(match &worst.parent_text {
                Some(parent) => format!(
                    "join it to what comes before it, or ask for all keys at once (= ANY ($1)): {}",
                    shortened(parent)
                ),
                None => "ask for all keys at once: WHERE id = ANY ($1)".to_owned(),
            }),
        };
    }
    let why = "only who sees the order of each client's statements can tell: run the application through pgprime's pooler, \
               and name its console (--pooler-url)";
    match evidence.workload.as_ref().ok().and_then(|workload| workload.repeated.as_ref()) {
        Some(hint) => Judged::cannot_tell(hint.clone(), format!("that is a hint and no proof; {why}")),
        None => Judged::cannot_tell("the counters give no hint at any", why),
    }
}

pub(super) fn views(evidence: &Evidence) -> Judged {
    let views = match &evidence.views {
        Ok(views) => views,
        Err(missing) => return Judged::unseen(missing),
    };
    if let Err(judged) = workload(evidence) {
        return *judged;
    }
    let there = match views.materialized {
        0 => "no materialized view".to_owned(),
        count => plural(usize::try_from(count).unwrap_or(usize::MAX), "materialized view"),
    };
    match views.suggestions.first() {
        None => {
            seen_all(evidence, Judged::met(format!("{there}; no aggregation that one would make cheaper")))
        }
        Some(best) => Judged::not_met(format!(
            "{} would save time; {} would save {} of the database's time in each hour ({:.0} ms, {} times \
             an hour)",
            plural(views.suggestions.len(), "view"),
            best.name,
            seconds(best.saved_ms_per_hour / 1e3),
            best.query_ms,
            number(best.calls_per_hour)
        ))
        .fix(FixKind::Command, "pgprime views suggest"),
    }
}

pub(super) fn pagination(evidence: &Evidence) -> Judged {
    let workload = match workload(evidence) {
        Ok(workload) => workload,
        Err(judged) => return *judged,
    };
    let reads = || {
        workload
            .statements
            .iter()
            .filter(|statement| statement.kind == StatementKind::Read && statement.calls >= OFTEN)
    };
    let skips = |statement: &&Statement| {
        let blocks = statement.blocks / statement.calls.max(1.0);
        statement.has_word("offset")
            && blocks >= SKIPPED_BLOCKS_MIN
            && blocks / statement.rows_mean().max(1.0) >= SKIPPED_BLOCKS_PER_ROW
    };
    let is_endless =
        |statement: &&Statement| statement.rows_mean() > ROWS_MAX && !statement.has_word("limit");
    let by_time = |a: &&Statement, b: &&Statement| a.exec_ms.total_cmp(&b.exec_ms);
    if let Some(worst) = reads().filter(skips).max_by(by_time) {
        return Judged::not_met(format!(
            "for {} rows this looks at {} blocks: {}",
            number(worst.rows_mean()),
            number(worst.blocks / worst.calls.max(1.0)),
            beginning(worst)
        ))
        .advice("page by the last key that was seen: WHERE id > $1 ORDER BY id LIMIT 50");
    }
    if let Some(worst) = reads().filter(is_endless).max_by(by_time) {
        return Judged::not_met(format!(
            "{} rows for each execution: {}",
            number(worst.rows_mean()),
            beginning(worst)
        ))
        .advice(
            "ask for a page at a time: WHERE id > $1 ORDER BY id LIMIT 50; for exports use COPY or a cursor",
        );
    }
    match workload.calls() < CALLS_MIN {
        true => Judged::cannot_tell(
            format!("{} executions are counted", number(workload.calls())),
            "so few say nothing",
        ),
        false => seen_all(
            evidence,
            Judged::met(format!(
                "no frequent read skips much or returns more than {} rows",
                number(ROWS_MAX)
            )),
        ),
    }
}
