//! What a scheduler does, and leaves, in one round after another.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pgprime_cluster::{Cluster, ClusterOptions};
use pgprime_views::{
    Decision, Held, Hold, Policy, PoolerWait, PressureCause, RefreshOutcome, Round, Scheduler, decision_text,
    history, status,
};

use crate::harness::{DAILY, Database, age, declared, name};

async fn round(database: &Database<'_>, toml: &str, policy: Policy) -> Round {
    Scheduler::new(declared(toml), policy).round(&database.client).await.unwrap()
}

fn refreshed(round: &Round) -> Vec<String> {
    let name = |outcome: &RefreshOutcome| match outcome {
        RefreshOutcome::Refreshed(done) => format!("{} {}", done.view, done.reason.as_str()),
        other => format!("{other:?}"),
    };
    round.outcomes.iter().map(name).collect()
}

#[tokio::test]
async fn what_is_due_is_refreshed_if_something_changed() {
    let database = Database::new("due").await;
    database.made(DAILY).await;
    let first = round(&database, DAILY, Policy::default()).await;
    assert!(first.outcomes.is_empty() && first.skipped.is_empty(), "{first:?}");
    assert_eq!(first.idle, Duration::from_secs(30));

    database.psql("DELETE FROM orders WHERE id = 2").await;
    age(&database, "16 minutes").await;
    assert_eq!(refreshed(&round(&database, DAILY, Policy::default()).await), ["public.daily schedule"]);
    age(&database, "16 minutes").await;
    let unchanged = round(&database, DAILY, Policy::default()).await;
    assert_eq!((unchanged.outcomes.len(), unchanged.skipped), (0, vec![name("daily")]));
    // Noted, so that the next round is quiet, on any instance.
    assert!(round(&database, DAILY, Policy::default()).await.skipped.is_empty());
    database.psql("DELETE FROM orders WHERE id = 1").await;
    assert!(round(&database, DAILY, Policy::default()).await.outcomes.is_empty());
    age(&database, "16 minutes").await;
    assert_eq!(refreshed(&round(&database, DAILY, Policy::default()).await), ["public.daily schedule"]);
}

#[tokio::test]
async fn a_budget_of_changes_does_not_wait_for_the_schedule() {
    let database = Database::new("budget").await;
    let toml = format!("{DAILY}staleness = {{ changes_max = 10 }}");
    database.made(&toml).await;
    age(&database, "16 minutes").await;
    round(&database, &toml, Policy::default()).await;
    database.psql("DELETE FROM orders WHERE id <= 8").await;
    assert!(refreshed(&round(&database, &toml, Policy::default()).await).is_empty());
    database.psql("DELETE FROM orders WHERE id = 9").await;
    assert_eq!(refreshed(&round(&database, &toml, Policy::default()).await), ["public.daily changes"]);
}

#[tokio::test]
async fn views_on_views_follow_in_one_round() {
    let database = Database::new("chain").await;
    let toml = format!(
        "[[views]]\nname = 'a_total'\nsql = 'SELECT sum(amount) AS amount FROM daily'\nstaleness = {{ changes_max = 1 }}\n{DAILY}"
    );
    database.made(&toml).await;
    age(&database, "16 minutes").await;
    round(&database, &toml, Policy::default()).await;
    database.client.batch_execute("REFRESH MATERIALIZED VIEW a_total").await.unwrap();
    database.psql("UPDATE orders SET amount = 0 WHERE id = 1").await;
    age(&database, "16 minutes").await;
    // The counts of the refresh of the first reach the statistics when its session is idle; another round sees them.
    // Before version 15 those of its making may come as late.
    let follows = |seen: &[String]| {
        let mut later = seen.iter().skip_while(|one| *one != "public.daily schedule");
        later.any(|one| one.starts_with("public.a_total"))
    };
    let mut seen = Vec::new();
    for _ in 0..10_000 {
        if follows(&seen) {
            break;
        }
        seen.extend(refreshed(&round(&database, &toml, Policy::default()).await));
    }
    assert!(follows(&seen), "{seen:?}");
}

#[tokio::test]
async fn what_keeps_failing_is_reported_and_left() {
    let database = Database::new("failing").await;
    let toml = "[[views]]\nname = 'v'\nsql = 'SELECT max(amount) AS m FROM orders WHERE 10 / id > 0 OR true'\nschedule = '1m'";
    database.made(&toml.replace(" OR true", "")).await;
    let toml = toml.replace(" OR true", "");
    database.psql("INSERT INTO orders VALUES (0, '2025-01-01', 1)").await;
    for failures in 1..=5 {
        age(&database, "2 hours").await;
        let round = round(&database, &toml, Policy::default()).await;
        let [RefreshOutcome::Failed { error, failures: counted, is_failing, .. }] = round.outcomes.as_slice()
        else {
            panic!("{round:?} is not one failure");
        };
        assert!(error.contains("division by zero"), "{error}");
        assert_eq!((*counted, *is_failing), (failures, failures == 5));
    }
    age(&database, "2 hours").await;
    assert!(round(&database, &toml, Policy::default()).await.outcomes.is_empty());
    let seen = status(&database.client, &declared(&toml), &Policy::default()).await.unwrap();
    assert!(!seen.is_well() && seen.views[0].is_failing);
    assert!(
        matches!(seen.views[0].next, Decision::Wait { because: Hold::Failing { failures: 5 }, .. }),
        "{seen:?}"
    );
    assert_eq!(
        history(&database.client, None, 100).await.unwrap().iter().filter(|entry| !entry.ok).count(),
        5
    );

    // Repaired, it is well again at its next try.
    database.psql("DELETE FROM orders WHERE id = 0").await;
    age(&database, "6 hours").await;
    assert_eq!(refreshed(&round(&database, &toml, Policy::default()).await), ["public.v retry"]);
    assert!(status(&database.client, &declared(&toml), &Policy::default()).await.unwrap().is_well());
}

#[tokio::test]
async fn a_table_that_is_altered_under_the_view() {
    let database = Database::new("altered").await;
    database.psql("CREATE FUNCTION total(o orders) RETURNS numeric LANGUAGE plpgsql STABLE AS 'BEGIN RETURN o.amount; END'").await;
    let toml = "[[views]]\nname = 'v'\nsql = 'SELECT sum(total(o)) AS t FROM orders o'\nschedule = '1m'";
    database.made(toml).await;
    // PostgreSQL itself protects the columns that a view names; what a function names, it does not.
    assert!(database.client.batch_execute("ALTER TABLE orders DROP COLUMN amount").await.is_ok());
    age(&database, "2 minutes").await;
    let failed = round(&database, toml, Policy::default()).await;
    assert!(
        matches!(&failed.outcomes[..], [RefreshOutcome::Failed { error, .. }] if error.contains("amount")),
        "{failed:?}"
    );
    assert_eq!(database.ask::<i64>("SELECT count(*) FROM v").await, 1);
}

#[tokio::test]
async fn a_view_dropped_by_hand_is_said_and_stops_nothing() {
    let database = Database::new("dropped").await;
    let toml = format!("[[views]]\nname = 'other'\nsql = 'SELECT 1 AS a'\nschedule = '1m'\n{DAILY}");
    database.made(&toml).await;
    database.psql("DROP MATERIALIZED VIEW daily").await;
    age(&database, "16 minutes").await;
    let seen = round(&database, &toml, Policy::default()).await;
    assert_eq!(
        (refreshed(&seen), seen.missing),
        (vec!["public.other schedule".to_owned()], vec![name("daily")])
    );
    // Made again by hand, its age is not that of the one before.
    database
        .psql("CREATE MATERIALIZED VIEW daily AS SELECT day, sum(amount) AS amount FROM orders GROUP BY day")
        .await;
    assert_eq!(refreshed(&round(&database, &toml, Policy::default()).await), ["public.daily first"]);
}

/// The only view, held back, and by what.
async fn held(database: &Database<'_>, policy: &Policy) -> Option<PressureCause> {
    let round = round(database, DAILY, policy.clone()).await;
    assert!(round.outcomes.is_empty() || round.held.is_empty(), "{round:?}");
    let cause = round.held.into_iter().next().map(|held| held.cause);
    let seen = status(&database.client, &declared(DAILY), policy).await.unwrap().views.remove(0);
    let said = decision_text(Timestamp::now(), &seen.next);
    assert!(cause.as_ref().is_none_or(|cause| said.contains(&cause.to_string())), "{said}");
    cause
}

#[tokio::test]
async fn under_pressure_what_can_wait_does() {
    // Other tests' sessions are at work, too, so this one has a server of its own.
    let cluster = Cluster::start(&ClusterOptions::default()).unwrap();
    let database = Database::on(cluster.primary(), cluster.test_database("pressed").unwrap()).await;
    database.made(DAILY).await;
    database.psql("DELETE FROM orders WHERE id = 2; CREATE TABLE held (id int)").await;
    age(&database, "16 minutes").await;
    let policy = Policy { active_max: Some(1), ..Policy::default() };
    let holder = database.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE held").await.unwrap();
    // One session at work is fine, and one that thinks about its open transaction is none.
    let mut busy = Vec::new();
    for at_work in 1..=2 {
        let session = database.session().await;
        busy.push(tokio::spawn(async move { session.batch_execute("SELECT * FROM held").await }));
        let waiting = "SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass AND NOT granted";
        database.wait(&format!("SELECT ({waiting}) = {at_work}")).await;
        if at_work == 1 {
            let calm = Policy { active_max: Some(1), failures_max: 1, ..Policy::default() };
            let seen = status(&database.client, &declared(DAILY), &calm).await.unwrap();
            assert!(matches!(seen.views[0].next, Decision::Refresh { .. }), "{seen:?}");
        }
    }
    assert_eq!(held(&database, &policy).await, Some(PressureCause::Sessions { active: 2, active_max: 1 }));
    // A role that may not see what others do counts their transactions.
    let role = format!("{}_app", database.name);
    database
        .psql(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA pgprime TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA pgprime TO {role}; GRANT SELECT ON daily, orders TO {role}"
        ))
        .await;
    let blind = database.session_as(&role).await;
    let seen = status(&blind, &declared(DAILY), &policy).await.unwrap();
    assert!(matches!(seen.views[0].next, Decision::Wait { because: Hold::Pressure { .. }, .. }), "{seen:?}");

    // Without a budget it waits for one round of its schedule.
    age(&database, "15 minutes").await;
    assert_eq!(refreshed(&round(&database, DAILY, policy).await), ["public.daily schedule"]);
    holder.batch_execute("COMMIT").await.unwrap();
    for session in busy {
        session.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_standby_that_is_behind_and_clients_that_wait_are_pressure() {
    let options =
        ClusterOptions::default().with_replicas(1).with_setting("wal_receiver_status_interval", "1s");
    let cluster = Cluster::start(&options).unwrap();
    let database = Database::on(cluster.primary(), cluster.test_database("lagging").unwrap()).await;
    database.made(DAILY).await;
    database.psql("DELETE FROM orders WHERE id = 2").await;
    age(&database, "16 minutes").await;

    let waits = PoolerWait { pool: "shop/app".to_owned(), waited: Duration::from_secs(2) };
    let (seen, scheduler) = (waits.clone(), Scheduler::new(declared(DAILY), Policy::default()));
    let scheduler = scheduler.with_waiting(Arc::new(move || Some(seen.clone())));
    let round = scheduler.round(&database.client).await.unwrap();
    assert_eq!(round.held, [Held { view: name("daily"), cause: PressureCause::Pooler(waits) }]);

    cluster.wait_for_replay().unwrap();
    let replica = cluster.replicas()[0].psql("postgres", "SELECT pg_wal_replay_pause()");
    replica.unwrap();
    let policy = Policy { lag_max: Duration::from_millis(100), ..Policy::default() };
    age(&database, "0 minutes").await;
    database.wait("SELECT coalesce(max(replay_lag) > '200 ms', false) FROM pg_stat_replication").await;
    let cause = held(&database, &policy).await;
    assert!(matches!(&cause, Some(PressureCause::Standby(lag)) if !lag.name.is_empty()), "{cause:?}");
    assert!(cause.is_some_and(|cause| cause.to_string().contains("behind")));
    cluster.replicas()[0].psql("postgres", "SELECT pg_wal_replay_resume()").unwrap();
    database.wait("SELECT coalesce(max(replay_lag) < '100 ms', true) FROM pg_stat_replication").await;
    assert_eq!(refreshed(&self::round(&database, DAILY, policy).await), ["public.daily schedule"]);
}

#[tokio::test]
async fn a_scheduler_that_is_dropped_leaves_nothing_running() {
    let database = Database::new("cancelled").await;
    database.made(DAILY).await;
    database.psql("DELETE FROM orders WHERE id = 2").await;
    age(&database, "16 minutes").await;
    let holder = database.session().await;
    holder.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (node, name) = (database.node, database.name.clone());
    let scheduler = Scheduler::new(declared(DAILY), Policy::default());
    let running = tokio::spawn(async move {
        let connect = || {
            let config: tokio_postgres::Config = node.url(&name).parse().unwrap();
            async move {
                let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
                tokio::spawn(connection);
                Ok::<_, tokio_postgres::Error>(client)
            }
        };
        scheduler.run(connect, |_| {}).await
    });
    database
        .wait("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted)")
        .await;
    running.abort();
    assert!(running.await.is_err());
    holder.batch_execute("ROLLBACK").await.unwrap();
    database.wait("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'REFRESH%')").await;
    let again = round(&database, DAILY, Policy::default()).await;
    assert!(matches!(&again.outcomes[..], [RefreshOutcome::Refreshed(_)] | []), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_refresh_once() {
    let database = Database::new("two").await;
    database.made(DAILY).await;
    for turn in 1..=10 {
        database.psql("UPDATE orders SET amount = amount + 1 WHERE id = 1").await;
        age(&database, "16 minutes").await;
        let (first, second) = (database.session().await, database.session().await);
        let scheduler = Scheduler::new(declared(DAILY), Policy::default());
        let (one, other) = tokio::join!(scheduler.round(&first), scheduler.round(&second));
        let done = [one.unwrap(), other.unwrap()].into_iter().flat_map(|round| round.outcomes);
        let refreshed = done.filter(|outcome| matches!(outcome, RefreshOutcome::Refreshed(_))).count();
        assert_eq!(refreshed, 1, "turn {turn}");
    }
    let entries = history(&database.client, None, 100).await.unwrap();
    assert_eq!(
        entries.iter().filter(|entry| entry.ok && entry.reason == "schedule").count(),
        10,
        "{entries:?}"
    );
}
