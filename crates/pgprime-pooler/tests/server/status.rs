//! What a program that holds the pooler's handle is told.

use pgprime_pooler::{Handle, Status};

use crate::support::{Setup, eventually};

fn told<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(answer)
}

fn waiting(handle: &Handle) -> usize {
    told(handle.status()).pools.iter().map(|pool| pool.row.clients_waiting).sum()
}

#[test]
fn pools_clients_and_times_are_added_up_over_workers() {
    let pooler = Setup::new().set("default_pool_size", 2).set("max_client_conn", 50).workers(3).start();
    let handle = pooler.handle();
    let before = told(handle.executions());
    let mut clients: Vec<_> = (0..6).map(|_| pooler.client()).collect();
    for client in &mut clients {
        client.value("SELECT pg_sleep(0.001)");
    }
    let Status { pools, totals, clients: count, clients_max } = told(handle.status());
    assert_eq!((count, clients_max, pools.len()), (6, 50, 1));
    let pool = &pools[0];
    assert_eq!((pool.row.database.as_str(), pool.row.user.as_str(), pool.size_max), ("db", "app", Some(2)));
    assert_eq!((pool.row.clients_active, pool.row.clients_waiting, pool.disabled), (6, 0, false));
    assert!((1..=2).contains(&(pool.row.servers_idle + pool.row.servers_active)));
    assert_eq!((totals.queries, pool.row.counters.queries), (6, 6));
    let since = told(handle.executions()).since(&before);
    assert_eq!(since.calls(), 6);
    assert!(since.exec_us_quantile(0.5) >= 900, "{since:?}");

    let sessions = told(handle.sessions());
    assert_eq!(sessions.clients.len(), 6);
    assert!(sessions.servers.iter().all(|(_, server)| server.database == "db"));

    // Two hold the servers, a third waits.
    let (holders, others) = clients.split_at_mut(2);
    holders.iter_mut().for_each(|client| drop(client.query("BEGIN")));
    others[0].start_query("SELECT 1");
    eventually("the third waits", || waiting(&handle) == 1);
    drop(holders[0].query("COMMIT"));
    eventually("it has its turn", || waiting(&handle) == 0);
}
