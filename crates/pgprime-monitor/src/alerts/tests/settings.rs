//! What the configuration may say, and what it may not.

use std::time::Duration;

use crate::alerts::{AlertSettings, ChannelKind, Severity, default_rules};

fn refused(text: &str) -> String {
    AlertSettings::from_toml(text).unwrap_err().to_string()
}

#[test]
fn nothing_said_means_the_default_rules_and_no_channels() {
    let settings = AlertSettings::from_toml("[pooler]\nport = 6432\n").unwrap();
    assert_eq!(settings, AlertSettings::default());
    assert_eq!(settings.rules, default_rules());
    let none = AlertSettings::from_toml("[alerts]\ndefaults = false").unwrap();
    assert!(none.rules.is_empty());
}

#[test]
fn a_rule_changes_the_default_one_or_is_a_further_one() {
    let text = r#"
        [[alerts.rules]]
        check = "disk.free"
        severity = "critical"
        clear_after = "30m"
        margin = 10
        [[alerts.rules]]
        name = "slow for an hour"
        check = "queries.mean_ms"
        severity = "warning"
        for = "1h"
        description = "Statements are slow"
        [[alerts.rules]]
        check = "locks.waiting"
        severity = "warning"
        enabled = false
    "#;
    let rules = AlertSettings::from_toml(text).unwrap().rules;
    assert_eq!(rules.len(), default_rules().len());
    let find = |name: &str| rules.iter().find(|rule| rule.name == name);
    let disk = find("disk.free.critical").unwrap();
    assert_eq!((disk.fires_after, disk.clear_after), (Duration::from_secs(60), Duration::from_secs(1_800)));
    assert!((disk.margin - 0.1).abs() < 1e-9);
    assert_eq!(find("slow for an hour").unwrap().fires_after, Duration::from_secs(3_600));
    assert!(find("locks.waiting.warning").is_none() && find("locks.waiting.critical").is_some());
}

#[test]
fn channels_have_their_secrets_in_place_or_in_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hook"), "https://hooks.example.com/T0/B0\n").unwrap();
    let text = r#"
        [api]
        public_url = "https://db.example.com/"
        port = 8000
        [alerts]
        source = "insurance"
        group_wait = "3s"
        repeat = "2h"
        [[alerts.channels]]
        name = "chat"
        kind = "slack"
        url_file = "hook"
        severity = "critical"
        [[alerts.channels]]
        name = "am"
        kind = "alertmanager"
        url = "http://localhost:9093"
        [[alerts.channels]]
        name = "page"
        kind = "pagerduty"
        key = "k"
        repeat = "1s"
    "#;
    let channels = AlertSettings::from_toml_in(text, folder.path()).unwrap().channels;
    assert_eq!((channels.sender.source.as_str(), channels.group_wait), ("insurance", Duration::from_secs(3)));
    assert_eq!(channels.sender.public_url.as_deref(), Some("https://db.example.com"));
    let [chat, am, page] = channels.channels.as_slice() else { panic!("{channels:?}") };
    assert_eq!((chat.kind, chat.severity_min), (ChannelKind::Slack, Severity::Critical));
    let repeats = [chat.repeat, am.repeat, page.repeat].map(|repeat| repeat.as_secs());
    assert_eq!(repeats, [7_200, 60, 60]);
    assert!(!format!("{channels:?}").contains("hooks.example.com"));
}

#[test]
fn what_cannot_work_is_refused_without_secrets() {
    let rule = "[[alerts.rules]]\nseverity = \"warning\"\nfor = \"1m\"\n";
    let channel = "[[alerts.channels]]\nname = \"ops\"\n";
    let cases = [
        (format!("{rule}check = \"disk.fre\""), "[[alerts.rules]] disk.fre: there is no such check"),
        (
            format!("{rule}check = \"disk.free\"\nmargin = 90"),
            "[[alerts.rules]] disk.free: margin is a percentage",
        ),
        (
            format!("{rule}check = \"disk.free\"\n{rule}check = \"disk.free\""),
            "[[alerts.rules]] disk.free: there are two",
        ),
        (
            "[[alerts.rules]]\ncheck = \"disk.database_bytes\"\nseverity = \"warning\"".to_owned(),
            "[[alerts.rules]] disk.database_bytes: for is missing",
        ),
        (format!("{rule}check = \"disk.free\"\nfro = \"1m\""), "[alerts]: line 5: unknown field `fro`"),
        ("[alerts]\nrepeat = \"often\"".to_owned(), "[alerts]: line 2: expected a time such as"),
        (format!("{channel}kind = \"slack\""), "[[alerts.channels]] ops: url is missing"),
        (format!("{channel}kind = \"pagerduty\""), "[[alerts.channels]] ops: key is missing"),
        (
            format!("{channel}kind = \"slack\"\nurl = \"hush://s3cret\""),
            "[[alerts.channels]] ops: the url is no URL",
        ),
        (
            format!("{channel}kind = \"slack\"\nurl = \"https://u:s3cret@x/\""),
            "[[alerts.channels]] ops: the url is no URL",
        ),
        (
            format!("{channel}kind = \"slack\"\nurl = [\"https://s3cret\"]"),
            "[alerts]: line 4: a value of the wrong kind",
        ),
        (
            format!("{channel}kind = \"slack\"\nurl = \"https://x/\"\nkey = \"s3cret\""),
            "[[alerts.channels]] ops: key is for PagerDuty",
        ),
        (
            format!("{channel}kind = \"slack\"\nurl = \"https://x/\"\nurl_file = \"y\""),
            "[[alerts.channels]] ops: url and url_file are both there",
        ),
        (
            format!("{channel}kind = \"slack\"\nurl_file = \"none-there\""),
            "[[alerts.channels]] ops: cannot read url_file none-there",
        ),
        (format!("{channel}kind = \"slack\"\nurl = \"s3cret"), "[alerts]: line 4: "),
    ];
    for (text, expected) in cases {
        let error = refused(&text);
        assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
