//! The sample data and the load generator against a real PostgreSQL.

mod poolers;
mod verify;

use std::sync::atomic::AtomicBool;

use pgprime_cluster::{Cluster, ClusterOptions};
use pgprime_demo::{
    Address, Dataset, Limit, Server, Statements, TrafficOptions, load_sample_data, run_traffic,
};

const NOW_SECONDS: i64 = 1_800_000_000;
const CLIENTS: usize = 20;
const REQUESTS: u64 = 2_000;

fn options(statements: Statements, rate: Option<f64>) -> TrafficOptions {
    TrafficOptions { clients: CLIENTS, rate, limit: Limit::Requests(REQUESTS), statements, seed: 11 }
}

fn server(cluster: &Cluster) -> Server {
    Server {
        address: Address::loopback(cluster.primary().port()),
        user: "postgres".into(),
        password: None,
        database: "insurance".into(),
    }
}

#[test]
fn the_load_runs_on_the_sample_data_without_an_error() {
    let cluster = Cluster::start(&ClusterOptions::default()).expect("PostgreSQL is installed");
    cluster.primary().create_database("insurance").unwrap();
    let (server, data) = (server(&cluster), Dataset::new(0.002, 7, NOW_SECONDS));

    let mut steps = Vec::new();
    let mut observe = |step: &str, rows: u64| {
        steps.push((step.to_owned(), rows));
        Ok(())
    };
    load_sample_data(&server, &data, &mut observe).unwrap();
    assert_eq!(steps.last(), Some(&("statistics".to_owned(), data.counts.total())));

    let count = |sql: &str| cluster.primary().psql("insurance", sql).unwrap().trim().to_owned();
    let policies = "SELECT count(*) FROM policies";
    assert_eq!(count(policies), data.counts.policies.to_string());
    let busiest =
        "SELECT max(n) >= 4 * avg(n) FROM (SELECT count(*) AS n FROM quotes GROUP BY customer_id) AS q";
    assert_eq!(count(busiest), "t");
    let unbound =
        "SELECT count(*) FROM policies p JOIN quotes q ON q.id = p.quote_id WHERE q.status <> 'bound'";
    assert_eq!(count(unbound), "0");

    let stop = AtomicBool::new(false);
    for (statements, rate) in [(Statements::Named, None), (Statements::Unnamed, Some(5_000.0))] {
        let before: u64 = count(policies).parse().unwrap();
        let report = run_traffic(&server, &data, &options(statements, rate), &stop).unwrap();
        assert_eq!(report.errors.count, 0, "{:?}", report.errors);
        assert_eq!(report.requests, REQUESTS);
        assert_eq!(report.latency.count, REQUESTS);
        assert_eq!(report.kinds.iter().map(|kind| kind.count).sum::<u64>(), REQUESTS);
        assert!(report.kinds.iter().all(|kind| kind.count > 0), "{:?}", report.kinds);
        let bound = report.kinds.iter().find(|kind| kind.name == "bind policy").map(|kind| kind.count);
        assert_eq!(Some(count(policies).parse::<u64>().unwrap() - before), bound);
    }

    let failed =
        run_traffic(&server.with_database("nowhere"), &data, &options(Statements::Named, None), &stop);
    assert!(format!("{:#}", failed.unwrap_err()).contains("nowhere"));
}
