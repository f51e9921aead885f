//! Items about memory.

use pgprime_capacity::postgres::{Comparison, Status};

use super::evidence::{Evidence, Statement};
use super::item::Judged;
use super::settings::{Found, Need, changing, compared, judged, of_roles, size};
use super::words::beginning;
use crate::health::words::{bytes, number, percent};

/// A statement that writes less than this to disk for each execution is not worth a word.
const SPILL_BYTES_MIN: f64 = 1_048_576.0;
/// … nor one that takes a smaller part of the time.
const SPILL_SHARE_MIN: f64 = 0.01;
/// A statement gets so many times what it writes: in memory a sort takes more room than on disk.
const IN_MEMORY_FACTOR: f64 = 3.0;
/// No statement is told to take more: it is many times what others have.
const STATEMENT_BYTES_MAX: f64 = 1_073_741_824.0;

pub(super) fn shared_buffers(evidence: &Evidence) -> Judged {
    share_of_memory(evidence, "shared_buffers")
}

pub(super) fn effective_cache_size(evidence: &Evidence) -> Judged {
    share_of_memory(evidence, "effective_cache_size")
}

fn share_of_memory(evidence: &Evidence, name: &str) -> Judged {
    let found = match compared(evidence, &[name], &[Need::Memory]) {
        Ok(found) => found,
        Err(judged) => return *judged,
    };
    let whole = evidence.machine.memory_bytes.unwrap_or(0) as f64;
    let live = evidence.setting(name).and_then(size);
    let share = live.map(|live| {
        format!("{} is {} of {}", bytes(live), percent(100.0 * live / whole.max(1.0)), bytes(whole))
    });
    let mut judged = judged(evidence, &found, share.clone().unwrap_or_default());
    // The share says more than both values do, where it is everybody's.
    if let ([Found { comparison, .. }], Some(share)) = (found.as_slice(), share)
        && comparison.status == Status::Differs
    {
        judged.evidence = share + &found[0].whose(evidence);
    }
    judged
}

/// Too large is dangerous, too small only where something goes to disk.
pub(super) fn work_mem(evidence: &Evidence) -> Judged {
    let found = match compared(evidence, &["work_mem"], &[Need::Memory, Need::Cores]) {
        Ok(found) => found,
        Err(judged) => return *judged,
    };
    let common = found.iter().find(|found| found.is_common());
    let (Some(live), Some(found)) = (evidence.setting("work_mem").and_then(size), common) else {
        return Judged::cannot_tell(
            "work_mem cannot be seen",
            "the session that asks has a value of its own, and this role may not see what others have",
        );
    };
    let setting = &found.comparison;
    let differs = setting.status == Status::Differs;
    let recommended = recommended_bytes(setting);
    let of_roles = of_roles(evidence, &["work_mem"]);
    if differs && live > recommended {
        let evidence_text = format!(
            "{} for each sort and hash of up to {} sessions{}{of_roles}",
            bytes(live),
            sessions(evidence),
            found.whose(evidence)
        );
        let judged = Judged::not_met(evidence_text).because(setting.reason.clone());
        return changing(evidence, &[found], judged);
    }
    let spills = match &evidence.workload {
        Ok(workload) => spilling(&workload.statements),
        Err(missing) if differs => return without_statements(evidence, live, &missing.why),
        Err(_) => Vec::new(),
    };
    let Some(worst) = spills.first() else {
        return Judged::met(format!("no statement that matters goes to disk with {}{of_roles}", bytes(live)));
    };
    let each = worst.temp_bytes / worst.calls.max(1.0);
    let evidence_text = format!(
        "{} go{} to disk with {}, the worst with {} for each of {} executions: {}",
        crate::health::words::plural(spills.len(), "statement"),
        if spills.len() == 1 { "es" } else { "" },
        bytes(live),
        bytes(each),
        number(worst.calls),
        beginning(worst)
    );
    let judged = Judged::not_met(evidence_text);
    if differs {
        return changing(evidence, &[found], judged.because(setting.reason.clone()));
    }
    judged
        .because("there is no room for more in every session, so that only statements that need more get it")
        .advice(format!(
            "give this statement's transaction more: SET LOCAL work_mem = '{}MB'",
            (each * IN_MEMORY_FACTOR).min(STATEMENT_BYTES_MAX).div_euclid(1_048_576.0) + 1.0
        ))
}

fn sessions(evidence: &Evidence) -> u64 {
    evidence.count("max_connections").unwrap_or(0)
}

/// A comparison has its value as text only.
fn recommended_bytes(setting: &Comparison) -> f64 {
    let text = &setting.recommended;
    let split = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = match &text[split..] {
        "kB" => 1_024.0,
        "MB" => 1_048_576.0,
        "GB" => 1_073_741_824.0,
        _ => 1.0,
    };
    text[..split].parse::<f64>().unwrap_or(0.0) * unit
}

/// What the database has counted tells as much as whether anything went to disk at all.
fn without_statements(evidence: &Evidence, live: f64, why: &str) -> Judged {
    match &evidence.counters {
        Ok(counters) if counters.temp_files == 0 => {
            Judged::met(format!("no temporary file was ever needed with {}", bytes(live)))
        }
        Ok(counters) => Judged::cannot_tell(
            format!(
                "{} temporary files of {} with {}",
                number(counters.temp_files as f64),
                bytes(counters.temp_bytes as f64),
                bytes(live)
            ),
            format!("whose they are is not known: {why}"),
        ),
        Err(_) => Judged::cannot_tell(format!("work_mem is {}", bytes(live)), why),
    }
}

/// Statements that write to disk what did not fit, the most bytes first.
fn spilling(statements: &[Statement]) -> Vec<&Statement> {
    let whole: f64 = statements.iter().map(|statement| statement.exec_ms).sum();
    let matters = |statement: &&Statement| {
        statement.temp_bytes / statement.calls.max(1.0) >= SPILL_BYTES_MIN
            && statement.exec_ms >= SPILL_SHARE_MIN * whole
            && statement.kind != super::evidence::StatementKind::Other
    };
    let mut found: Vec<&Statement> = statements.iter().filter(matters).collect();
    found.sort_by(|a, b| b.temp_bytes.total_cmp(&a.temp_bytes));
    found
}
