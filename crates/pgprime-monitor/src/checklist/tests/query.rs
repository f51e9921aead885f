use pgprime_advisor::slow::PoolerRepeat;

use super::*;
use crate::checklist::evidence::{IndexProblem, SuggestedIndex, SuggestedView};

fn suggested(saved_share: f64) -> SuggestedIndex {
    SuggestedIndex {
        table: "public.orders".to_owned(),
        saved_share,
        confidence: "likely".to_owned(),
        statements: vec!["CREATE INDEX CONCURRENTLY a ON public.orders (b);".to_owned()],
    }
}

#[test]
fn indexes_are_there() {
    let id = "query.indexes";
    let advised = |saved: f64, statements: usize| {
        found(id, |evidence| {
            evidence.advice = Ok(IndexAdvice { suggestions: vec![suggested(saved)], statements });
        })
    };
    expect(
        &advised(0.049, 5),
        Verdict::Met,
        "none that together would save 5.0 % of the cost of 5 statements",
    );
    let item = advised(0.05, 5);
    expect(&item, Verdict::NotMet, "1 index would save about 5.0 % of the cost");
    expect_fix(&item, FixKind::Sql, "CREATE INDEX CONCURRENTLY a");
    let several = |saved: f64, count: usize| {
        found(id, |evidence| {
            evidence.advice = Ok(IndexAdvice { suggestions: vec![suggested(saved); count], statements: 5 });
        })
    };
    expect(&several(0.02, 3), Verdict::NotMet, "3 indexes would save about 6.0 %");
    expect(&several(0.009, 10), Verdict::Met, "none");
    assert_eq!(advised(0.0, 0).verdict, Verdict::CannotTell);
    let problem = |statement: Option<&str>| {
        found(id, |evidence| {
            evidence.review = Ok(IndexReview {
                indexes: 3,
                problems: vec![IndexProblem {
                    problem: "invalid".to_owned(),
                    object: "public.a".to_owned(),
                    statement: statement.map(str::to_owned),
                }],
            });
        })
    };
    expect_fix(&problem(Some("REINDEX INDEX CONCURRENTLY public.a;")), FixKind::Sql, "REINDEX");
    expect_fix(&problem(None), FixKind::Command, "pgprime indexes");
    let item = found(id, |evidence| {
        evidence.advice = Ok(IndexAdvice { suggestions: vec![suggested(0.5)], statements: 1 });
        evidence.server.in_recovery = true;
    });
    expect_fix(&item, FixKind::Advice, "on the primary: CREATE INDEX");
}

fn read(text: &str, calls: f64) -> Statement {
    Statement {
        query_id: "7".to_owned(),
        text: text.to_owned(),
        kind: StatementKind::Read,
        calls,
        ..Statement::default()
    }
}

#[test]
fn slow_statements_are_told() {
    for (exec_ms, kind, verdict) in [
        (10_000.0, StatementKind::Read, Verdict::NotMet),
        (9_999.0, StatementKind::Read, Verdict::Met),
        (10_000.0, StatementKind::Other, Verdict::Met),
    ] {
        let item = found("query.slow", |evidence| {
            add(evidence, Statement { exec_ms, kind, ..read("SELECT * FROM reports", 10.0) });
        });
        assert_eq!(item.verdict, verdict, "{exec_ms}: {item:?}");
        if verdict == Verdict::NotMet {
            expect_fix(&item, FixKind::Command, "pgprime analyze --query-id 7");
        }
    }
    let item =
        found("query.slow", |evidence| change_workload(evidence, |workload| workload.statements.clear()));
    expect(&item, Verdict::CannotTell, "no statement is counted yet");
}

#[test]
fn statements_of_other_roles_leave_it_open() {
    for id in ["query.slow", "query.indexes", "query.views", "query.pagination"] {
        let item = found(id, |evidence| change_workload(evidence, |workload| workload.hidden = 3));
        assert!(
            item.verdict == Verdict::CannotTell && item.why.contains("3 statements of other roles"),
            "{item:?}"
        );
        expect_fix(&item, FixKind::Sql, "GRANT pg_monitor TO");
    }
}

#[test]
fn loops_are_seen_by_the_pooler_alone() {
    let id = "query.n_plus_one";
    let seen = |text: &str, longest: u64| {
        found(id, |evidence| {
            let repeat = PoolerRepeat {
                text: text.to_owned(),
                parent_text: Some("SELECT id FROM orders".to_owned()),
                longest,
                executions: 1_000,
                ..PoolerRepeat::default()
            };
            evidence
                .pooling
                .iter_mut()
                .flatten()
                .for_each(|pooling| pooling.repeats = Some(vec![repeat.clone()]));
        })
    };
    expect(&seen("SELECT * FROM lines WHERE id = $1", 9), Verdict::Met, "no client");
    let item = seen("SELECT * FROM lines WHERE id = $1", 10);
    expect(&item, Verdict::NotMet, "up to 10 times in a row, 1,000 times in all");
    expect_fix(&item, FixKind::Advice, "SELECT id FROM orders");
    assert_eq!(seen("INSERT INTO lines VALUES ($1)", 10).verdict, Verdict::Met);
    assert_eq!(seen("é", 10).verdict, Verdict::Met);
    for hint in [None, Some("this ran as often as that".to_owned())] {
        let item = found(id, |evidence| {
            evidence.pooling = None;
            change_workload(evidence, |workload| workload.repeated = hint.clone());
        });
        assert_eq!(item.verdict, Verdict::CannotTell, "{item:?}");
    }
}

#[test]
fn aggregations_have_views() {
    expect(&found("query.views", |_| {}), Verdict::Met, "no materialized view");
    let item = found("query.views", |evidence| {
        let view = SuggestedView {
            name: "quotes_by_day".to_owned(),
            saved_ms_per_hour: 60_000.0,
            query_ms: 100.0,
            calls_per_hour: 600.0,
        };
        evidence.views = Ok(Views { materialized: 2, suggestions: vec![view] });
    });
    expect(&item, Verdict::NotMet, "quotes_by_day would save 60 s");
}

#[test]
fn results_are_paged() {
    let id = "query.pagination";
    let page = "SELECT * FROM orders ORDER BY id OFFSET $1 LIMIT $2";
    for (text, calls, rows, blocks, verdict) in [
        (page, 10.0, 20.0, 500.0, Verdict::NotMet),
        (page, 10.0, 20.0, 499.0, Verdict::Met),
        (page, 10.0, 50.0, 999.0, Verdict::Met),
        (page, 10.0, 50.0, 1_000.0, Verdict::NotMet),
        (page, 9.0, 20.0, 5_000.0, Verdict::Met),
        ("SELECT offsets FROM orders LIMIT $1", 10.0, 20.0, 5_000.0, Verdict::Met),
        ("SELECT * FROM orders", 10.0, 10_001.0, 100.0, Verdict::NotMet),
        ("SELECT * FROM orders", 10.0, 10_000.0, 100.0, Verdict::Met),
        ("SELECT * FROM orders LIMIT $1", 10.0, 50_000.0, 100.0, Verdict::Met),
    ] {
        let item = found(id, |evidence| {
            add(evidence, Statement { rows: calls * rows, blocks: calls * blocks, ..read(text, calls) });
        });
        assert_eq!(item.verdict, verdict, "{text} {calls} {rows} {blocks}: {item:?}");
    }
    let item =
        found(id, |evidence| change_workload(evidence, |workload| workload.statements[0].calls = 999.0));
    assert_eq!(item.verdict, Verdict::CannotTell, "{item:?}");
}
