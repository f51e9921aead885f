use proptest::prelude::*;

use super::*;
use crate::health::{Group, Thresholds};

const START: i64 = 1_763_888_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(START + seconds).unwrap()
}

fn check(id: &str, status: Status, value: f64) -> Check {
    Check {
        id: id.to_owned(),
        group: Group::Connections,
        title: "Connections in use".to_owned(),
        status,
        value: Some(value),
        unit: Unit::Percent,
        thresholds: Some(Thresholds { warning: 80.0, critical: 90.0 }),
        text: format!("{value} % are in use"),
        trend: None,
        action: (status > Status::Unknown).then(|| "raise max_connections".to_owned()),
        statement: None,
        details: Vec::new(),
        is_tentative: false,
    }
}

fn report(seconds: i64, checks: Vec<Check>) -> HealthReport {
    HealthReport {
        taken_at: at(seconds),
        status: checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok),
        server_version: None,
        in_recovery: None,
        took_ms: 1.0,
        checks,
        missing: Vec::new(),
    }
}

/// A status and value by one letter.
fn seen(letter: char, id: &str) -> Option<Check> {
    let (status, value) = match letter {
        'o' => (Status::Ok, 50.0),
        // Below the threshold of 80, not by the margin.
        'c' => (Status::Ok, 78.0),
        // Below the critical threshold alone.
        'w' => (Status::Warning, 84.0),
        'n' => (Status::Warning, 88.0),
        'C' => (Status::Critical, 95.0),
        'u' => (Status::Unknown, 0.0),
        _ => return None,
    };
    Some(check(id, status, value))
}

fn rule(severity: Severity, fires_after: u64, clear_after: u64) -> Rule {
    let mut rule = Rule::new("connections.used", severity, Duration::from_secs(fires_after));
    rule.clear_after = Duration::from_secs(clear_after);
    rule
}

/// Runs letters, one each minute; a letter of what happened at each: `F`, `R` for warning, `f`, `r` for critical.
fn run(rules: &[Rule], letters: &str) -> String {
    let mut alerts = Alerts::new(rules.to_vec());
    let mut happened = String::new();
    for (minute, letter) in letters.chars().enumerate() {
        let seconds = minute as i64 * 60;
        let up = if letter == 'D' { Status::Critical } else { Status::Ok };
        let mut checks = vec![check(DATABASE_UP, up, 1.0)];
        checks.extend(seen(if letter == 'D' { 'C' } else { letter }, "connections.used"));
        let changes = alerts.step(at(seconds), &report(seconds, checks));
        let letter = |change: &Change| match (change.kind, change.alert.severity) {
            (ChangeKind::Fired, Severity::Warning) => 'F',
            (ChangeKind::Fired, Severity::Critical) => 'f',
            (ChangeKind::Resolved, Severity::Warning) => 'R',
            (ChangeKind::Resolved, Severity::Critical) => 'r',
        };
        match changes.as_slice() {
            [] => happened.push('.'),
            changes => happened.extend(changes.iter().map(letter)),
        }
    }
    happened
}

#[test]
fn an_alert_fires_after_a_while_and_resolves_after_a_while() {
    let warning = || rule(Severity::Warning, 120, 120);
    let cases = [
        // What is bad for long enough fires; in between it must not be well.
        ("owwwww", "...F.."),
        ("owwoww", "......"),
        ("owwcww", "......"),
        // Critical is a warning, too.
        ("owwC", "...F"),
        // Resolves when well for long enough, by the margin.
        ("wwwooooo", "..F..R.."),
        ("wwwoowoooo", "..F.....R."),
        ("wwwccccoooo", "..F......R."),
        ("wwwoocooo", "..F.....R"),
        // What is not seen changes nothing, and its time does not count.
        ("wuuuww", ".....F"),
        ("wwwuuuuuu", "..F......"),
        ("wwwouuuuoo", "..F......R"),
        ("uuuuu", "....."),
        // Nothing fires while the database is down, and nothing resolves.
        ("DDDDDD", "......"),
        ("wDDDww", ".....F"),
        ("wwwDDDooo", "..F.....R"),
        // A check that is not made is not pending, and does not fire for ever.
        ("w ww w", "......"),
        ("www                 ", "..F..............R.."),
    ];
    for (letters, expected) in cases {
        assert_eq!(run(&[warning()], letters), expected, "{letters}");
    }
    assert_eq!(run(&[rule(Severity::Warning, 0, 0)], "owow"), ".FRF", "without waiting");
}

#[test]
fn a_warning_is_silent_while_the_critical_alert_fires() {
    let rules = [rule(Severity::Warning, 60, 120), rule(Severity::Critical, 60, 120)];
    let cases = [
        // Both at once: the graver one alone; the warning when only that is left.
        ("CCCC", ".f.."),
        ("CCCwwwww", ".f...rF."),
        ("CCCooooo", ".f...r.."),
        // A warning that becomes critical is said again, and each ends by itself.
        ("wwCCoooo", ".F.f..rR"),
        // Between both thresholds, though not by the margin of the critical one.
        ("CCnnnnn", ".f....."),
    ];
    for (letters, expected) in cases {
        let happened = run(&rules, letters);
        assert!(happened.starts_with(expected), "{letters}: {happened}, expected {expected}");
    }
}

#[test]
fn what_comes_and_goes_takes_longer_to_resolve() {
    let mut alerts = Alerts::new(vec![rule(Severity::Warning, 0, 60)]);
    let (mut minutes, mut lasted) = (0, Vec::new());
    for _ in 0..5 {
        let mut step = |letter| {
            minutes += 1;
            let seconds = minutes * 60;
            alerts.step(at(seconds), &report(seconds, seen(letter, "connections.used").into_iter().collect()))
        };
        let fired = step('w');
        assert_eq!(fired[0].kind, ChangeKind::Fired);
        let mut waited = 0;
        while step('o').is_empty() {
            waited += 1;
            assert!(waited < 100);
        }
        lasted.push((fired[0].alert.fired_within_hour, waited));
    }
    assert_eq!(lasted, [(1, 1), (2, 1), (3, 2), (4, 4), (5, 8)], "times within the hour, minutes to resolve");
}

#[test]
fn margins_are_on_the_good_side() {
    let cases = [
        // Above is bad: 80 % is the threshold, 76 % is well.
        ((80.0, 90.0), 76.0, true),
        ((80.0, 90.0), 77.0, false),
        // Below is bad: at 99 % a twentieth of what is left.
        ((99.0, 90.0), 99.04, false),
        ((99.0, 90.0), 99.06, true),
        ((20.0, 10.0), 20.5, false),
        ((20.0, 10.0), 21.0, true),
        ((1.0, 1.0), 0.0, true),
        // A threshold that no value reaches.
        ((f64::INFINITY, f64::INFINITY), 5.0, true),
    ];
    for ((warning, critical), value, expected) in cases {
        let mut check = check("connections.used", Status::Ok, value);
        check.thresholds = Some(Thresholds { warning, critical });
        let rule = Rule::new("connections.used", Severity::Warning, Duration::ZERO);
        assert_eq!(is_clear(&rule, &check), expected, "{warning} {critical} {value}");
    }
}

#[test]
fn a_restart_neither_repeats_nor_forgets() {
    let rules = vec![rule(Severity::Warning, 120, 120)];
    let mut alerts = Alerts::new(rules.clone());
    let step = |alerts: &mut Alerts, minute: i64, letter| {
        let checks = seen(letter, "connections.used").into_iter().collect();
        alerts.step(at(minute * 60), &report(minute * 60, checks))
    };
    let restart = |alerts: &Alerts, rules: &[Rule]| {
        let json = serde_json::to_string(&alerts.saved()).unwrap();
        Alerts::restored(rules.to_vec(), serde_json::from_str(&json).unwrap())
    };
    assert!(step(&mut alerts, 0, 'w').is_empty());
    alerts = restart(&alerts, &rules);
    assert!(step(&mut alerts, 1, 'w').is_empty());
    alerts = restart(&alerts, &rules);
    let fired = step(&mut alerts, 2, 'w');
    assert_eq!((fired.len(), fired[0].alert.since), (1, at(0)), "since the first process saw it");
    alerts = restart(&alerts, &rules);
    assert_eq!(alerts.firing(), [&fired[0].alert]);
    assert!(step(&mut alerts, 3, 'w').is_empty(), "not again");
    assert!(step(&mut alerts, 4, 'o').is_empty());
    alerts = restart(&alerts, &rules);
    assert!(step(&mut alerts, 5, 'o').is_empty());
    let resolved = step(&mut alerts.clone(), 6, 'o');
    assert_eq!((resolved[0].kind, &resolved[0].alert.id), (ChangeKind::Resolved, &fired[0].alert.id));
    // The rule was removed from the settings meanwhile.
    let mut without = restart(&alerts, &[]);
    let gone = step(&mut without, 6, 'w');
    assert_eq!(
        (gone.len(), gone[0].kind, gone[0].alert.state),
        (1, ChangeKind::Resolved, AlertState::Resolved)
    );
    assert!(step(&mut without, 7, 'w').is_empty());
}

#[test]
fn an_alert_tells_what_to_do() {
    let mut alerts = Alerts::new(vec![rule(Severity::Critical, 0, 0)]);
    let fired = alerts.step(at(0), &report(0, vec![check("connections.used", Status::Critical, 95.0)]));
    let alert = &fired[0].alert;
    assert_eq!(alert.id, format!("connections.used.critical@{START}"));
    assert_eq!((alert.value, alert.threshold), (Some(95.0), Some(90.0)));
    assert_eq!(
        (alert.text.as_str(), alert.action.as_deref()),
        ("95 % are in use", Some("raise max_connections"))
    );
    assert_eq!(alert.state, AlertState::Firing);
    let json = serde_json::to_value(alert).unwrap();
    assert_eq!(
        (&json["unit"], &json["state"], &json["severity"]),
        (&"percent".into(), &"firing".into(), &"critical".into())
    );
    assert_eq!(&serde_json::from_value::<Alert>(json).unwrap(), alert);
}

#[test]
fn text_and_statement_are_of_the_same_moment() {
    let bad = |status, value, statement: &str| Check {
        statement: Some(statement.to_owned()),
        ..check("connections.used", status, value)
    };
    let mut alerts = Alerts::new(vec![rule(Severity::Critical, 0, 120)]);
    let mut step = |seconds: i64, check: Check| {
        let changes = alerts.step(at(seconds), &report(seconds, vec![check]));
        (changes, alerts.firing().first().map(|alert| (*alert).clone()))
    };
    let told = |alert: &Option<Alert>| {
        let alert = alert.as_ref().unwrap();
        (alert.text.clone(), alert.statement.clone(), alert.is_clearing)
    };
    step(0, bad(Status::Critical, 95.0, "first"));
    let (_, firing) = step(60, bad(Status::Critical, 96.0, "second"));
    assert_eq!(told(&firing), ("96 % are in use".to_owned(), Some("second".to_owned()), false));
    let without = Check { action: None, ..check("connections.used", Status::Critical, 97.0) };
    let (_, firing) = step(120, without);
    assert_eq!((told(&firing).1, firing.unwrap().action), (None, None));
    let well = || Check { action: None, ..check("connections.used", Status::Ok, 50.0) };
    let (_, firing) = step(180, well());
    assert_eq!(told(&firing), ("50 % are in use".to_owned(), None, true));
    let (_, firing) = step(240, bad(Status::Critical, 98.0, "third"));
    assert_eq!(told(&firing), ("98 % are in use".to_owned(), Some("third".to_owned()), false));
    // What is left is a warning, with a statement of its own.
    step(300, bad(Status::Warning, 81.0, "of the warning"));
    let (changes, firing) = step(420, bad(Status::Warning, 81.0, "of the warning"));
    assert_eq!((changes[0].kind, firing), (ChangeKind::Resolved, None));
    let alert = &changes[0].alert;
    assert_eq!((&alert.action, &alert.statement, alert.is_clearing), (&None, &None, false));
}

/// "None in the past three minutes" does not end an alert of the past hour.
#[test]
fn what_was_not_seen_for_long_enough_calls_nothing_off() {
    let mut alerts = Alerts::new(vec![rule(Severity::Warning, 0, 60)]);
    let mut step =
        |minute: i64, check: Check| alerts.step(at(minute * 60), &report(minute * 60, vec![check])).len();
    assert_eq!(step(0, check("connections.used", Status::Warning, 84.0)), 1);
    for minute in 1..30 {
        let young = Check { is_tentative: true, ..check("connections.used", Status::Ok, 0.0) };
        assert_eq!(step(minute, young), 0);
    }
    assert_eq!(step(30, check("connections.used", Status::Ok, 0.0)), 0);
    assert_eq!(step(31, check("connections.used", Status::Ok, 0.0)), 1);
}

#[test]
fn a_clock_set_back_counts_for_nothing() {
    let mut alerts = Alerts::new(vec![rule(Severity::Warning, 120, 120)]);
    let mut step = |seconds: i64, letter| {
        alerts.step(at(seconds), &report(seconds, seen(letter, "connections.used").into_iter().collect()))
    };
    for (seconds, expected) in [(0, 0), (60, 0), (-3_600, 0), (-3_540, 1)] {
        assert_eq!(step(seconds, 'w').len(), expected, "{seconds}");
    }
}

proptest! {
    /// Whatever is seen, at whatever times, over restarts: an alert fires once, and resolves once, after it fired.
    #[test]
    fn fired_and_resolved_alternate(
        rounds in proptest::collection::vec((0_usize..7, -50_i64..400, any::<bool>(), any::<bool>()), 1..120),
        times in (0_u64..200, 0_u64..200),
    ) {
        let rules = vec![rule(Severity::Warning, times.0, times.1), rule(Severity::Critical, times.0, times.1)];
        let mut alerts = Alerts::new(rules.clone());
        let mut firing: BTreeMap<String, String> = BTreeMap::new();
        let mut now = 0;
        for (letter, later, is_down, has_restarted) in rounds {
            now += later;
            let letter = ['o', 'c', 'w', 'n', 'C', 'u', ' '][letter];
            let up = if is_down { Status::Critical } else { Status::Ok };
            let mut checks = vec![check(DATABASE_UP, up, 1.0)];
            checks.extend(seen(letter, "connections.used"));
            if has_restarted {
                alerts = Alerts::restored(rules.clone(), alerts.saved());
            }
            for change in alerts.step(at(now), &report(now, checks)) {
                prop_assert!(!is_down, "nothing changes while the database is down");
                let known = match change.kind {
                    ChangeKind::Fired => firing.insert(change.alert.rule.clone(), change.alert.id.clone()),
                    ChangeKind::Resolved => firing.remove(&change.alert.rule),
                };
                match change.kind {
                    ChangeKind::Fired => prop_assert_eq!(known, None, "fired twice"),
                    ChangeKind::Resolved => prop_assert_eq!(known, Some(change.alert.id), "resolved what never fired"),
                }
            }
            let shown: Vec<&str> = alerts.firing().iter().map(|alert| alert.rule.as_str()).collect();
            prop_assert_eq!(shown.len(), firing.len());
        }
    }
}
