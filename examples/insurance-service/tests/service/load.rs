//! Many users at once.

use std::collections::BTreeSet;

use serde_json::Value;
use tokio::task::JoinSet;

use crate::service::{CLUSTER, Service, TableLock, User, config, id};

const USERS: u32 = 100;
const ROUNDS: u32 = 3;

/// What a user does, with every answer compared; reads follow their writes although they may run on the replica.
async fn round(user: &mut User) -> i64 {
    let key = user.next_key();
    let quote = user.ask_quote(&key).await.json(201);
    assert_eq!(quote["premium_cents"], 73_500);
    assert_eq!(user.ask_quote(&key).await.json(200), quote, "the same request gives the same quote");
    let quote_id = id(&quote);
    assert_eq!(user.get(&format!("/quotes/{quote_id}")).await.json(200), quote);

    let policy = loop {
        let answer = user.bind(quote_id).await;
        // Serializable transactions of strangers may conflict; then they are told to come back, and can.
        if answer.status != 503 {
            break answer.json(201);
        }
        assert_eq!(answer.json(503)["type"], "/problems/contention");
    };
    assert_eq!((&policy["quote_id"], &policy["status"]), (&quote["id"], &Value::from("active")));
    assert_eq!(user.get(&format!("/policies/{}", id(&policy))).await.json(200), policy);
    assert_eq!(user.get(&format!("/quotes/{quote_id}")).await.json(200)["status"], "bound");
    assert_eq!(user.bind(quote_id).await.json(200), policy, "a quote has one policy");

    let newest = user.get(&format!("/customers/{}/policies?limit=1", user.customer_id())).await.json(200);
    assert_eq!(newest[0], policy);
    // Nothing of one's own has to be in these, so they come from the replica.
    user.client.get("/policies?status=active&limit=5").await.json(200);
    user.client.get("/quotes/999999999").await.json(404);
    id(&policy)
}

/// Lets many users do this; what each came to.
async fn all_users(service: &Service, users: u32, rounds: u32) -> Vec<i64> {
    let mut tasks = JoinSet::new();
    for number in 0..users {
        let mut user = service.user(format!("user{number}"));
        tasks.spawn(async move {
            user.register().await;
            let mut policies = Vec::new();
            for _ in 0..rounds {
                policies.push(round(&mut user).await);
            }
            policies
        });
    }
    tasks.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_answers_are_right() {
    let cluster = CLUSTER.cluster();
    let (database, mut config) =
        config(cluster, &[("DATABASE_POOL_MAX", "8"), ("DATABASE_POOL_TIMEOUT", "60")]);
    config.read_url = Some(cluster.replicas()[0].url(&database));
    let service = Service::start(cluster, config).await;
    let policies = all_users(&service, USERS, ROUNDS).await;

    let numbers: BTreeSet<i64> = policies.iter().copied().collect();
    assert_eq!(numbers.len(), (USERS * ROUNDS) as usize, "policy numbers are unique");
    cluster.wait_for_replay().expect("the replica follows");
    assert_eq!(pages(&service).await, numbers.iter().rev().copied().collect::<Vec<_>>());
    let csv = service.client().get("/quotes.csv").await;
    assert_eq!((csv.status, csv.text().lines().count()), (200, numbers.len() + 1));
    let dashboard = service.client().get("/admin/dashboard").await.json(200);
    assert_eq!((&dashboard[0]["product"], &dashboard[0]["policies"]), (&"car".into(), &numbers.len().into()));

    let report = service.client().get("/pool").await.json(200);
    for role in ["main", "read", "admin"] {
        let pool = &report[role]["pool"];
        assert_eq!(pool["exhausted_total"], 0, "{pool:#}");
        assert!(pool["opened_total"].as_u64() <= Some(8), "{pool:#}");
    }
    assert!(report["read"]["pool"]["acquired_total"].as_u64() > Some(u64::from(USERS)), "{report:#}");
    service.stop(cluster, &database).await;
}

/// The policies of all pages, as `next` leads from one to the other.
async fn pages(service: &Service) -> Vec<i64> {
    let (mut client, mut ids) = (service.client(), Vec::new());
    let mut next = Some("/policies?status=active&limit=70".to_owned());
    while let Some(path) = next {
        let page = client.get(&path).await.json(200);
        ids.extend(page["policies"].as_array().expect("a list").iter().map(id));
        next = page["next"].as_str().map(str::to_owned);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_pool_says_so_and_recovers() {
    let cluster = CLUSTER.cluster();
    // Both connections are open before the table is locked, which keeps others from preparing statements on it.
    let variables =
        [("DATABASE_POOL_MIN", "2"), ("DATABASE_POOL_MAX", "2"), ("DATABASE_POOL_TIMEOUT", "0.3")];
    let (database, mut config) = config(cluster, &variables);
    // The two that hold the connections must outlast the others on a slow machine, too.
    config.statement_timeout = std::time::Duration::from_secs(60);
    let url = config.url.clone();
    let service = Service::start(cluster, config).await;
    let mut user = service.user("first");
    user.register().await;
    let quote_id = id(&user.ask_quote("first").await.json(201));

    let lock = TableLock::take(&url, "quotes").await;
    let mut readers = JoinSet::new();
    for _ in 0..50 {
        let mut client = service.client();
        readers.spawn(async move { client.get(&format!("/quotes/{quote_id}")).await });
    }
    for _ in 0..48 {
        let answer = readers.join_next().await.expect("is asked").expect("does not panic");
        let problem = answer.json(503);
        assert_eq!((answer.header("retry-after"), &problem["type"]), (Some("1"), &"/problems/busy".into()));
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    let report = service.pool_once(|report| report["main"]["pool"]["busy"] == 2).await;
    let pool = &report["main"]["pool"];
    let holders: Vec<&str> =
        pool["holders"].as_array().expect("a list").iter().filter_map(|it| it["taken_at"].as_str()).collect();
    assert!(holders.len() == 2 && holders.iter().all(|at| at.contains("src/quotes.rs:")), "{report:#}");
    assert!(pool["exhausted_total"].as_u64() >= Some(48), "{report:#}");
    service.client().get("/healthz").await.json(204);
    service.client().get("/readyz").await.json(204);

    drop(lock);
    while let Some(answer) = readers.join_next().await {
        assert_eq!(id(&answer.expect("does not panic").json(200)), quote_id);
    }
    service.pool_once(|report| report["main"]["pool"]["busy"] == 0).await;
    service.client().get(&format!("/quotes/{quote_id}")).await.json(200);
    service.stop(cluster, &database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_take_nothing_from_the_service() {
    let cluster = CLUSTER.cluster();
    let (database, mut config) =
        config(cluster, &[("DATABASE_POOL_MAX", "4"), ("DATABASE_POOL_TIMEOUT", "60")]);
    config.admin.size = Some(2);
    let url = config.url.clone();
    let service = Service::start(cluster, config).await;
    // Only the dashboard reads claims.
    let lock = TableLock::take(&url, "claims").await;
    let mut reports = JoinSet::new();
    for _ in 0..20 {
        let mut client = service.client();
        reports.spawn(async move { client.get("/admin/dashboard").await });
    }
    let is_full =
        |report: &Value| report["admin"]["pool"]["busy"] == 2 && report["admin"]["pool"]["waiting"] == 18;
    service.pool_once(is_full).await;
    let policies = all_users(&service, 20, 1).await;
    assert_eq!(policies.len(), 20);
    let report = service.pool_once(is_full).await;
    assert_eq!(report["main"]["pool"]["exhausted_total"], 0, "{report:#}");

    drop(lock);
    for answer in reports.join_all().await {
        assert_eq!(answer.json(200)[0]["policies"], 20);
    }
    service.stop(cluster, &database).await;
}
