//! Indexes that no query uses. Pure.

use std::time::Duration;

use super::catalog::Index;
use super::finding::{Confidence, IndexFinding, IndexProblem};
use super::options::ReviewOptions;
use super::statements;
use crate::space::Severity;
use crate::space::units::{ago, amount};

/// How far counting can be trusted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    /// How long scans have been counted.
    pub(super) age: Duration,
    /// Whether other servers serve reads, too, and count for themselves.
    pub(super) is_shared: bool,
}

/// What is to be said of an index with so many scans, its own and those that will move to it.
pub(super) fn unused(
    index: &Index,
    scans: u64,
    counting: Counting,
    options: &ReviewOptions,
) -> Option<IndexFinding> {
    if index.is_needed() || !index.is_usable() || index.parent_oid.is_some() {
        return None;
    }
    let days = counting.age.as_secs_f64() / 86_400.0;
    let is_new = counting.age < options.statistics_age_min;
    // A few scans in a few days may become many.
    let is_rare = scans > 0 && !is_new && scans as f64 / days < options.rare_scans_per_day;
    if scans > 0 && !is_rare {
        return None;
    }
    let mut confidence = match counting.age {
        _ if is_new => Confidence::Low,
        age if age < options.statistics_age_sure => Confidence::Medium,
        _ => Confidence::High,
    };
    if counting.is_shared {
        confidence = confidence.lowered();
    }
    if is_rare {
        confidence = confidence.lowered();
    }
    let is_worth_it = index.bytes >= options.index_bytes_min && confidence > Confidence::Low;
    Some(IndexFinding {
        problem: IndexProblem::Unused,
        severity: if is_worth_it { Severity::Warning } else { Severity::Info },
        confidence,
        index: Some(index.qualified.clone()),
        table: index.table.clone(),
        covered_by: None,
        reason: reason(index, scans, counting, is_new),
        remedies: vec![statements::drop(index)],
        undo: statements::create_again(index),
        freed_bytes: Some(index.bytes),
        scans: Some(index.scans),
    })
}

fn reason(index: &Index, scans: u64, counting: Counting, is_new: bool) -> String {
    let age = ago(Some(counting.age.as_secs_f64()));
    let how_often = match scans {
        0 => "No scan".to_owned(),
        1 => "One scan".to_owned(),
        scans => format!("{} scans", amount(scans)),
    };
    let mut reason = format!(
        "{how_often} since statistics are kept ({age}), while {} rows were written to its table.",
        amount(index.writes)
    );
    if is_new {
        reason += " That is too short to tell: ask again when a week and a month's end have passed.";
    }
    if counting.is_shared {
        reason += " Scans on replicas are counted there, not here: look there first.";
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn index() -> Index {
        Index { is_valid: true, is_ready: true, bytes: 10 << 20, ..Index::default() }
    }

    fn judged(index: &Index, scans: u64, days: u64, is_shared: bool) -> Option<(Severity, Confidence)> {
        let counting = Counting { age: Duration::from_secs(days * DAY), is_shared };
        unused(index, scans, counting, &ReviewOptions::default())
            .map(|finding| (finding.severity, finding.confidence))
    }

    #[test]
    fn certainty_comes_with_time_and_without_replicas() {
        for (scans, days, is_shared, expected) in [
            (0, 6, false, Some((Severity::Info, Confidence::Low))),
            (0, 8, false, Some((Severity::Warning, Confidence::Medium))),
            (0, 40, false, Some((Severity::Warning, Confidence::High))),
            (0, 40, true, Some((Severity::Warning, Confidence::Medium))),
            (0, 8, true, Some((Severity::Info, Confidence::Low))),
            (1, 6, false, None),
            (1, 40, false, Some((Severity::Warning, Confidence::Medium))),
            (4, 40, false, None),
        ] {
            assert_eq!(judged(&index(), scans, days, is_shared), expected, "{scans} in {days} days");
        }
        let small = Index { bytes: 8_192, ..index() };
        assert_eq!(judged(&small, 0, 40, false), Some((Severity::Info, Confidence::High)));
    }

    #[test]
    fn what_is_there_for_more_than_speed_stays() {
        for needed in [
            Index { is_unique: true, ..index() },
            Index { has_constraint: true, ..index() },
            Index { is_exclusion: true, ..index() },
            Index { is_replica_identity: true, ..index() },
            Index { is_clustered: true, ..index() },
            Index { parent_oid: Some(1), ..index() },
            Index { is_valid: false, ..index() },
        ] {
            assert_eq!(judged(&needed, 0, 400, false), None, "{needed:?}");
        }
    }
}
