//! What a rule says of one check, before thresholds, trend and definition are put to it.

use serde::Serialize;

use super::past::{Past, trend, trend_of_duration};
use super::report::{Check, Status, Thresholds};
use super::settings::Settings;
use super::table::definition;
use pgprime_readonly::Missing;

/// Parts of a value that are named.
const DETAILS_MAX: usize = 20;

/// What a rule says of one check.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    id: &'static str,
    value: Option<f64>,
    /// Not better than this, whatever the value is.
    at_least: Status,
    /// Not worse than this, whatever the value is.
    at_most: Status,
    /// Other thresholds than those that are set.
    thresholds: Option<Thresholds>,
    text: String,
    action: Option<String>,
    statement: Option<String>,
    details: Vec<serde_json::Value>,
    is_tentative: bool,
}

impl Verdict {
    /// A value that the thresholds decide on.
    pub(super) fn value(id: &'static str, value: f64, text: impl Into<String>) -> Self {
        Self { value: Some(value).filter(|value| value.is_finite()), ..Self::fixed(id, Status::Ok, text) }
    }

    /// Nothing to judge, as where there is nothing of the kind.
    pub(super) fn well(id: &'static str, text: impl Into<String>) -> Self {
        Self::fixed(id, Status::Ok, text)
    }

    /// Judged without a value.
    pub(super) fn fixed(id: &'static str, status: Status, text: impl Into<String>) -> Self {
        Self {
            id,
            value: None,
            at_least: status,
            at_most: Status::Critical,
            thresholds: None,
            text: text.into(),
            action: None,
            statement: None,
            details: Vec::new(),
            is_tentative: false,
        }
    }

    /// It could not be seen.
    pub(super) fn unknown(id: &'static str, missing: &Missing) -> Self {
        let verdict = Self::fixed(id, Status::Unknown, format!("Cannot be seen: {}.", missing.why));
        Self { statement: missing.statement.clone(), ..verdict }
    }

    /// As [`Verdict::unknown`], for a role that sees too little.
    pub(super) fn hidden(id: &'static str, grant: String) -> Self {
        let text = "Cannot be seen: the server shows it to members of pg_monitor only.";
        Self { statement: Some(grant), ..Self::fixed(id, Status::Unknown, text) }
    }

    /// The same in other words.
    pub(super) fn saying(self, text: String) -> Self {
        Self { text, ..self }
    }

    pub(super) fn at_least(self, status: Status) -> Self {
        Self { at_least: self.at_least.max(status), ..self }
    }

    pub(super) fn at_most(self, status: Status) -> Self {
        Self { at_most: status, ..self }
    }

    /// If it is well, then only as far as was seen, which is not enough to say that it is well again.
    pub(super) fn tentatively(self) -> Self {
        Self { is_tentative: true, ..self }
    }

    pub(super) fn with_thresholds(self, thresholds: Option<Thresholds>) -> Self {
        Self { thresholds, ..self }
    }

    /// What to do, said where something is to be done.
    pub(super) fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }

    pub(super) fn statement(self, statement: impl Into<String>) -> Self {
        Self { statement: Some(statement.into()), ..self }
    }

    /// What the value is made of, the worst first.
    pub(super) fn details<T: Serialize>(mut self, details: impl IntoIterator<Item = T>) -> Self {
        let values = details.into_iter().take(DETAILS_MAX).map(|detail| serde_json::to_value(detail));
        self.details.extend(values.filter_map(Result::ok));
        self
    }

    /// The check, judged; `None` where it is not wanted.
    pub(super) fn judge(self, settings: &Settings, past: Option<&dyn Past>) -> Option<Check> {
        let definition = definition(self.id).filter(|definition| !settings.is_off(definition.id))?;
        let thresholds = self.thresholds.or_else(|| settings.thresholds(self.id));
        let by_value = thresholds.zip(self.value).map_or(Status::Ok, |(at, value)| at.status(value));
        let status = by_value.min(self.at_most).max(self.at_least);
        let before = past.and_then(|past| past.before(self.id));
        let trend_of = if is_running(self.id) { trend_of_duration } else { trend };
        let trend = self.value.zip(before).and_then(|(value, before)| trend_of(value, before, thresholds));
        // What does not see enough says what would help; what is well needs no help.
        let is_well = status == Status::Ok;
        Some(Check {
            id: definition.id.to_owned(),
            group: definition.group,
            title: definition.title.to_owned(),
            status,
            value: self.value,
            unit: definition.unit,
            thresholds,
            text: self.text,
            trend,
            action: self.action.filter(|_| !is_well),
            statement: self.statement.filter(|_| !is_well),
            details: self.details,
            is_tentative: is_well && self.is_tentative,
        })
    }
}

/// Whether a check's value is how long something lasts that goes on.
fn is_running(id: &str) -> bool {
    matches!(
        id,
        "queries.longest_running"
            | "locks.blocked_longest"
            | "transactions.longest"
            | "transactions.idle_longest"
            | "transactions.prepared_oldest"
            | "replication.receiver"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Was(f64, f64);

    impl Past for Was {
        fn before(&self, _: &str) -> Option<(f64, f64)> {
            Some((self.0, self.1))
        }
    }

    #[test]
    fn thresholds_floors_and_ceilings() {
        let settings = Settings::default();
        let status = |verdict: Verdict| verdict.judge(&settings, None).unwrap().status;
        let used = |value| Verdict::value("connections.used", value, "");
        assert_eq!(status(used(79.9)), Status::Ok);
        assert_eq!(status(used(80.0)), Status::Warning);
        assert_eq!(status(used(90.0)), Status::Critical);
        assert_eq!(status(used(90.0).at_most(Status::Warning)), Status::Warning);
        assert_eq!(status(used(10.0).at_least(Status::Critical)), Status::Critical);
        let free = |value| Verdict::value("disk.free", value, "");
        assert_eq!(
            (status(free(20.0)), status(free(19.9)), status(free(9.0))),
            (Status::Ok, Status::Warning, Status::Critical)
        );
        assert_eq!(status(Verdict::value("disk.database_bytes", 1e15, "")), Status::Ok);
    }

    #[test]
    fn what_is_well_says_nothing_to_do() {
        let settings = Settings::default();
        let verdict = |value| Verdict::value("connections.used", value, "t").action("a").statement("s");
        let well = verdict(1.0).judge(&settings, Some(&Was(0.5, 60.0))).unwrap();
        assert_eq!((well.action, well.statement), (None, None));
        assert_eq!(well.trend.map(|trend| trend.before), Some(0.5));
        let bad = verdict(85.0).judge(&settings, None).unwrap();
        assert_eq!((bad.action.as_deref(), bad.statement.as_deref()), (Some("a"), Some("s")));
        assert_eq!(verdict(f64::NAN).judge(&settings, None).unwrap().value, None);
    }

    #[test]
    fn what_is_not_wanted_is_not_checked() {
        let settings = Settings::from_toml("[health]\noff = [\"connections.used\"]").unwrap();
        assert_eq!(Verdict::value("connections.used", 99.0, "").judge(&settings, None), None);
    }
}
