//! Checks and the rules by which they become alerts.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use pgprime_monitor::alerts::{Severity, default_rules};
use pgprime_monitor::health::{DEFINITIONS, reference};

/// The part of the reference.
pub(super) fn text() -> String {
    format!(
        "## Checks\n\n\
         `pgprime health` and `pgprime run` look at these. `[health.thresholds]` changes from where on one is bad, `[health] \
         off` leaves one out.\n\n{}\n\
         ## Rules\n\n\
         When a check that stays bad becomes an alert, unless `[[alerts.rules]]` says otherwise. What is only advice has \
         no rule.\n\n{}",
        reference(),
        rules()
    )
}

fn rules() -> String {
    let mut text =
        String::from("| check | as a warning | as critical | what messages say |\n|---|---|---|---|\n");
    let rules = default_rules();
    for definition in DEFINITIONS {
        let of_check = || rules.iter().filter(|rule| rule.check == definition.id);
        let Some(first) = of_check().next() else { continue };
        let after = |severity: Severity| {
            let rule = of_check().find(|rule| rule.severity == severity);
            rule.map_or("–".to_owned(), |rule| match rule.fires_after {
                Duration::ZERO => "at once".to_owned(),
                after => format!("after {}", time(after)),
            })
        };
        let (warning, critical) = (after(Severity::Warning), after(Severity::Critical));
        let _ = writeln!(text, "| `{}` | {warning} | {critical} | {} |", definition.id, first.description);
    }
    text
}

fn time(duration: Duration) -> String {
    SignedDuration::try_from(duration)
        .map_or_else(|_| duration.as_secs().to_string(), |time| format!("{time:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_place() {
        let text = rules();
        assert!(
            text.contains("| `connections.used` | after 5m | after 1m | The server is running out of"),
            "{text}"
        );
        let told = text.matches("after ").count() + text.matches("at once").count();
        assert_eq!(told, default_rules().len(), "{text}");
    }
}
