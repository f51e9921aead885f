//! How many servers and clients there may be.

use crate::support::{Raw, Setup, TestPooler, cluster, eventually};

/// Clients that each hold a server: as many as can at once.
fn open_transactions(pooler: &TestPooler, database: &str, user: &str, count: usize) -> Vec<Raw> {
    let mut clients: Vec<Raw> = (0..count).map(|_| pooler.client_of(database, user)).collect();
    for client in &mut clients {
        client.start_query("BEGIN");
    }
    clients
}

/// Opens more transactions than there are servers, and checks how many get one; each of the others gets its turn.
#[track_caller]
fn check_servers(pooler: &TestPooler, database: &str, user: &str, expected: u64) {
    let count = usize::try_from(expected).unwrap() + 3;
    let mut clients = open_transactions(pooler, database, user, count);
    let mut console = pooler.console();
    eventually("all servers are taken and the rest waits", || {
        console.pool(database, user, "sv_active") == expected
            && console.pool(database, user, "cl_waiting") == 3
    });
    let servers = console.run("SHOW SERVERS");
    let own = (0..servers.rows.len())
        .filter(|row| servers.column("database")[*row] == database && servers.column("user")[*row] == user)
        .count();
    assert_eq!(own as u64, expected);
    // Whoever has a server ends its transaction, until everyone has had one.
    eventually("everyone has had a server", || {
        clients.retain_mut(|client| {
            if client.is_silent() {
                return true;
            }
            assert_eq!(client.reply().status, Some('T'));
            assert_eq!(client.query("COMMIT").status, Some('I'));
            false
        });
        clients.is_empty()
    });
}

#[test]
fn the_pool_size_of_the_settings_the_database_or_the_user_holds() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("default_pool_size", 3)
            .database("db", "")
            .database("small", "pool_size=1")
            .user("other", "pool_size=2")
            .workers(workers)
            .start();
        check_servers(&pooler, "db", "app", 3);
        check_servers(&pooler, "small", "app", 1);
        check_servers(&pooler, "db", "other", 2);
        check_servers(&pooler, "small", "other", 2);
    }
}

#[test]
fn waiting_clients_are_served_in_their_order() {
    let pooler = Setup::new().set("default_pool_size", 1).start();
    let mut holder = pooler.client();
    holder.query("BEGIN");
    let mut console = pooler.console();
    let mut waiting = Vec::new();
    for number in 0..10 {
        let mut client = pooler.client();
        client.start_query("SELECT nextval('pg_temp.turns')");
        waiting.push(client);
        eventually("one more waits", || console.pool("db", "app", "cl_waiting") == number + 1);
    }
    holder.query("CREATE TEMP SEQUENCE turns");
    holder.query("COMMIT");
    for (number, client) in waiting.iter_mut().enumerate() {
        assert_eq!(client.reply().value(), (number + 1).to_string());
    }
}

#[test]
fn the_minimum_is_kept_while_there_are_clients() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("min_pool_size", 3).workers(workers).start();
        let client = pooler.client();
        let mut console = pooler.console();
        eventually("three servers are ready", || console.pool("db", "app", "sv_idle") == 3);
        drop(client);
        assert_eq!(pooler.client().value("SELECT 1"), "1");
    }
}

#[test]
fn the_minimum_of_a_database_with_a_fixed_user_needs_no_client() {
    let pooler =
        Setup::new().database("db", "").database("fixed", "user=other min_pool_size=2 pool_size=4").start();
    let mut console = pooler.console();
    eventually("two servers are ready", || console.pool("fixed", "other", "sv_idle") == 2);
    assert_eq!(pooler.client_of("fixed", "app").value("SELECT current_user"), "other");
}

#[test]
fn the_reserve_helps_those_who_have_waited_long() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .set("default_pool_size", 1)
            .set("reserve_pool_size", 2)
            .set("reserve_pool_timeout", 1)
            .workers(workers)
            .start();
        let mut holder = pooler.client();
        assert_eq!(holder.query("BEGIN").status, Some('T'));
        let began = std::time::Instant::now();
        let mut clients = open_transactions(&pooler, "db", "app", 3);
        let mut console = pooler.console();
        eventually("the reserve is open", || console.pool("db", "app", "sv_active") == 3);
        assert!(began.elapsed().as_secs_f64() >= 0.99, "{:?}", began.elapsed());
        eventually("one still waits", || console.pool("db", "app", "cl_waiting") == 1);
        holder.query("COMMIT");
        for client in &mut clients {
            assert_eq!(client.reply().status, Some('T'));
            client.query("COMMIT");
        }
    }
}

#[test]
fn without_a_time_to_wait_there_is_no_reserve() {
    let pooler = Setup::new()
        .set("default_pool_size", 1)
        .set("reserve_pool_size", 2)
        .set("reserve_pool_timeout", 0)
        .set("query_wait_timeout", 1)
        .start();
    let mut clients = open_transactions(&pooler, "db", "app", 2);
    let mut replies: Vec<_> = clients.iter_mut().map(Raw::reply).map(|reply| reply.status).collect();
    replies.sort_unstable();
    assert_eq!(replies, [None, Some('T')]);
}

#[test]
fn max_client_conn_holds_and_leaves_the_console_open() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("max_client_conn", 3).workers(workers).start();
        let mut clients: Vec<Raw> = (0..3).map(|_| pooler.client()).collect();
        let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", "db")]);
        assert!(sqlstate == "53300" && text.contains("max_client_conn"), "{sqlstate} {text}");
        for client in &mut clients {
            assert_eq!(client.value("SELECT 1"), "1");
        }
        let mut console = pooler.console();
        console.run("SHOW POOLS");
        clients.pop();
        eventually("the place is free again", || {
            console
                .run("SHOW CLIENTS")
                .column("database")
                .iter()
                .filter(|database| **database == "db")
                .count()
                == 2
        });
        clients.push(pooler.client());
        console.run("SET max_client_conn = 4");
        clients.push(pooler.client());
        assert_eq!(pooler.refusal(&[("user", "app"), ("database", "db")]).0, "53300");
    }
}

#[test]
fn clients_of_a_database_or_user_are_counted() {
    let pooler = Setup::new()
        .set("max_user_client_connections", 3)
        .database("db", "")
        .database("two", "max_db_client_connections=2")
        .user("other", "max_user_client_connections=1")
        .start();
    let refused = |user: &str, database: &str| pooler.refusal(&[("user", user), ("database", database)]);
    let first = pooler.client_of("two", "app");
    let _second = pooler.client_of("two", "other");
    let (sqlstate, text) = refused("third", "two");
    assert!(sqlstate == "53300" && text.contains("max_db_client_connections"), "{text}");
    let (sqlstate, text) = refused("other", "db");
    assert!(sqlstate == "53300" && text.contains("max_user_client_connections"), "{text}");
    let more = [pooler.client(), pooler.client()];
    assert_eq!(refused("app", "db").0, "53300");
    drop((first, more));
    let mut console = pooler.console();
    eventually("they are gone", || {
        console.run("SHOW USERS").cell("name", "app", "current_client_connections") == "0"
    });
    assert_eq!(pooler.client_of("two", "app").value("SELECT 1"), "1");
}

#[test]
fn a_refused_login_gives_its_places_back() {
    let pooler = Setup::new().set("max_client_conn", 2).set("max_user_client_connections", 2).start();
    for _ in 0..5 {
        assert_eq!(pooler.refusal(&[("user", "app"), ("database", "nothing")]).0, "3D000");
        assert_eq!(pooler.refusal(&[("user", "app"), ("database", "db"), ("geqo", "off")]).0, "08P01");
        assert_eq!(pooler.refusal(&[("user", "nobody"), ("database", "db")]).0, "28000");
    }
    let mut clients = [pooler.client(), pooler.client()];
    assert_eq!(clients[1].value("SELECT 1"), "1");
}

#[test]
fn max_db_connections_counts_all_users_and_takes_idle_servers_from_others() {
    for workers in [1, 3] {
        let pooler = Setup::new().database("db", "max_db_connections=2").workers(workers).start();
        let mut first = pooler.client();
        let mut second = pooler.client();
        first.query("BEGIN");
        second.query("BEGIN");
        let mut third = pooler.connect();
        third.send(&crate::support::start_packet(&[("user", "other"), ("database", "db")]));
        let mut console = pooler.console();
        eventually("the third waits", || console.pool("db", "other", "cl_waiting") == 1);
        assert_eq!(console.run("SHOW DATABASES").cell("name", "db", "current_connections"), "2");
        // Idle servers of the first user make room.
        first.query("COMMIT");
        third.finish_login();
        assert_eq!(third.value("SELECT current_user"), "other");
        assert_eq!(console.run("SHOW DATABASES").cell("name", "db", "current_connections"), "2");
        second.query("COMMIT");
        // And back.
        for _ in 0..3 {
            let mut clients = open_transactions(&pooler, "db", "app", 2);
            for client in &mut clients {
                assert_eq!(client.reply().status, Some('T'));
            }
            drop(clients);
            let mut clients = open_transactions(&pooler, "db", "other", 2);
            for client in &mut clients {
                assert_eq!(client.reply().status, Some('T'));
            }
        }
    }
}

#[test]
fn max_user_connections_counts_all_databases() {
    for workers in [1, 3] {
        let pooler = Setup::new()
            .database("db", "")
            .database("second", "")
            .user("app", "max_user_connections=2")
            .set("query_wait_timeout", 2)
            .workers(workers)
            .start();
        let mut holders = [pooler.client_of("db", "app"), pooler.client_of("second", "app")];
        for holder in &mut holders {
            assert_eq!(holder.query("BEGIN").status, Some('T'));
        }
        let mut late = pooler.client_of("db", "app");
        late.start_query("SELECT 1");
        let mut console = pooler.console();
        eventually("the third waits", || console.pool("db", "app", "cl_waiting") == 1);
        assert_eq!(console.run("SHOW USERS").cell("name", "app", "current_connections"), "2");
        // The place of the other database's idle server is taken.
        holders[1].query("COMMIT");
        assert_eq!(late.reply().value(), "1");
        check_not_more_than(2);
    }
}

/// Connections of a pooler of this process to the cluster are seen there, too.
fn check_not_more_than(_count: usize) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let count: u32 = cluster().primary().psql("postgres", sql).unwrap().parse().unwrap();
    assert!(count < 400);
}

#[test]
fn a_lowered_pool_size_closes_what_is_too_much() {
    for workers in [1, 3] {
        let pooler = Setup::new().set("default_pool_size", 4).workers(workers).start();
        let mut clients = open_transactions(&pooler, "db", "app", 4);
        for client in &mut clients {
            assert_eq!(client.reply().status, Some('T'));
        }
        let mut console = pooler.console();
        console.run("SET default_pool_size = 1");
        for client in &mut clients {
            assert_eq!(client.query("COMMIT").status, Some('I'));
        }
        eventually("one is left", || {
            console.pool("db", "app", "sv_idle") + console.pool("db", "app", "sv_active") == 1
        });
        console.run("SET default_pool_size = 2");
        check_servers(&pooler, "db", "app", 2);
    }
}

#[test]
fn servers_move_to_the_worker_whose_clients_wait() {
    let pooler = Setup::new().set("default_pool_size", 2).workers(3).start();
    let mut clients: Vec<Raw> = (0..6).map(|_| pooler.client()).collect();
    for turn in 0..50 {
        for (number, client) in clients.iter_mut().enumerate() {
            client.start_query(&format!("SELECT {}", turn * 10 + number));
        }
        for (number, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.reply().value(), (turn * 10 + number).to_string());
        }
    }
}

#[test]
fn databases_from_the_star_entry_have_pools_and_limits_of_their_own() {
    let names = [cluster().test_database("star").unwrap(), cluster().test_database("star").unwrap()];
    let port = cluster().primary().port();
    let pooler = Setup::new()
        .database_at("*", &format!("host=127.0.0.1 port={port} pool_size=1"))
        .set("query_wait_timeout", 5)
        .workers(3)
        .start();
    let mut holders: Vec<Raw> = names.iter().map(|name| pooler.client_of(name, "app")).collect();
    for (holder, name) in holders.iter_mut().zip(&names) {
        assert_eq!(holder.value("SELECT current_database()"), *name);
        assert_eq!(holder.query("BEGIN").status, Some('T'));
    }
    let (sqlstate, text) = pooler.refusal(&[("user", "app"), ("database", "not there at all")]);
    assert!(sqlstate == "08001" && text.contains("not there at all"), "{text}");
    let mut waiting = pooler.client_of(&names[0], "app");
    waiting.start_query("SELECT 1");
    let mut console = pooler.console();
    eventually("it waits for the one server", || console.pool(&names[0], "app", "cl_waiting") == 1);
    holders[0].query("COMMIT");
    assert_eq!(waiting.reply().value(), "1");
    console.run(&format!("PAUSE {}", names[0]));
    assert_eq!(holders[1].value("SELECT 'not paused'"), "not paused");
}
