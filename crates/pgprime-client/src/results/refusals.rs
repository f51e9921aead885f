//! Which statements are run without the cache although it was asked for, and why.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

/// Reasons counted apart for one statement; there are hardly more.
const REASONS_MAX: usize = 8;
const OTHERS: &str = "(others)";

/// Counts by reason.
type Reasons = HashMap<Arc<str>, u64>;

/// Counts by label and reason; both are bounded.
pub(super) struct Refusals {
    labels: Mutex<HashMap<Box<str>, Reasons>>,
    labels_max: usize,
    others: Arc<str>,
}

/// A statement that was run without the cache although it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusalReport {
    /// Its name, or its text without values.
    pub label: String,
    /// How often.
    pub count: u64,
    /// Why, the most frequent reason first.
    pub reasons: Vec<RefusedReason>,
}

/// Why, and how often for this reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedReason {
    /// As a sentence.
    pub reason: String,
    /// How often.
    pub count: u64,
}

impl Refusals {
    pub(super) fn new(labels_max: usize) -> Self {
        Self { labels: Mutex::default(), labels_max, others: OTHERS.into() }
    }

    pub(super) fn count(&self, label: &str, reason: &Arc<str>) {
        let mut labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let label = if labels.contains_key(label) || labels.len() < self.labels_max { label } else { OTHERS };
        if !labels.contains_key(label) {
            labels.insert(label.into(), HashMap::new());
        }
        let Some(reasons) = labels.get_mut(label) else { return };
        let is_counted = reasons.contains_key(reason) || reasons.len() < REASONS_MAX;
        *reasons.entry(Arc::clone(if is_counted { reason } else { &self.others })).or_default() += 1;
    }

    pub(super) fn report(&self) -> Vec<RefusalReport> {
        let labels = self.labels.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reports: Vec<RefusalReport> = labels
            .iter()
            .map(|(label, reasons)| {
                let count = reasons.values().sum();
                let mut reasons: Vec<RefusedReason> = reasons
                    .iter()
                    .map(|(reason, count)| RefusedReason { reason: reason.to_string(), count: *count })
                    .collect();
                reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.reason.cmp(&b.reason)));
                RefusalReport { label: label.to_string(), count, reasons }
            })
            .collect();
        reports.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.label.cmp(&b.label)));
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_reasons_are_bounded() {
        let refusals = Refusals::new(2);
        for label in ["a", "b", "c", "d", "a"] {
            refusals.count(label, &"it writes".into());
        }
        let counts: Vec<(String, u64)> =
            refusals.report().into_iter().map(|report| (report.label, report.count)).collect();
        assert_eq!(counts, [(OTHERS.to_owned(), 2), ("a".to_owned(), 2), ("b".to_owned(), 1)]);
        for number in 0..100 {
            refusals.count("a", &format!("reason {number}").into());
        }
        let report = refusals.report().remove(0);
        assert_eq!((report.label.as_str(), report.count), ("a", 102));
        assert_eq!(report.reasons.len(), REASONS_MAX + 1);
        assert_eq!(report.reasons[0].reason, OTHERS);
    }
}
