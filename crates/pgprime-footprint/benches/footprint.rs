//! How long it takes to read the catalogs and to tell a footprint: `cargo bench -p pgprime-footprint`.

use std::time::{Duration, Instant};

use pgprime_cluster::{Cluster, ClusterOptions};
use pgprime_footprint::Schema;
use tokio_postgres::NoTls;

const SCHEMA: &str = include_str!("../tests/footprint/schema.sql");

const TEXTS: &[&str] = &[
    "SELECT 1",
    "SELECT * FROM lone WHERE id = $1",
    "INSERT INTO lone VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n RETURNING n",
    "SELECT date_trunc('day', p.created_at) AS day, c.region, count(*), sum(p.premium)
     FROM policies p JOIN customers c ON c.id = p.customer_id LEFT JOIN claims k ON k.policy_id = p.id
     WHERE p.created_at >= $1 AND p.state = 'open' GROUP BY 1, 2 ORDER BY 1 DESC LIMIT 30",
    "SELECT * FROM customer_premiums",
    "SELECT claims_of(id) FROM customers",
    "DELETE FROM customers WHERE id = $1",
];

fn main() {
    // As a test it only has to compile.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let cluster = Cluster::start(&ClusterOptions::default()).expect("PostgreSQL is installed");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(&cluster.primary().url("postgres")));
}

async fn measure(url: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the cluster runs");
    tokio::spawn(connection);
    client.batch_execute(SCHEMA).await.expect("the schema is made");
    let many = "DO $$ BEGIN FOR i IN 1..5000 LOOP EXECUTE format('CREATE TABLE many_%s (id int, a text, b numeric)', i);
        EXECUTE format('CREATE VIEW many_view_%s AS SELECT * FROM many_%s WHERE id > 0', i, i); END LOOP; END $$";
    println!("Schema::load, 40 tables: {:?}", loading(&client).await);
    for chunk in ["1..5000", "5001..10000"] {
        client.batch_execute(&many.replace("1..5000", chunk)).await.expect("tables are made");
    }
    println!("Schema::load, 10,000 more tables and as many views: {:?}", loading(&client).await);
    let schema = Schema::load(&client).await.expect("the catalogs are read");
    for text in TEXTS {
        println!(
            "{:>9.1?}  {}",
            footprint(&schema, text),
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        );
    }
}

/// The median of several.
async fn loading(client: &tokio_postgres::Client) -> Duration {
    let mut times = Vec::new();
    for _ in 0..7 {
        let begin = Instant::now();
        Schema::load(client).await.expect("the catalogs are read");
        times.push(begin.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

fn footprint(schema: &Schema, text: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..501 {
        let begin = Instant::now();
        std::hint::black_box(schema.footprint(text));
        times.push(begin.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}
