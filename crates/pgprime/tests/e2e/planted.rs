//! Advice finds the indexes that the sample data lacks on purpose.

use pgprime_advisor::indexes::{AdviceOptions, Workload, advise};
use pgprime_demo::{Address, Dataset, Server, load_sample_data, planted_indexes};

use crate::harness::{Client, cluster, run};

/// 200,000 rows: fewer are read as quickly without an index.
const SCALE: f64 = 0.2;
const NOW_SECONDS: i64 = 1_800_000_000;

#[test]
fn advice_finds_every_planted_index() {
    let (node, database) = (cluster().primary(), cluster().test_database("planted").unwrap());
    let server = Server {
        address: Address::loopback(node.port()),
        user: "postgres".into(),
        password: None,
        database: database.clone(),
    };
    let data = Dataset::new(SCALE, 7, NOW_SECONDS);
    load_sample_data(&server, &data, &mut |_, _| Ok(())).unwrap();
    let hypopg =
        "SELECT 'CREATE EXTENSION hypopg' FROM pg_available_extensions WHERE name = 'hypopg' \\gexec";
    node.psql(&database, hypopg).unwrap();
    let statements: Vec<String> =
        planted_indexes().iter().map(|planted| format!("{};\n", planted.statement(&data, 1))).collect();
    let workload = Workload::from_sql(&statements.concat()).unwrap();
    run(async {
        let client = Client::connect(&node.url(&database)).await.unwrap();
        // The statements are such as people write: they can be executed.
        for query in &workload.queries {
            client.simple_query(&query.text).await.unwrap();
        }
        for uses_hypopg in [true, false] {
            let options = AdviceOptions { uses_hypopg, ..AdviceOptions::default() };
            let advice = advise(&client, &workload, &options).await.unwrap();
            let missed = planted_indexes().iter().filter(|planted| {
                let mut suggestions = advice.suggestions.iter();
                !suggestions.any(|one| planted.is_served_by(&one.table, &one.access_method, &one.keys))
            });
            let missed: Vec<&str> = missed.map(|planted| planted.name).collect();
            let suggestions: Vec<&str> =
                advice.suggestions.iter().flat_map(|one| &one.statements).map(String::as_str).collect();
            assert!(missed.is_empty(), "{:?} misses {missed:?}: {suggestions:#?}", advice.method);
        }
    });
}
