//! The hot path without sockets: one request through the state machine and its answer back.
//!
//! `cargo bench -p pgprime-pooler` prints nanoseconds per request; `scripts/instructions.sh` counts instructions, which
//! is repeatable to the last one. With the word `unmeasured` nothing is measured of statements.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_pool::{Board, Budget, Limit, PoolSettings, WorkerIndex};
use pgprime_pooler::core::{
    ClientId, ClientInfo, ClientJoin, Core, CoreSettings, MeasureSettings, Mode, Parameters, PoolIndex,
    PoolProfile, PoolSetup, ServerId, ServerInfo, ServerJoin, Tracked, Welcome,
};
use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::backend::encode as backend;
use pgprime_wire::frontend::encode as frontend;

const POOL: PoolIndex = PoolIndex(0);
const CLIENTS: usize = 100;
const VARIED: usize = 16_384;
const UNMEASURED: &str = "unmeasured";
const QUERY: &[u8] = b"SELECT balance FROM accounts WHERE id = $1";

/// One protocol: what a client sends and what the server answers.
struct Exchange {
    name: &'static str,
    /// One after another; their number is a power of two.
    requests: Vec<Vec<u8>>,
    reply: Vec<u8>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let requests = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000u64);
    let is_on = !arguments.iter().any(|argument| argument == UNMEASURED);
    let is_name = |argument: &&String| argument.chars().all(char::is_alphabetic) && *argument != UNMEASURED;
    let only = arguments.iter().skip(1).find(is_name);
    for exchange in [simple(), extended(), prepared(), varied()] {
        if only.is_none_or(|only| only == exchange.name) {
            let elapsed = run(&exchange, requests, is_on);
            println!(
                "{:<9} {:>6.0} ns per request",
                exchange.name,
                elapsed.as_secs_f64() * 1e9 / requests as f64
            );
        }
    }
}

fn run(exchange: &Exchange, requests: u64, is_on: bool) -> Duration {
    let now = Instant::now();
    let mut core = core(now, is_on);
    let server = core.join_server(POOL, server_join(now), now);
    let clients: Vec<ClientId> = (0..CLIENTS).map(|_| core.join_client(client_join(now), now)).collect();
    drain(&mut core);
    for client in &clients {
        prepare(&mut core, *client, server, now);
    }
    let started = Instant::now();
    for turn in 0..requests {
        let client = clients[turn as usize % CLIENTS];
        let request = &exchange.requests[turn as usize & (exchange.requests.len() - 1)];
        pass(&mut core, client, server, request, &exchange.reply, now);
    }
    started.elapsed()
}

/// One request there and its reply back, with everything that the event loop asks for.
fn pass(core: &mut Core, client: ClientId, server: ServerId, request: &[u8], reply: &[u8], now: Instant) {
    core.handle_client_data(client, black_box(request), now);
    let count = core.server_output(server).len();
    core.handle_server_written(server, count);
    core.handle_server_data(server, black_box(reply), now);
    let count = core.client_output(client).len();
    assert!(count > 0, "the client was answered");
    core.handle_client_written(client, count);
    drain(core);
}

fn drain(core: &mut Core) {
    thread_local! {
        static DIRTY: RefCell<(Vec<ClientId>, Vec<ServerId>)> = const { RefCell::new((Vec::new(), Vec::new())) };
    }
    while core.poll_effect().is_some() {}
    DIRTY.with_borrow_mut(|(clients, servers)| {
        core.take_dirty_clients(clients);
        core.take_dirty_servers(servers);
        clients.clear();
        servers.clear();
    });
}

/// Every client has the named statement, and the server has it.
fn prepare(core: &mut Core, client: ClientId, server: ServerId, now: Instant) {
    let mut request = Vec::new();
    frontend::parse(&mut request, b"find", QUERY, &[0, 0]);
    frontend::sync(&mut request);
    let written = core.client_output(client).len();
    core.handle_client_written(client, written);
    core.handle_client_data(client, &request, now);
    let asked_for_parse = core.server_output(server).first() == Some(&b'P');
    let count = core.server_output(server).len();
    core.handle_server_written(server, count);
    let mut reply = Vec::new();
    if asked_for_parse {
        backend::parse_complete(&mut reply);
    }
    backend::ready_for_query(&mut reply, TransactionStatus::Idle);
    core.handle_server_data(server, &reply, now);
    let count = core.client_output(client).len();
    core.handle_client_written(client, count);
    drain(core);
}

fn simple() -> Exchange {
    let mut request = Vec::new();
    frontend::query(&mut request, b"SELECT balance FROM accounts WHERE id = 4711");
    let mut reply = Vec::new();
    row_description(&mut reply);
    row(&mut reply);
    Exchange { name: "simple", requests: vec![request], reply }
}

/// Simple queries with constants that do not come again soon.
fn varied() -> Exchange {
    let request = |id: usize| {
        let mut request = Vec::new();
        let text = format!("SELECT balance FROM accounts WHERE id = {id}");
        frontend::query(&mut request, text.as_bytes());
        request
    };
    Exchange {
        name: "varied",
        requests: (1_000..1_000 + VARIED).map(request).collect(),
        reply: simple().reply,
    }
}

fn extended() -> Exchange {
    let mut request = Vec::new();
    frontend::parse(&mut request, b"", QUERY, &[0, 0]);
    bind_and_execute(&mut request, b"");
    let mut reply = Vec::new();
    backend::bind_complete(&mut reply);
    row(&mut reply);
    Exchange { name: "extended", requests: vec![request], reply }
}

fn prepared() -> Exchange {
    let mut request = Vec::new();
    bind_and_execute(&mut request, b"find");
    let mut reply = Vec::new();
    backend::bind_complete(&mut reply);
    row(&mut reply);
    Exchange { name: "prepared", requests: vec![request], reply }
}

fn bind_and_execute(request: &mut Vec<u8>, statement: &[u8]) {
    frontend::bind_text(request, b"", statement, &[Some(b"4711")]);
    frontend::execute(request, b"", 0);
    frontend::sync(request);
}

fn row_description(reply: &mut Vec<u8>) {
    backend::row_description(reply, &[backend::Column { name: "balance", type_oid: 23, type_len: 4 }]);
}

fn row(reply: &mut Vec<u8>) {
    backend::data_row(reply, &[Some(b"100")]);
    backend::command_complete(reply, "SELECT 1");
    backend::ready_for_query(reply, TransactionStatus::Idle);
}

fn core(now: Instant, is_on: bool) -> Core {
    let settings = CoreSettings {
        prepared_statements_max: 200,
        message_bytes_max: usize::MAX,
        buffer_bytes: 4096,
        wait_notify: Duration::ZERO,
        log_disconnections: false,
        tracked: Tracked::new(&[]),
        measure: MeasureSettings { is_on, capture: None },
    };
    let mut core = Core::new(WorkerIndex(0), settings);
    let budget = Budget { pool: Limit::new(1), database: Limit::new(0), user: Limit::new(0) };
    let board = Arc::new(Board::new(1, now));
    core.add_pool(PoolSetup { index: POOL, profile: Arc::new(profile()), budget, board });
    core
}

fn profile() -> PoolProfile {
    PoolProfile {
        database: "bench".into(),
        user: "bench".into(),
        mode: Mode::Transaction,
        pool: PoolSettings {
            size_min: 0,
            reserve_size: 0,
            reserve_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            wait_timeout: Duration::ZERO,
            login_retry: Duration::from_secs(15),
            round_robin: false,
        },
        query_timeout: Duration::ZERO,
        idle_transaction_timeout: Duration::ZERO,
        transaction_timeout: Duration::ZERO,
        client_idle_timeout: Duration::ZERO,
        reset_query: String::new(),
        reset_always: false,
        connect_query: None,
        check_query: String::new(),
        check_delay: Duration::ZERO,
        always_warm: false,
    }
}

fn server_join(now: Instant) -> ServerJoin {
    let budget = Budget { pool: Limit::new(1), database: Limit::new(0), user: Limit::new(0) };
    ServerJoin {
        info: Box::new(ServerInfo {
            address: "unix".into(),
            port: 0,
            local_address: "unix".into(),
            local_port: 0,
            process_id: 1,
            cancel_secret: vec![0; 4],
            tls: "",
        }),
        permit: budget.try_acquire(0).expect("the budget is new"),
        welcome: Welcome::default(),
        connected_at: now,
        expires_at: None,
    }
}

fn client_join(now: Instant) -> ClientJoin {
    ClientJoin {
        pool: POOL,
        info: Box::new(ClientInfo {
            address: "127.0.0.1".into(),
            port: 1,
            local_address: "127.0.0.1".into(),
            local_port: 6432,
            user: "bench".into(),
            database: "bench".into(),
            cancel_secret: 0,
            tls: "",
            remote_pid: 0,
        }),
        parameters: Parameters::unknown(&Tracked::new(&[])),
        connected_at: now,
    }
}
