use super::*;

fn changed(id: &str, change: fn(&mut Running)) -> Item {
    found(id, |evidence| evidence.running.iter_mut().for_each(change))
}

#[test]
fn what_only_a_running_monitor_knows() {
    for id in ["monitoring.health", "monitoring.alerts", "monitoring.trends", "monitoring.indexes"] {
        let item = found(id, |evidence| evidence.running = None);
        assert!(item.verdict == Verdict::CannotTell && item.why.contains("pgprime run"), "{item:?}");
    }
}

#[test]
fn somebody_looks_and_is_told() {
    let id = "monitoring.health";
    expect(&changed(id, |running| running.health_at = Some(before(300))), Verdict::Met, "5 min ago");
    expect(&changed(id, |running| running.health_at = Some(before(301))), Verdict::NotMet, "ago");
    expect(&changed(id, |running| running.health_at = None), Verdict::NotMet, "nobody");
    let id = "monitoring.alerts";
    expect(&found(id, |_| {}), Verdict::Met, "1 rule (connections.used), told to team");
    expect(&changed(id, |running| running.alerting = None), Verdict::NotMet, "no alerts");
    let item =
        changed(id, |running| running.alerting.iter_mut().for_each(|alerting| alerting.channels.clear()));
    expect_fix(&item, FixKind::Setting, "[[alerts");
    let item =
        changed(id, |running| running.alerting.iter_mut().for_each(|alerting| alerting.checks.clear()));
    expect(&item, Verdict::NotMet, "no rule");
}

#[test]
fn what_was_is_recorded() {
    let id = "monitoring.trends";
    let recorded = |length: i64, age: i64| {
        found(id, |evidence| {
            let recorded = Recorded { first_at: before(age + length), last_at: before(age) };
            evidence.running.iter_mut().for_each(|running| running.statements = Some(recorded));
        })
    };
    assert_eq!(recorded(86_400, 3_600).verdict, Verdict::Met);
    assert_eq!(recorded(86_400, 3_601).verdict, Verdict::NotMet);
    assert_eq!(recorded(86_399, 0).verdict, Verdict::CannotTell);
    assert_eq!(changed(id, |running| running.statements = None).verdict, Verdict::NotMet);
    let id = "monitoring.indexes";
    let day = 86_400;
    for (age, verdict) in [(35 * day, Verdict::Met), (35 * day + 1, Verdict::NotMet)] {
        let item = found(id, |evidence| {
            evidence.running.iter_mut().for_each(|running| running.indexes_reviewed_at = Some(before(age)));
        });
        assert_eq!(item.verdict, verdict, "{item:?}");
    }
    assert_eq!(changed(id, |running| running.indexes_reviewed_at = None).verdict, Verdict::NotMet);
}

#[test]
fn lag_is_watched_where_there_are_replicas() {
    let id = "monitoring.replication";
    expect(&found(id, |evidence| evidence.replicas = 0), Verdict::Met, "nothing can lag");
    expect(
        &found(id, |evidence| evidence.replicas = 2),
        Verdict::Met,
        "2 replicas, watched by replication.lag_s",
    );
    let item = found(id, |evidence| {
        evidence.replicas = 2;
        evidence.running.iter_mut().for_each(|running| running.checks.clear());
    });
    expect(&item, Verdict::NotMet, "no check is about lag");
    let item = found(id, |evidence| {
        (evidence.server.in_recovery, evidence.running) = (true, None);
    });
    expect(&item, Verdict::CannotTell, "this server is a replica");
}
