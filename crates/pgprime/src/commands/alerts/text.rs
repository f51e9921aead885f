//! Deliveries and rules for people.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::SignedDuration;
use pgprime_monitor::alerts::{Delivery, Rule};

/// A line for each channel.
pub(super) fn deliveries(deliveries: &[Delivery]) -> String {
    let width = deliveries.iter().map(|delivery| delivery.channel.chars().count()).max().unwrap_or_default();
    deliveries.iter().fold(String::new(), |mut text, delivery| {
        let outcome = if delivery.ok { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "{outcome}  {:width$}  {}", delivery.channel, delivery.detail);
        text
    })
}

/// The rules by their checks, which stand in the order of their first rules.
pub(super) fn rules(rules: &[Rule]) -> String {
    let mut checks: Vec<(&str, Vec<&Rule>)> = Vec::new();
    for rule in rules {
        match checks.iter_mut().find(|(check, _)| *check == rule.check) {
            Some((_, of_check)) => of_check.push(rule),
            None => checks.push((&rule.check, vec![rule])),
        }
    }
    let mut text = String::new();
    for (check, of_check) in &mut checks {
        of_check.sort_by_key(|rule| rule.severity);
        let whens: Vec<String> = of_check.iter().map(|rule| when(rule)).collect();
        let _ = writeln!(text, "{check}: {}\n    {}", of_check[0].description, whens.join("; "));
    }
    if rules.is_empty() {
        text.push_str("There is no rule: no check becomes an alert.\n");
    }
    text
}

/// From when on it is an alert, and what is not as usual.
fn when(rule: &Rule) -> String {
    let severity = rule.severity.as_str();
    let usual = Rule::new(&rule.check, rule.severity, rule.fires_after);
    let mut text = match rule.fires_after {
        Duration::ZERO => format!("{severity} at once"),
        after => format!("{severity} after {}", time(after)),
    };
    if rule.clear_after != usual.clear_after {
        let _ = write!(text, ", over after {}", time(rule.clear_after));
    }
    if (rule.margin - usual.margin).abs() > f64::EPSILON {
        let _ = write!(text, ", well by {} %", (rule.margin * 1_000.0).round() / 10.0);
    }
    if rule.name != usual.name {
        let _ = write!(text, " ({})", rule.name);
    }
    text
}

/// As it is written in the configuration.
fn time(duration: Duration) -> String {
    match SignedDuration::try_from(duration) {
        Ok(duration) => format!("{duration:#}"),
        Err(_) => format!("{} s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use pgprime_monitor::alerts::{Severity, default_rules};

    use super::*;

    #[test]
    fn rules_stand_below_their_check() {
        let rule = |severity, seconds| Rule::new("connections.used", severity, Duration::from_secs(seconds));
        let mut three =
            vec![rule(Severity::Critical, 60), rule(Severity::Warning, 300), rule(Severity::Critical, 0)];
        three[2].name = "full".to_owned();
        three[2].margin = 0.0;
        three[2].clear_after = Duration::from_secs(3_600);
        let expected = "connections.used: The server is running out of connections\n    warning after 5m; \
             critical after 1m; critical at once, over after 1h, well by 0 % (full)\n";
        assert_eq!(rules(&three), expected);
        let all = rules(&default_rules());
        assert!(all.contains("Data pages are damaged\n    warning at once; critical at once\n"), "{all}");
        assert!(all.lines().all(|line| line.chars().count() <= 100), "{all}");
        assert!(rules(&[]).contains("no rule"));
    }
}
