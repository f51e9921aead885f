//! The pool from outside: events in, actions out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pgprime_pool::{
    Action, Board, Budget, Demand, Event, Failure, Limit, Permit, Pool, PoolCounts, PoolSettings, Refusal,
    Rest, Ticket, WorkerIndex,
};

type Actions = Vec<Action<u32, u32>>;

fn settings() -> PoolSettings {
    PoolSettings {
        size_min: 0,
        reserve_size: 0,
        reserve_timeout: Duration::ZERO,
        idle_timeout: Duration::ZERO,
        wait_timeout: Duration::ZERO,
        login_retry: Duration::from_secs(15),
        round_robin: false,
    }
}

fn budget(pool: u32) -> Budget {
    Budget { pool: Limit::new(pool), database: Limit::new(0), user: Limit::new(0) }
}

/// A pool with a clock, and the permits of its servers.
struct Bench {
    pool: Pool<u32, u32>,
    now: Instant,
    /// By server; one without number is connecting.
    permits: Vec<(Option<u32>, Permit)>,
}

impl Bench {
    fn new(settings: PoolSettings, budget: Budget) -> Self {
        let now = Instant::now();
        Self::on_worker(settings, budget, Arc::new(Board::new(1, now)), 0, now)
    }

    fn on_worker(
        settings: PoolSettings,
        budget: Budget,
        board: Arc<Board>,
        worker: u16,
        now: Instant,
    ) -> Self {
        Self { pool: Pool::new(settings, budget, board, WorkerIndex(worker)), now, permits: Vec::new() }
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }

    /// The actions in short; permits are kept.
    fn note(&mut self, actions: Actions) -> Vec<String> {
        let mut shown = Vec::new();
        for action in actions {
            shown.push(match action {
                Action::Assign(waited, server) => format!("{} gets {server}", waited.client),
                Action::Connect(permit) => {
                    self.permits.push((None, permit));
                    "connect".to_string()
                }
                Action::Close(server, reason) => {
                    self.permits.retain(|(of, _)| *of != Some(server));
                    format!("close {server}: {reason:?}")
                }
                Action::Expire(waited) => format!("expire {}", waited.client),
                Action::Fail(waited) => format!("fail {}", waited.client),
                Action::Lend(server, worker) => format!("lend {server} to {}", worker.0),
                Action::Ask(worker) => format!("ask {}", worker.0),
                Action::EvictElsewhere(refusal) => format!("evict elsewhere: {refusal:?}"),
            });
        }
        shown
    }

    fn request(&mut self, client: u32) -> (Ticket, Vec<String>) {
        let mut actions = Vec::new();
        let ticket = self.pool.request(client, self.now, &mut actions);
        (ticket, self.note(actions))
    }

    fn handle(&mut self, event: Event<u32>) -> Vec<String> {
        let mut actions = Vec::new();
        self.pool.handle(event, self.now, &mut actions);
        self.note(actions)
    }

    fn rest(&self, server: u32) -> Rest<u32> {
        Rest { server, connected_at: self.now, expires_at: None }
    }

    /// The connection asked for first is open.
    fn connected(&mut self, server: u32) -> Vec<String> {
        let place = self.permits.iter_mut().find(|(of, _)| of.is_none()).expect("one is connecting");
        place.0 = Some(server);
        self.handle(Event::Connected(self.rest(server)))
    }

    fn connect_failed(&mut self, failure: Failure) -> Vec<String> {
        let place = self.permits.iter().position(|(of, _)| of.is_none()).expect("one is connecting");
        drop(self.permits.remove(place));
        self.handle(Event::ConnectFailed(failure))
    }

    fn tick(&mut self, demand: Demand) -> Vec<String> {
        self.handle(Event::Tick(demand))
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn waiters_are_served_in_turn_and_the_server_used_last_comes_first() {
    let mut bench = Bench::new(settings(), budget(2));
    assert_eq!(bench.request(1).1, ["connect"]);
    assert_eq!(bench.request(2).1, NOTHING, "the first connection shows whether the database is there");
    assert_eq!(bench.connected(10), ["1 gets 10", "connect"]);
    assert_eq!(bench.request(3).1, NOTHING);
    assert_eq!(bench.connected(11), ["2 gets 11"]);
    assert_eq!(bench.request(4).1, NOTHING);
    let rest = bench.rest(11);
    assert_eq!(bench.handle(Event::Released(rest)), ["3 gets 11"]);
    let (rest_10, rest_11) = (bench.rest(10), bench.rest(11));
    assert_eq!(bench.handle(Event::Released(rest_10)), ["4 gets 10"]);
    assert_eq!(bench.handle(Event::Released(rest_10)), NOTHING);
    assert_eq!(bench.handle(Event::Released(rest_11)), NOTHING);
    assert_eq!(bench.request(5).1, ["5 gets 11"]);
    let expected = PoolCounts { waiting: 0, idle: 1, busy: 1, connecting: 0 };
    assert_eq!(bench.pool.counts(), expected);
}

#[test]
fn round_robin_takes_the_server_that_has_rested_longest() {
    let mut bench = Bench::new(PoolSettings { size_min: 2, round_robin: true, ..settings() }, budget(2));
    assert_eq!(bench.tick(Demand::InUse), ["connect", "connect"]);
    assert_eq!(bench.connected(10), NOTHING);
    assert_eq!(bench.connected(11), NOTHING);
    assert_eq!(bench.request(1).1, ["1 gets 10"]);
}

#[test]
fn who_leaves_is_not_served_and_who_lost_its_server_comes_first() {
    let mut bench = Bench::new(settings(), budget(1));
    let (first, _) = bench.request(1);
    let (second, _) = bench.request(2);
    bench.request(3);
    assert!(bench.pool.leave(second));
    assert_eq!(bench.connected(10), ["1 gets 10"]);
    assert!(!bench.pool.leave(first), "it was served");
    let since = bench.now;
    bench.pass(5);
    bench.permits.clear();
    assert_eq!(bench.handle(Event::ServerClosed), ["connect"]);
    let mut actions = Vec::new();
    bench.pool.request_again(1, since, bench.now, &mut actions);
    assert!(actions.is_empty());
    assert_eq!(bench.pool.oldest_waiter(), Some(since));
    assert_eq!(bench.connected(11), ["1 gets 11"]);
}

#[test]
fn the_reserve_opens_for_those_who_have_waited() {
    let reserve = PoolSettings { reserve_size: 1, reserve_timeout: Duration::from_secs(5), ..settings() };
    let mut bench = Bench::new(reserve, budget(1));
    bench.request(1);
    bench.request(2);
    bench.connected(10);
    bench.pass(4_999);
    assert_eq!(bench.tick(Demand::InUse), NOTHING);
    bench.pass(1);
    assert_eq!(bench.tick(Demand::InUse), ["connect"]);
    assert_eq!(bench.connected(11), ["2 gets 11"]);
    assert_eq!(bench.pool.budget().pool.used(), 2);
}

#[test]
fn waiting_ends_after_its_time() {
    let mut bench =
        Bench::new(PoolSettings { wait_timeout: Duration::from_secs(2), ..settings() }, budget(1));
    bench.request(1);
    bench.pass(1_000);
    bench.request(2);
    bench.pass(1_000);
    assert_eq!(bench.tick(Demand::InUse), ["expire 1"]);
    assert_eq!(bench.connected(10), ["2 gets 10"]);
}

#[test]
fn while_the_database_is_away_one_at_a_time_tries_and_all_are_told_in_the_end() {
    let patience = PoolSettings { login_retry: Duration::from_secs(1), ..settings() };
    let mut bench = Bench::new(patience, budget(5));
    assert_eq!(bench.request(1).1, ["connect"]);
    assert_eq!(bench.request(2).1, NOTHING);
    assert_eq!(bench.connect_failed(Failure::Unreachable), NOTHING, "a short outage is waited out");
    bench.pass(100);
    assert_eq!(bench.tick(Demand::InUse), ["connect"]);
    bench.pass(1_000);
    assert_eq!(bench.connect_failed(Failure::Unreachable), ["fail 1", "fail 2"]);
    assert_eq!(bench.request(3).1, ["fail 3"]);
    bench.pass(1_000);
    assert_eq!(bench.request(4).1, ["connect"], "the next one carries the next attempt");
    assert_eq!(bench.connected(10), ["4 gets 10"]);
    assert!(!bench.pool.is_failing());
}

#[test]
fn a_refused_login_is_told_at_once() {
    let mut bench = Bench::new(settings(), budget(5));
    bench.request(1);
    assert_eq!(bench.connect_failed(Failure::Rejected), ["fail 1"]);
}

#[test]
fn idle_servers_go_in_time_but_not_below_the_minimum() {
    let minimum = PoolSettings { size_min: 1, idle_timeout: Duration::from_secs(10), ..settings() };
    let mut bench = Bench::new(minimum, budget(3));
    bench.request(1);
    bench.request(2);
    bench.connected(10);
    bench.connected(11);
    for server in [10, 11] {
        let rest = bench.rest(server);
        bench.handle(Event::Released(rest));
    }
    bench.pass(10_000);
    assert_eq!(bench.tick(Demand::InUse), ["close 10: Idle"]);
    assert_eq!(bench.tick(Demand::InUse), NOTHING);
    assert_eq!(bench.tick(Demand::Unused), ["close 11: Idle"]);
    assert_eq!(bench.pool.budget().pool.used(), 0);
}

#[test]
fn taking_without_a_request_respects_the_queue_and_looking_after_keeps_the_place() {
    let mut bench = Bench::new(PoolSettings { size_min: 3, ..settings() }, budget(3));
    assert_eq!(bench.pool.take_idle(), None);
    bench.tick(Demand::InUse);
    for server in [10, 11, 12] {
        bench.pass(1);
        bench.connected(server);
    }
    let (first, rest) = (bench.now - Duration::from_millis(2), bench.rest(10));
    assert_eq!(bench.pool.take_idle_one(10), Some(first));
    assert_eq!(bench.pool.take_idle_one(10), None);
    assert_eq!(bench.handle(Event::PutBack { rest, idle_since: first }), NOTHING);
    assert_eq!(bench.pool.counts(), PoolCounts { waiting: 0, idle: 3, busy: 0, connecting: 0 });
    let taken: Vec<u32> = std::iter::from_fn(|| bench.pool.take_idle()).collect();
    assert_eq!(taken, [12, 11, 10]);
    bench.request(1);
    bench.handle(Event::Released(rest));
    bench.request(2);
    assert_eq!(bench.pool.take_idle(), None, "2 waits and comes first");
}

#[test]
fn pause_closes_and_holds_and_resume_serves() {
    let mut bench = Bench::new(PoolSettings { size_min: 1, ..settings() }, budget(2));
    bench.request(1);
    bench.connected(10);
    bench.tick(Demand::InUse);
    assert_eq!(bench.handle(Event::Pause), NOTHING);
    assert_eq!(bench.request(2).1, NOTHING);
    let rest = bench.rest(10);
    assert_eq!(bench.handle(Event::Released(rest)), ["close 10: Paused"]);
    assert_eq!(bench.tick(Demand::InUse), NOTHING);
    assert_eq!(bench.handle(Event::Resume), ["connect"]);
}

#[test]
fn reconnect_spares_what_is_newer() {
    let mut bench = Bench::new(settings(), budget(2));
    bench.request(1);
    bench.connected(10);
    let old = bench.rest(10);
    bench.pass(1);
    bench.handle(Event::Reconnect);
    bench.pass(1);
    assert_eq!(bench.handle(Event::Released(old)), ["close 10: Reconnect"]);
    bench.request(2);
    assert_eq!(bench.connected(11), ["2 gets 11"]);
    let new = Rest { connected_at: bench.now, ..bench.rest(11) };
    assert_eq!(bench.handle(Event::Released(new)), NOTHING);
}

#[test]
fn a_lowered_limit_and_a_lifetime_end_servers() {
    let mut bench = Bench::new(settings(), budget(2));
    bench.request(1);
    bench.request(2);
    bench.connected(10);
    bench.connected(11);
    bench.pool.budget().pool.set_max(1);
    let rest = bench.rest(10);
    assert_eq!(bench.handle(Event::Released(rest)), ["close 10: OverLimit"]);
    let expired = Rest { expires_at: Some(bench.now), ..bench.rest(11) };
    assert_eq!(bench.handle(Event::Released(expired)), ["close 11: Lifetime"]);
}

#[test]
fn a_place_refused_to_a_waiter_is_not_taken_for_a_minimum_size() {
    let database = Limit::new(1);
    let of = |database: &Arc<Limit>| Budget { database: Arc::clone(database), ..budget(5) };
    let mut rich = Bench::new(PoolSettings { size_min: 1, ..settings() }, of(&database));
    let mut poor = Bench::new(settings(), of(&database));
    rich.tick(Demand::InUse);
    rich.connected(10);
    (poor.now, poor.permits) = (rich.now, Vec::new());
    assert_eq!(poor.request(1).1, [format!("evict elsewhere: {:?}", Refusal::Database)]);
    assert_eq!(rich.handle(Event::Evict), ["close 10: Evicted"]);
    assert_eq!(rich.tick(Demand::InUse), NOTHING);
    assert_eq!(poor.handle(Event::Freed), ["connect"]);
    assert_eq!(poor.connected(11), ["1 gets 11"]);
}

#[test]
fn an_idle_server_of_another_worker_is_asked_for_and_lent() {
    let now = Instant::now();
    for database_max in [0, 1] {
        let budget =
            Budget { database: Limit::new(database_max), ..budget(if database_max == 0 { 1 } else { 5 }) };
        let board = Arc::new(Board::new(2, now));
        let mut here = Bench::on_worker(settings(), budget.clone(), Arc::clone(&board), 0, now);
        let mut there = Bench::on_worker(settings(), budget, board, 1, now);
        here.request(1);
        here.connected(10);
        let rest = here.rest(10);
        here.handle(Event::Released(rest));
        assert_eq!(there.request(2).1, ["ask 0"]);
        assert_eq!(here.handle(Event::Asked(WorkerIndex(1))), ["lend 10 to 1"]);
        assert_eq!(there.handle(Event::Borrowed(rest)), ["2 gets 10"]);
        assert_eq!(here.pool.counts(), PoolCounts::default());
    }
}

#[test]
fn a_released_server_goes_to_the_worker_whose_client_has_waited_much_longer() {
    let now = Instant::now();
    let board = Arc::new(Board::new(2, now));
    let budget = budget(1);
    let mut here = Bench::on_worker(settings(), budget.clone(), Arc::clone(&board), 0, now);
    let mut there = Bench::on_worker(settings(), budget, board, 1, now);
    here.request(1);
    here.connected(10);
    there.pass(1);
    assert_eq!(there.request(2).1, NOTHING);
    here.pass(100);
    here.request(3);
    let rest = here.rest(10);
    assert_eq!(here.handle(Event::Released(rest)), ["lend 10 to 1"]);
    there.pass(100);
    assert_eq!(there.handle(Event::Borrowed(rest)), ["2 gets 10"]);
    assert_eq!(there.handle(Event::Released(rest)), ["lend 10 to 0"]);
    assert_eq!(here.handle(Event::Borrowed(rest)), ["3 gets 10"]);
}
