use pgprime_advisor::slow::PoolerRepeat;

use super::*;

fn change_pooling(evidence: &mut Evidence, change: fn(&mut Pooling)) {
    evidence.pooling.iter_mut().flatten().for_each(change);
}

#[test]
fn connections_are_pooled() {
    let id = "application.pooling";
    expect(&found(id, |_| {}), Verdict::Met, "pgprime serves 500 clients with 20 servers");
    let item = found(id, |evidence| {
        change_pooling(evidence, |pooling| "session".clone_into(&mut pooling.report.pools[0].mode));
    });
    expect_fix(&item, FixKind::Setting, "pool_mode = transaction");
    for (total, idle, verdict) in [
        (50, 35, Verdict::NotMet),
        (50, 34, Verdict::CannotTell),
        (49, 49, Verdict::CannotTell),
        (0, 0, Verdict::CannotTell),
    ] {
        let item = found(id, |evidence| {
            evidence.pooling = None;
            evidence.sessions = Connections { total, idle, ..Connections::default() };
        });
        assert_eq!(item.verdict, verdict, "{total} {idle}: {item:?}");
    }
}

fn report(text: &str, calls: f64, mean_ms: f64) -> Statement {
    Statement {
        text: text.to_owned(),
        kind: StatementKind::Read,
        calls,
        exec_ms: calls * mean_ms,
        ..Statement::default()
    }
}

#[test]
fn results_are_cached() {
    let id = "application.caching";
    let cached = |hits| {
        found(id, |evidence| {
            evidence.running.iter_mut().for_each(|running| {
                running.caching = Some(Caching { requests: 100, hits });
            })
        })
    };
    expect(&cached(20), Verdict::Met, "20 % of 100");
    expect(&cached(19), Verdict::NotMet, "19 % of 100");
    for (text, calls, mean_ms, verdict) in [
        ("SELECT sum(premium) FROM quotes", 60.0, 5.0, Verdict::NotMet),
        ("SELECT sum(premium) FROM quotes", 59.0, 5.0, Verdict::CannotTell),
        ("SELECT sum(premium) FROM quotes", 60.0, 4.9, Verdict::CannotTell),
        ("SELECT sum(premium) FROM quotes WHERE kind = $1", 60.0, 5.0, Verdict::CannotTell),
        ("SELECT * FROM pg_stat_activity", 60.0, 5.0, Verdict::CannotTell),
    ] {
        let item = found(id, |evidence| {
            evidence.running = None;
            add(evidence, report(text, calls, mean_ms));
        });
        assert_eq!(item.verdict, verdict, "{text} {calls} {mean_ms}: {item:?}");
    }
}

#[test]
fn statements_are_prepared() {
    let id = "application.prepared_statements";
    let parsed = |parses| {
        found(id, |evidence| {
            evidence
                .pooling
                .iter_mut()
                .flatten()
                .for_each(|pooling| (pooling.parses, pooling.binds) = (Some(parses), Some(1_000)));
        })
    };
    expect(&parsed(500), Verdict::Met, "500 statements parsed for 1,000 executions");
    expect(&parsed(501), Verdict::NotMet, "501 statements");
    let planned = |calls, plans| {
        found(id, |evidence| {
            evidence.pooling = None;
            change_workload(evidence, |workload| {
                (workload.statements[0].calls, workload.statements[0].plans) = (calls, plans);
            });
        })
    };
    assert_eq!(planned(1_000.0, 500.0).verdict, Verdict::Met);
    assert_eq!(planned(1_000.0, 501.0).verdict, Verdict::NotMet);
    assert_eq!(planned(999.0, 999.0).verdict, Verdict::CannotTell);
    let item = found(id, |evidence| {
        evidence.pooling = None;
        change_workload(evidence, |workload| workload.counts_planning = false);
    });
    expect(&item, Verdict::CannotTell, "neither planning nor preparing");
}

fn insert(calls: f64, rows: f64) -> Statement {
    Statement {
        text: "INSERT INTO events VALUES ($1)".to_owned(),
        kind: StatementKind::Insert,
        calls,
        rows,
        ..Statement::default()
    }
}

#[test]
fn writes_are_batched() {
    let id = "application.batching";
    for (calls, rows, verdict) in [
        (180_000.0, 180_000.0, Verdict::NotMet),
        (179_000.0, 179_000.0, Verdict::Met),
        (180_000.0, 1_800_000.0, Verdict::Met),
    ] {
        let item = found(id, |evidence| {
            evidence.pooling = None;
            add(evidence, insert(calls, rows));
        });
        assert_eq!(item.verdict, verdict, "{calls} {rows}: {item:?}");
    }
    let item = found(id, |evidence| {
        evidence.pooling = None;
        change_workload(evidence, |workload| workload.statements.clear());
    });
    assert_eq!(item.verdict, Verdict::CannotTell, "{item:?}");
    for (text, longest, verdict) in [
        ("INSERT INTO events VALUES ($1)", 10, Verdict::NotMet),
        ("INSERT INTO events VALUES ($1)", 9, Verdict::Met),
        ("SELECT * FROM events WHERE id = $1", 10, Verdict::Met),
    ] {
        let item = found(id, |evidence| {
            let repeat =
                PoolerRepeat { text: text.to_owned(), longest, executions: 500, ..PoolerRepeat::default() };
            evidence
                .pooling
                .iter_mut()
                .flatten()
                .for_each(|pooling| pooling.repeats = Some(vec![repeat.clone()]));
        });
        assert_eq!(item.verdict, verdict, "{text} {longest}: {item:?}");
    }
}

#[test]
fn read_heavy_load_has_replicas() {
    for (reads, busy, replicas, cores, verdict) in [
        (0.79, 8.0, 0, Some(8), Verdict::Met),
        (0.8, 3.9, 0, Some(8), Verdict::Met),
        (0.8, 4.0, 0, Some(8), Verdict::NotMet),
        (0.8, 4.0, 1, Some(8), Verdict::Met),
        (0.8, 0.9, 0, None, Verdict::Met),
        (0.8, 1.0, 0, None, Verdict::CannotTell),
    ] {
        let item = found("application.replicas", |evidence| {
            (evidence.replicas, evidence.machine.cores) = (replicas, cores);
            change_workload(evidence, |workload| {
                (workload.read_time_share, workload.busy_connections_mean) = (Some(reads), busy);
            });
        });
        assert_eq!(item.verdict, verdict, "{reads} {busy} {replicas}: {item:?}");
    }
    let item = found("application.replicas", |evidence| {
        change_workload(evidence, |workload| workload.read_time_share = None);
    });
    assert_eq!(item.verdict, Verdict::CannotTell, "{item:?}");
}
