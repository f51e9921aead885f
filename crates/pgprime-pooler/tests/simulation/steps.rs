//! What may happen next, and how everything ends.

use std::time::Duration;

use pgprime_pool::Failure;
use pgprime_pooler::core::PoolIndex;
use pgprime_wire::frontend::encode;

use crate::client::{FakeClient, Life};
use crate::server::FakeServer;
use crate::sql::Sql;
use crate::world::World;

impl World {
    /// One thing happens somewhere.
    pub(crate) fn step(&mut self) {
        match self.rng.u8(0..100) {
            0..=2 => self.some_client_joins(),
            3..=19 => self.some_client_acts(),
            20..=39 => self.some_client_is_heard(),
            40..=52 => self.some_client_reads(),
            53..=69 => self.some_server_works(),
            70..=86 => self.some_server_is_heard(),
            87 | 88 => self.somebody_connects(),
            89 | 90 => self.a_letter_arrives(),
            91 | 92 => self.a_cancel_request_arrives(),
            93 => self.a_sleep_ends(),
            94 => self.time_passes(),
            95 | 96 => self.a_cancel_is_asked_for(),
            97.. if self.plan.faults => self.something_goes_wrong(),
            _ => {}
        }
        if self.rng.u8(0..4) > 0 {
            self.write_all();
        }
    }

    /// One of the clients for which there is something to do.
    fn pick_client(&mut self, is_eligible: impl Fn(&FakeClient) -> bool) -> Option<usize> {
        let eligible = (0..self.clients.len()).filter(|place| is_eligible(&self.clients[*place]));
        let eligible: Vec<usize> = eligible.collect();
        self.rng.choice(eligible)
    }

    /// One of the servers for which there is something to do.
    fn pick_server(&mut self, is_eligible: impl Fn(&FakeServer) -> bool) -> Option<usize> {
        let eligible = (0..self.servers.len()).filter(|place| is_eligible(&self.servers[*place]));
        let eligible: Vec<usize> = eligible.collect();
        self.rng.choice(eligible)
    }

    fn some_client_is_heard(&mut self) {
        let has_news = |client: &FakeClient| {
            !client.closed
                && !client.read_blocked
                && (!client.outgoing.is_empty() || client.life == Life::Vanished)
        };
        if let Some(place) = self.pick_client(has_news) {
            self.deliver_client(place, false);
        }
    }

    fn some_client_reads(&mut self) {
        if let Some(place) = self.pick_client(|client| client.closed || !client.incoming.is_empty()) {
            self.client_reads(place, false);
        }
    }

    fn some_server_works(&mut self) {
        if let Some(place) = self.pick_server(|server| !server.incoming.is_empty()) {
            self.server_works(place, false);
        }
    }

    fn some_server_is_heard(&mut self) {
        let has_news = |server: &FakeServer| {
            !server.closed && !server.read_blocked && (!server.outgoing.is_empty() || server.backend.closed)
        };
        if let Some(place) = self.pick_server(has_news) {
            self.deliver_server(place, false);
        }
    }

    fn some_client_joins(&mut self) {
        // Those that are gone make room.
        self.clients.retain(|client| !client.closed || !client.incoming.is_empty());
        if self.clients.len() < self.plan.clients_max {
            self.add_client();
        }
    }

    fn some_client_acts(&mut self) {
        let Some(place) = self.pick_client(FakeClient::is_running) else { return };
        let client = &mut self.clients[place];
        if client.diverged {
            self.client_leaves(place);
        } else if client.script.is_empty() {
            let number = self.rng.u8(0..100);
            match number {
                0..=3 if client.is_answered() => self.client_leaves(place),
                4 if self.plan.faults => self.client_misbehaves(place),
                _ => {
                    let unit = client.writer.unit(&mut self.rng);
                    client.script.extend(unit);
                    self.client_sends(place);
                }
            }
        } else if self.plan.faults && self.rng.u16(0..300) == 0 {
            self.client_vanishes(place);
        } else {
            self.client_sends(place);
        }
    }

    /// The next part of its script, if its time has come.
    pub(crate) fn client_sends(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let Some(part) = client.script.front() else { return };
        if part.waits && !client.is_answered() {
            return;
        }
        let part = client.script.pop_front().expect("it is there");
        client.send(&part.bytes);
        let number = client.number;
        self.trace(|_| format!("client {number} sends {} bytes: {}", part.bytes.len(), part.note));
    }

    pub(crate) fn client_leaves(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let mut bytes = Vec::new();
        encode::terminate(&mut bytes);
        client.outgoing.extend(bytes);
        client.read_blocked = false;
        client.life = Life::Leaving;
        let number = client.number;
        self.trace(|_| format!("client {number} says Terminate"));
    }

    fn client_vanishes(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let part = client.script.pop_front().expect("it is there");
        let count = self.rng.usize(0..=part.bytes.len());
        client.outgoing.extend(&part.bytes[..count]);
        client.read_blocked = false;
        client.life = Life::Vanished;
        let number = client.number;
        self.trace(|_| format!("client {number} vanishes after {count} bytes of {}", part.note));
    }

    fn client_misbehaves(&mut self, place: usize) {
        let client = &mut self.clients[place];
        let bytes: &[u8] = match self.rng.u8(0..3) {
            0 => b"?\0\0\0\x04",
            1 => b"Q\0\0\0\x01",
            _ => b"Q\x7f\0\0\0SELECT",
        };
        client.outgoing.extend(bytes);
        client.read_blocked = false;
        client.misbehaved = true;
        client.script.clear();
        client.diverged = true;
        let number = client.number;
        self.trace(|_| format!("client {number} sends {bytes:?}"));
    }

    fn somebody_connects(&mut self) {
        if !self.connecting.is_empty() {
            let place = self.rng.usize(0..self.connecting.len());
            self.connect(place);
        }
    }

    fn a_letter_arrives(&mut self) {
        if !self.letters.is_empty() {
            self.deliver_letter(0);
        }
    }

    fn a_cancel_request_arrives(&mut self) {
        if !self.cancels.is_empty() {
            let place = self.rng.usize(0..self.cancels.len());
            self.deliver_cancel(place);
        }
    }

    fn a_sleep_ends(&mut self) {
        if let Some(place) = self.pick_server(|server| server.backend.is_sleeping()) {
            self.end_sleep(place);
        }
    }

    pub(crate) fn end_sleep(&mut self, place: usize) {
        let server = &mut self.servers[place];
        if !server.backend.closed {
            server.backend.wake(false);
            server.collect();
            self.server_works(place, false);
        }
    }

    fn time_passes(&mut self) {
        let is_jump = self.rng.u8(0..200) < self.plan.jumps;
        let millis = if is_jump { self.rng.u64(100..5_000) } else { self.rng.u64(0..30) };
        self.pass_time(Duration::from_millis(millis));
    }

    fn a_cancel_is_asked_for(&mut self) {
        let sleepers: Vec<u32> =
            self.servers.iter().filter_map(|server| Sql::client(server.backend.sleeper()?)).collect();
        let only_sleepers = !sleepers.is_empty() && self.rng.bool();
        let is_eligible =
            |client: &FakeClient| !client.closed && (!only_sleepers || sleepers.contains(&client.number));
        if let Some(place) = self.pick_client(is_eligible) {
            let with_right_key = self.rng.u8(0..4) > 0;
            self.ask_cancel(place, with_right_key);
        }
    }

    fn something_goes_wrong(&mut self) {
        let pool = self.rng.usize(0..self.plan.pools.len());
        let index = PoolIndex(pool as u32);
        match self.rng.u8(0..40) {
            0 => self.unreachable = Some(Failure::Unreachable),
            1 => self.unreachable = Some(Failure::Rejected),
            2..=5 => self.unreachable = None,
            6 | 7 => self.some_server_ends(),
            8 if self.rng.bool() => self.pause(pool),
            9..=11 => self.resume(pool),
            12 => {
                self.trace(|_| format!("RECONNECT {pool}"));
                self.each_core(|core, now| core.reconnect(index, now));
            }
            13 if self.rng.bool() => {
                self.trace(|_| format!("KILL {pool}"));
                self.happened.kills += 1;
                self.each_core(|core, now| core.kill_pool(index, now));
            }
            14 | 20..=25 if self.plan.schema_changes => {
                self.trace(|_| "the schema changes".into());
                self.database.schema.set(self.database.schema.get() + 1);
            }
            15 => self.some_client_is_killed(),
            16 if !self.clients.is_empty() => {
                let place = self.rng.usize(0..self.clients.len());
                if self.clients[place].is_running() && !self.clients[place].script.is_empty() {
                    self.client_vanishes(place);
                }
            }
            _ => {}
        }
    }

    fn some_server_ends(&mut self) {
        if let Some(place) = self.pick_server(|server| !server.closed && !server.backend.closed) {
            let says_why = self.rng.bool();
            self.server_ends(place, says_why);
        }
    }

    fn some_client_is_killed(&mut self) {
        if self.clients.is_empty() || self.rng.bool() {
            return;
        }
        let client = &self.clients[self.rng.usize(0..self.clients.len())];
        let (worker, id, number) = (client.worker, client.id, client.number);
        self.trace(|_| format!("KILL_CLIENT {number}"));
        self.happened.kills += 1;
        self.cores[worker].kill_client(id, self.now);
        self.apply(worker);
    }

    fn pause(&mut self, pool: usize) {
        self.trace(|_| format!("PAUSE {pool}"));
        self.paused.insert(pool);
        self.each_core(|core, now| core.pause(PoolIndex(pool as u32), now));
    }

    fn resume(&mut self, pool: usize) {
        if self.paused.remove(&pool) {
            self.trace(|_| format!("RESUME {pool}"));
            self.each_core(|core, now| core.resume(PoolIndex(pool as u32), now));
        }
    }

    fn each_core(&mut self, act: impl Fn(&mut pgprime_pooler::core::Core, std::time::Instant)) {
        for worker in 0..self.cores.len() {
            act(&mut self.cores[worker], self.now);
            self.apply(worker);
        }
    }

    // ---- The end

    /// Nothing goes wrong any more: everybody gets an answer and leaves, and no connection is left.
    pub(crate) fn finish(&mut self) {
        self.trace(|_| "---- the end begins".into());
        self.unreachable = None;
        for pool in 0..self.plan.pools.len() {
            self.resume(pool);
        }
        for round in 0.. {
            self.everything_moves();
            self.clients_come_to_an_end();
            self.check();
            if self.clients.iter().all(|client| client.closed && client.incoming.is_empty()) {
                break;
            }
            self.check_progress(round);
            self.pass_time(Duration::from_millis(20));
        }
        for _ in 0..20 {
            self.everything_moves();
            self.pass_time(Duration::from_millis(20));
        }
        self.check_all_at_rest();
        self.check_measured();
        for worker in 0..self.cores.len() {
            self.cores[worker].close_all(self.now);
            self.apply(worker);
        }
        self.connecting.clear();
        self.letters.clear();
        self.check_nothing_is_left();
    }

    fn everything_moves(&mut self) {
        for place in 0..self.clients.len() {
            self.deliver_client(place, true);
        }
        self.write_all();
        for place in 0..self.servers.len() {
            self.server_works(place, true);
            self.end_sleep(place);
            self.deliver_server(place, true);
        }
        self.write_all();
        while !self.connecting.is_empty() {
            self.connect(0);
        }
        while !self.letters.is_empty() {
            self.deliver_letter(0);
        }
        while !self.cancels.is_empty() {
            self.deliver_cancel(0);
        }
        self.write_all();
        for place in 0..self.clients.len() {
            self.client_reads(place, true);
        }
        self.write_all();
    }

    fn clients_come_to_an_end(&mut self) {
        for place in 0..self.clients.len() {
            let client = &mut self.clients[place];
            if !client.is_running() {
                continue;
            }
            if client.diverged && !client.misbehaved {
                self.client_leaves(place);
            } else if !client.script.is_empty() {
                self.client_sends(place);
            } else if client.is_answered() {
                self.check_reported(place);
                self.client_leaves(place);
            }
        }
    }
}
