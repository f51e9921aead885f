//! Exports whose reader goes away, or whose database does.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::service::{CLUSTER, Service, config};

/// Far more than sockets hold, so that an export whose reader pauses is in the middle.
const FILL: &str = "INSERT INTO quotes (customer_id, product, coverage, deductible, premium)
                    SELECT (SELECT min(id) FROM customers), 'car', 1000, 0, 30 FROM generate_series(1, 200000)";
const END_SESSIONS: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                            WHERE datname = current_database() AND query LIKE '%FROM quotes ORDER BY id'";

/// Asks for the export and reads how it begins. An export is not tried again by itself, so where the connection was lost
/// just before, it has to be asked for again.
async fn begin(address: SocketAddr) -> (TcpStream, Vec<u8>) {
    loop {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = "GET /quotes.csv HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("it reads");
        let mut start = Vec::new();
        (&mut stream).take(1_000).read_to_end(&mut start).await.expect("it answers");
        if !start.starts_with(b"HTTP/1.1 503 ") {
            assert!(start.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&start));
            return (stream, start);
        }
    }
}

fn is_busy(report: &Value) -> bool {
    report["admin"]["pool"]["busy"] == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_whole_or_broken_off() {
    let cluster = CLUSTER.cluster();
    let (database, config) = config(cluster, &[("DATABASE_POOL_MAX", "2")]);
    let service = Service::start(cluster, config).await;
    service.user("somebody").register().await;
    let sql = |sql: &str| cluster.primary().psql(&database, sql).expect("the primary runs");
    sql(FILL);
    // How a chunked answer that is whole ends.
    let is_whole = |answer: &[u8]| answer.ends_with(b"\r\n0\r\n\r\n");

    let (mut stream, mut answer) = begin(service.address()).await;
    stream.read_to_end(&mut answer).await.expect("it goes on");
    assert!(is_whole(&answer));
    assert_eq!(answer.windows(5).filter(|text| text == b",car,").count(), 200_000);

    // The reader pauses, and meanwhile the database ends the session.
    let (mut stream, mut answer) = begin(service.address()).await;
    service.pool_once(is_busy).await;
    assert_eq!(sql(END_SESSIONS), "1");
    // Whether the connection ends or is reset, the answer must not look whole.
    drop(stream.read_to_end(&mut answer).await);
    assert!(!is_whole(&answer));

    // The reader goes away: the connection comes back.
    let (stream, _) = begin(service.address()).await;
    service.pool_once(is_busy).await;
    drop(stream);
    service.pool_once(|report| !is_busy(report)).await;
    service.client().get("/admin/dashboard").await.json(200);
    service.stop(cluster, &database).await;
}
