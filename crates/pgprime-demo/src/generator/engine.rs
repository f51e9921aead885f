//! The event loop: sockets, the clock, and the clients' state machines put together.

use std::io::{ErrorKind, Result as IoResult};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mio::{Events, Poll, Token};
use pgprime_wire::frame::Header;
use pgprime_wire::frontend::encode;

use super::client::{Client, Event, Phase, Request};
use super::recorder::{Outcome, Progress};
use super::run::{Run, RunOptions};
use super::socket::Socket;
use super::timer::{SLEEP_MAX, Timer};
use super::workload::Workload;
use crate::login::{Login, LoginMaterial};
use crate::server::{Address, Server};

/// Connections that are being made or logged in at one time: within the usual length of the listener's queue.
const LOGINS_IN_FLIGHT_MAX: usize = 128;
/// Longest time in which no login completes.
const LOGIN_PATIENCE: Duration = Duration::from_secs(60);
/// Largest message accepted from a server.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
const READ_BYTES: usize = 64 << 10;
const EVENTS_MAX: usize = 1024;
const TIMER: Token = Token(usize::MAX - 1);

/// Many connections and what they do. Dropping it closes them all, with the protocol's farewell.
pub(crate) struct Generator<'a, W: Workload> {
    poll: Poll,
    events: Events,
    timer: Timer,
    clock: Instant,
    address: Address,
    material: LoginMaterial,
    workload: W,
    clients: Vec<Client<W::Session>>,
    idle: Vec<usize>,
    busy: usize,
    logging_in: usize,
    dead: usize,
    run: Option<Run>,
    lost: Option<String>,
    input: Vec<u8>,
    out: Vec<u8>,
    stop: &'a AtomicBool,
}

impl<'a, W: Workload> Generator<'a, W> {
    /// A generator without clients. Setting `stop` ends a login or a run early.
    pub(crate) fn new(server: &Server, workload: W, stop: &'a AtomicBool) -> anyhow::Result<Self> {
        let poll = Poll::new().context("making an event queue")?;
        let timer = Timer::new(poll.registry(), TIMER).context("making a timer")?;
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            timer,
            clock: Instant::now(),
            address: server.address.clone(),
            material: LoginMaterial::new(server),
            workload,
            clients: Vec::new(),
            idle: Vec::new(),
            busy: 0,
            logging_in: 0,
            dead: 0,
            run: None,
            lost: None,
            input: vec![0; READ_BYTES],
            out: Vec::with_capacity(READ_BYTES),
            stop,
        })
    }

    /// Connects and logs in `count` clients, a bounded number at a time. Gives the time from the first connection to
    /// the last client's first ReadyForQuery.
    pub(crate) fn login(&mut self, count: usize, observe: &mut dyn FnMut(usize)) -> anyhow::Result<Duration> {
        let started = Instant::now();
        let (mut last_change, mut seen) = (started, 0);
        self.clients.reserve(count);
        while self.idle.len() < count {
            if self.stop.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            while self.clients.len() < count && self.logging_in < LOGINS_IN_FLIGHT_MAX {
                self.connect()?;
            }
            self.turn(SLEEP_MAX)?;
            if let Some(error) = self.lost.take() {
                bail!("client {} of {count} could not log in: {error}", self.idle.len() + 1);
            }
            if self.idle.len() != seen {
                (seen, last_change) = (self.idle.len(), Instant::now());
                observe(seen);
            }
            if last_change.elapsed() > LOGIN_PATIENCE {
                bail!("only {seen} of {count} clients could log in, none in the last 60 s");
            }
        }
        Ok(started.elapsed())
    }

    /// Runs requests until the limit is reached and all answers are in.
    pub(crate) fn run(
        &mut self,
        options: &RunOptions,
        observe: &mut dyn FnMut(&Progress),
    ) -> anyhow::Result<Outcome> {
        let run = Run::new(options, self.workload.kinds(), self.now_ns());
        self.run = Some(run);
        self.begin_idle();
        loop {
            let now_ns = self.now_ns();
            let (busy, no_clients) = (self.busy, self.dead == self.clients.len());
            let Some(run) = &mut self.run else { bail!("a run without its state") };
            if self.stop.load(Ordering::Relaxed) {
                run.stop();
            }
            if let Some(progress) = run.progress(busy, now_ns) {
                observe(&progress);
            }
            if no_clients || run.is_over(busy, now_ns) {
                break;
            }
            let wait = run.idle_time(now_ns);
            let wait = self.timer.arm(wait).context("setting the timer")?;
            self.turn(wait)?;
            self.begin_arrivals();
        }
        self.run.take().map(Run::outcome).context("a run without its state")
    }

    fn now_ns(&self) -> u64 {
        self.clock.elapsed().as_nanos() as u64
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let mut socket = Socket::connect(&self.address)
            .with_context(|| format!("connecting client {} to {:?}", self.clients.len() + 1, self.address))?;
        socket.register(self.poll.registry(), Token(self.clients.len())).context("watching a socket")?;
        let (partial, unsent) = (Vec::new(), Vec::new());
        let session = W::Session::default();
        self.clients.push(Client { socket, phase: Phase::Connecting, partial, unsent, session });
        self.logging_in += 1;
        Ok(())
    }

    /// Waits for events and handles them.
    fn turn(&mut self, wait: Duration) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            other => other.context("waiting for events")?,
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let Token(index) = event.token();
            if event.is_writable() {
                self.writable(index);
            }
            if event.is_read_closed() || event.is_error() {
                self.readable(index, 0);
            } else if event.is_readable() {
                self.readable(index, READ_BYTES);
            }
        }
        self.events = events;
        Ok(())
    }

    fn writable(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if matches!(client.phase, Phase::Connecting) {
            match client.socket.is_connected() {
                Ok(false) => return,
                Ok(true) => {
                    client.phase = Phase::LoggingIn(Login::default());
                    self.out.extend_from_slice(self.material.startup());
                }
                Err(error) => return self.lose(index, error.to_string()),
            }
            self.send(index);
        } else if !client.unsent.is_empty() {
            self.out = std::mem::take(&mut client.unsent);
            self.send(index);
        }
    }

    /// Reads what has arrived. A read of fewer than `full_bytes` was the last: nothing is left in the socket then, but
    /// for the end of the stream, which is announced.
    fn readable(&mut self, index: usize, full_bytes: usize) {
        let mut input = std::mem::take(&mut self.input);
        while !matches!(self.clients[index].phase, Phase::Dead | Phase::Connecting) {
            match self.clients[index].socket.read(&mut input) {
                Ok(0) => self.lose(index, "the server closed the connection".into()),
                Ok(count) => {
                    self.received(index, &input[..count]);
                    if count < full_bytes {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.lose(index, error.to_string()),
            }
        }
        self.input = input;
    }

    fn received(&mut self, index: usize, bytes: &[u8]) {
        if self.clients[index].partial.is_empty() {
            let used = self.messages(index, bytes);
            let rest = &bytes[used..];
            if !rest.is_empty() && !matches!(self.clients[index].phase, Phase::Dead) {
                self.clients[index].partial = rest.to_vec();
            }
        } else {
            let mut partial = std::mem::take(&mut self.clients[index].partial);
            partial.extend_from_slice(bytes);
            let used = self.messages(index, &partial);
            partial.drain(..used);
            if !partial.is_empty() {
                self.clients[index].partial = partial;
            }
        }
        self.send(index);
    }

    /// Handles the whole messages at the start of `bytes`; gives the number of bytes they have.
    fn messages(&mut self, index: usize, bytes: &[u8]) -> usize {
        let mut used = 0;
        while !matches!(self.clients[index].phase, Phase::Dead) {
            let rest = &bytes[used..];
            match Header::peek(rest) {
                Ok(None) => break,
                Ok(Some(header)) if header.len > MESSAGE_BYTES_MAX => {
                    self.lose(index, format!("a message of {} bytes is too long", header.len));
                }
                Ok(Some(header)) if rest.len() < header.len => break,
                Ok(Some(header)) => {
                    used += header.len;
                    let client = &mut self.clients[index];
                    let body = header.body(rest);
                    let event = client.message(
                        &mut self.workload,
                        &mut self.material,
                        header.tag,
                        body,
                        &mut self.out,
                    );
                    self.apply(index, event);
                }
                Err(error) => self.lose(index, error.to_string()),
            }
        }
        used
    }

    fn apply(&mut self, index: usize, event: Event) {
        match event {
            Event::None => {}
            Event::LoggedIn => {
                self.logging_in -= 1;
                self.idle.push(index);
            }
            Event::Answered { kind, since_ns } => {
                let now_ns = self.now_ns();
                if let Some(run) = &mut self.run {
                    run.answered(kind, since_ns, now_ns);
                }
                self.release(index, now_ns);
            }
            Event::Failed => self.release(index, self.now_ns()),
            Event::Error(text) => {
                if let Some(run) = &mut self.run {
                    run.errors.add(text);
                }
                if matches!(self.clients[index].phase, Phase::Idle) {
                    self.release(index, self.now_ns());
                }
            }
            Event::Broken(text) => self.lose(index, text),
        }
    }

    /// A client has its answer: it takes the next request, or becomes idle.
    fn release(&mut self, index: usize, now_ns: u64) {
        self.busy -= 1;
        match self.run.as_mut().and_then(|run| run.next_for_idle(now_ns)) {
            Some(since_ns) => self.begin(index, since_ns),
            None => self.idle.push(index),
        }
    }

    /// Appends the client's next request to the output.
    fn begin(&mut self, index: usize, since_ns: u64) {
        let client = &mut self.clients[index];
        let kind = self.workload.begin(&mut client.session, &mut self.out);
        client.phase = Phase::Busy(Request { kind, since_ns, failed: false });
        self.busy += 1;
    }

    /// At the start of a closed loop: every client that is idle begins.
    fn begin_idle(&mut self) {
        let mut idle = std::mem::take(&mut self.idle);
        idle.retain(|&index| {
            if matches!(self.clients[index].phase, Phase::Dead) {
                return false;
            }
            let now_ns = self.now_ns();
            match self.run.as_mut().and_then(|run| run.next_for_idle(now_ns)) {
                Some(since_ns) => {
                    self.begin(index, since_ns);
                    self.send(index);
                    false
                }
                None => true,
            }
        });
        self.idle.append(&mut idle);
    }

    /// In an open loop: gives the arrivals that are due to idle clients, chosen at random.
    fn begin_arrivals(&mut self) {
        let now_ns = self.now_ns();
        while let Some(since_ns) = self.run.as_mut().and_then(|run| run.next_arrival(now_ns)) {
            match self.pick_idle() {
                Some(index) => {
                    self.begin(index, since_ns);
                    self.send(index);
                }
                None => {
                    if let Some(run) = &mut self.run {
                        run.wait_in_backlog(since_ns);
                    }
                }
            }
        }
    }

    fn pick_idle(&mut self) -> Option<usize> {
        let run = self.run.as_mut()?;
        while !self.idle.is_empty() {
            let index = self.idle.swap_remove(run.random.usize(..self.idle.len()));
            if matches!(self.clients[index].phase, Phase::Idle) {
                return Some(index);
            }
        }
        None
    }

    /// Writes the output to a client's socket; what the kernel does not take waits with the client.
    fn send(&mut self, index: usize) {
        if self.out.is_empty() {
            return;
        }
        let client = &mut self.clients[index];
        if !client.unsent.is_empty() {
            client.unsent.append(&mut self.out);
        } else if let Err(error) = write_or_keep(client, &self.out) {
            self.lose(index, error.to_string());
        }
        self.out.clear();
    }

    fn lose(&mut self, index: usize, reason: String) {
        let client = &mut self.clients[index];
        match std::mem::replace(&mut client.phase, Phase::Dead) {
            Phase::Connecting | Phase::LoggingIn(_) => self.logging_in -= 1,
            Phase::Busy(_) | Phase::RollingBack => self.busy -= 1,
            Phase::Idle => {}
            Phase::Dead => return,
        }
        (client.partial, client.unsent) = (Vec::new(), Vec::new());
        self.dead += 1;
        self.out.clear();
        match &mut self.run {
            Some(run) => run.errors.add(format!("connection lost: {reason}")),
            None => self.lost = Some(reason),
        }
    }
}

fn write_or_keep<S>(client: &mut Client<S>, bytes: &[u8]) -> IoResult<()> {
    let written = client.socket.write(bytes)?;
    if written < bytes.len() {
        client.unsent = bytes[written..].to_vec();
    }
    Ok(())
}

impl<W: Workload> Drop for Generator<'_, W> {
    fn drop(&mut self) {
        self.out.clear();
        encode::terminate(&mut self.out);
        for client in &mut self.clients {
            if matches!(client.phase, Phase::Idle) {
                let _ = client.socket.write(&self.out);
            }
        }
    }
}
