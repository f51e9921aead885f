//! Which statements are executed when, and how long that took: what the core tells its [`Measures`].

use std::time::Instant;

use pgprime_wire::backend::TransactionStatus;
use pgprime_wire::frontend::{self, Describe, Parse, Target};

use super::client::Client;
use super::ids::{ClientId, PoolIndex, ServerId};
use super::measure::{
    Execution, InFlight, MeasuredPage, MeasuredPart, Measures, Outcome, Place, Portal, Prepared, Sample,
    Surrounding, TEXT_BYTES_MAX, Unknown,
};
use super::parameters::Tracked;
use super::replies::{Expected, Owner, Reply};
use super::route::Kind;
use super::server::Server;
use super::state::Core;
use super::statements::Statement;
use super::stats::micros;

/// What a fastpath function call is counted as.
const FUNCTION_CALL: &[u8] = b"(function call)";

impl Core {
    /// A part of what was measured, from a line on.
    pub fn measured_page(&self, part: MeasuredPart, from: usize) -> MeasuredPage {
        self.measures.page(part, from)
    }

    /// Begins to measure anew.
    pub fn reset_measures(&mut self, now: Instant) {
        self.measures.reset(now);
    }

    /// The place of what a simple query or a fastpath call executes.
    #[inline]
    pub(super) fn place_of_query(&mut self, pool: PoolIndex, kind: Kind, body: &[u8]) -> Place {
        if !self.measures.is_on() {
            return Place::OTHER;
        }
        let text = if kind == Kind::FunctionCall { FUNCTION_CALL } else { body };
        self.place_of_text(pool, text.strip_suffix(b"\0").unwrap_or(text))
    }

    #[inline]
    fn place_of_text(&mut self, pool: PoolIndex, text: &[u8]) -> Place {
        match self.measures.known(pool, text) {
            Ok(place) => place,
            Err(unknown) => self.learn_text(unknown, pool, text),
        }
    }

    #[cold]
    fn learn_text(&mut self, unknown: Unknown, pool: PoolIndex, text: &[u8]) -> Place {
        let Some(profile) = self.pool(pool).map(|state| state.profile.clone()) else { return Place::OTHER };
        self.measures.learn(unknown, pool, (&profile.database, &profile.user), text)
    }

    /// The place of a prepared statement.
    #[inline]
    pub(super) fn place_of_statement(&mut self, pool: PoolIndex, statement: &Statement) -> Place {
        if !self.measures.is_on() {
            return Place::OTHER;
        }
        match self.measures.known_prepared(pool, &statement.place) {
            Some(place) => place,
            None => self.learn_statement(pool, statement),
        }
    }

    #[cold]
    fn learn_statement(&mut self, pool: PoolIndex, statement: &Statement) -> Place {
        let Some(profile) = self.pool(pool).map(|state| state.profile.clone()) else { return Place::OTHER };
        let names = (&*profile.database, &*profile.user);
        self.measures.learn_prepared(pool, names, statement.query(), &statement.place)
    }

    /// A portal for a statement of the client's that is on its way to a server. `rest` is what follows the names.
    #[inline]
    pub(super) fn note_bind(
        &mut self,
        id: ServerId,
        portal: &[u8],
        place: Place,
        statement: Option<&Statement>,
        rest: &[u8],
    ) {
        if !self.measures.is_on() {
            return;
        }
        let sample = statement.and_then(|statement| self.sample_of_bind(statement, rest));
        if let Some(server) = self.servers.get_mut(id) {
            server.in_flight.bind(portal, Portal { place, sample });
        }
    }

    #[inline]
    fn sample_of_bind(&self, statement: &Statement, rest: &[u8]) -> Option<Box<Sample>> {
        let redaction = self.measures.capture()?.redaction;
        let (text, types) = (statement.query(), statement.parameter_types());
        Some(Box::new(Sample::bind(text, types, rest, redaction)))
    }

    /// Parse, Bind and Describe of a client whose statements are not translated: the place of what they are about.
    #[inline(never)]
    pub(super) fn note_passed(&mut self, id: ServerId, kind: Kind, body: &[u8]) -> Place {
        if !self.measures.is_on() {
            return Place::OTHER;
        }
        let place = match kind {
            Kind::Parse => self.note_passed_parse(id, body),
            Kind::Bind => self.note_passed_bind(id, body),
            _ => self.note_passed_describe(id, body),
        };
        place.unwrap_or(Place::OTHER)
    }

    fn note_passed_parse(&mut self, id: ServerId, body: &[u8]) -> Option<Place> {
        let parse = Parse::decode(body).ok()?;
        let pool = self.servers.get(id)?.pool;
        let place = self.place_of_text(pool, parse.query);
        let captures = self.measures.capture().is_some();
        let kept = |bytes: &[u8]| if captures { Box::from(bytes) } else { Box::default() };
        let text = parse.query.get(..TEXT_BYTES_MAX).unwrap_or(parse.query);
        let prepared = Prepared { place, types: kept(parse.parameter_types), text: kept(text) };
        self.servers.get_mut(id)?.in_flight.prepare(parse.name, prepared);
        Some(place)
    }

    fn note_passed_bind(&mut self, id: ServerId, body: &[u8]) -> Option<Place> {
        let (portal, name, rest_at) = frontend::bind_names(body)?;
        let capture = self.measures.capture();
        let in_flight = &mut self.servers.get_mut(id)?.in_flight;
        let prepared = in_flight.prepared(name);
        let place = prepared.map_or(Place::OTHER, |prepared| prepared.place);
        let rest = body.get(rest_at..).unwrap_or_default();
        let sample = capture.zip(prepared).map(|(capture, prepared)| {
            Box::new(Sample::bind(&prepared.text, &prepared.types, rest, capture.redaction))
        });
        in_flight.bind(portal, Portal { place, sample });
        Some(place)
    }

    fn note_passed_describe(&self, id: ServerId, body: &[u8]) -> Option<Place> {
        let describe = Describe::decode(body).ok().filter(|describe| describe.target == Target::Statement)?;
        Some(self.servers.get(id)?.in_flight.prepared(describe.name)?.place)
    }

    /// What a simple query may be captured with.
    #[inline]
    pub(super) fn sample_of_query(&self, body: &[u8]) -> Option<Box<Sample>> {
        self.measures.capture()?;
        Some(Box::new(Sample::query(body.strip_suffix(b"\0").unwrap_or(body))))
    }

    /// A portal has been run, to its end or in part.
    #[inline]
    pub(super) fn note_executed(
        &mut self,
        id: ServerId,
        expected: Expected,
        is_suspended: bool,
        now: Instant,
    ) {
        let (Owner::Client(client), true) = (expected.owner, self.measures.is_on()) else { return };
        let Some(server) = self.servers.get_mut(id) else { return };
        let sample = server.replies.pop_sample();
        if is_suspended {
            let before = server.in_flight.suspended.filter(|(place, _)| *place == expected.place);
            server.in_flight.suspended = before.or(Some((expected.place, 0)));
            server.in_flight.is_unusual = true;
            return;
        }
        server.in_flight.push(expected.place, sample);
        if server.in_flight.is_flushed {
            let surrounding = surrounding(server.status);
            let begun_at = server.in_flight.begun_at.take().or(server.request_at).unwrap_or(now);
            let exec_us = micros(now.saturating_duration_since(begun_at));
            if let Some(client) = self.clients.get_mut(client) {
                let mut counting =
                    Counting { measures: &mut self.measures, tracked: &self.settings.tracked, now };
                counting.count_all(&mut server.in_flight, client, exec_us, surrounding);
                server.in_flight.flush();
            }
        }
    }

    /// A request of a client's is over: everything executed in it is counted.
    #[inline]
    pub(super) fn count_executions(
        &mut self,
        id: ServerId,
        client: ClientId,
        exec_us: u64,
        status: TransactionStatus,
        now: Instant,
    ) {
        if !self.measures.is_on() {
            return;
        }
        let (Some(server), Some(client)) = (self.servers.get_mut(id), self.clients.get_mut(client)) else {
            return;
        };
        let in_flight = &mut server.in_flight;
        let mut counting = Counting { measures: &mut self.measures, tracked: &self.settings.tracked, now };
        if in_flight.is_unusual {
            let begun_at = in_flight.begun_at.take();
            let exec_us = begun_at.map_or(exec_us, |begun| micros(now.saturating_duration_since(begun)));
            counting.count_all(in_flight, client, exec_us, surrounding(status));
        } else if let Some(place) = in_flight.take_single() {
            let execution = Execution::new(exec_us, std::mem::take(&mut in_flight.wait_us), Outcome::Done);
            counting.count(client, place, &execution, surrounding(status));
        }
        if status == TransactionStatus::Idle {
            in_flight.end_transaction();
        }
    }

    /// The client or the server of a request is lost: what was running counts as failed.
    pub(super) fn count_lost(&mut self, id: ServerId, client: &mut Client, now: Instant) {
        if let Some(server) = self.servers.get_mut(id).filter(|_| self.measures.is_on()) {
            let counting = Counting { measures: &mut self.measures, tracked: &self.settings.tracked, now };
            count_running(counting, server, client);
        }
    }

    /// As [`Core::count_lost`], for a server that is not among the others any more.
    pub(super) fn count_lost_with(&mut self, server: &mut Server, client: ClientId, now: Instant) {
        if let Some(client) = self.clients.get_mut(client).filter(|_| self.measures.is_on()) {
            let counting = Counting { measures: &mut self.measures, tracked: &self.settings.tracked, now };
            count_running(counting, server, client);
        }
    }
}

/// An error has ended a request of this owner's: what of it was not answered.
pub(super) fn note_failure(server: &mut Server, owner: Option<Owner>, failed: &[Expected]) {
    let count = failed.iter().filter(|expected| is_execution(expected)).count();
    let samples: Vec<_> = (0..count).map(|_| server.replies.pop_sample()).collect();
    let sample = samples.into_iter().next().flatten();
    if !matches!(owner, Some(Owner::Client(_))) {
        return;
    }
    let in_flight = &mut server.in_flight;
    in_flight.is_unusual = true;
    let by_client = |expected: &&Expected| matches!(expected.owner, Owner::Client(_));
    let cause = failed.first().filter(by_client).map_or(Place::OTHER, |expected| expected.place);
    let execution = failed.iter().find(|expected| is_execution(expected)).map(|expected| expected.place);
    match execution {
        Some(place) if cause == place || cause == Place::OTHER => {
            in_flight.push(place, sample);
            in_flight.has_failed = true;
        }
        // It failed at its very end, or is a simple query that is still to be counted.
        None if failed.is_empty() => in_flight.has_failed = true,
        _ => in_flight.unprepared = Some(cause),
    }
}

fn is_execution(expected: &Expected) -> bool {
    matches!((expected.owner, expected.reply), (Owner::Client(_), Reply::Execute))
}

fn surrounding(status: TransactionStatus) -> Surrounding {
    if status == TransactionStatus::Idle { Surrounding::Alone } else { Surrounding::Transaction }
}

fn count_running(mut counting: Counting<'_>, server: &mut Server, client: &mut Client) {
    let has_counted = server.in_flight.has_failed && server.in_flight.len() > 0;
    if !has_counted && let Some(place) = server.replies.first_execution() {
        let sample = server.replies.pop_sample();
        server.in_flight.push(place, sample);
        server.in_flight.has_failed = true;
    }
    let begun_at = server.in_flight.begun_at.take().or(server.request_at).unwrap_or(counting.now);
    let exec_us = micros(counting.now.saturating_duration_since(begun_at));
    counting.count_all(&mut server.in_flight, client, exec_us, surrounding(server.status));
}

/// What it takes to count.
struct Counting<'a> {
    measures: &'a mut Measures,
    tracked: &'a Tracked,
    now: Instant,
}

impl Counting<'_> {
    #[inline]
    fn count(&mut self, client: &mut Client, place: Place, execution: &Execution, surrounding: Surrounding) {
        self.identify(client);
        self.measures.executed(&mut client.measured, place, execution, surrounding, self.now);
    }

    #[inline]
    fn identify(&mut self, client: &mut Client) {
        if !self.measures.is_identified(&client.measured) {
            let application =
                self.tracked.index("application_name").and_then(|index| client.parameters.value(index));
            let application = application.unwrap_or_default();
            self.measures.identify(&mut client.measured, application, &client.info.user);
        }
    }

    /// Executions that were answered together have taken equal parts of the time: who of them took it cannot be seen.
    fn count_all(
        &mut self,
        in_flight: &mut InFlight,
        client: &mut Client,
        exec_us: u64,
        surrounding: Surrounding,
    ) {
        let all = in_flight.take_all();
        let share_us = exec_us / (all.len().max(1) as u64);
        let last = all.len().wrapping_sub(1);
        let own_us = if all.is_empty() { exec_us } else { 0 };
        for (number, (place, sample)) in all.into_iter().enumerate() {
            let has_failed = in_flight.has_failed && number == last;
            let outcome = if has_failed { Outcome::Failed } else { Outcome::Done };
            let before_us = match in_flight.suspended {
                Some((suspended, before_us)) if suspended == place => {
                    in_flight.suspended = None;
                    before_us
                }
                _ => 0,
            };
            let wait_us = std::mem::take(&mut in_flight.wait_us);
            let execution = Execution::new(share_us + before_us, wait_us, outcome);
            self.count(client, place, &execution, surrounding);
            if let Some(sample) = sample {
                self.measures.capture_if_slow(place, &sample, execution.exec_us, self.now);
            }
        }
        self.count_suspended(in_flight, client, own_us, surrounding);
        if let Some(place) = in_flight.unprepared.take() {
            self.identify(client);
            self.measures.not_prepared(&client.measured, place);
        }
        in_flight.forget();
    }

    /// A portal that was read in part is counted when its transaction ends.
    fn count_suspended(
        &mut self,
        in_flight: &mut InFlight,
        client: &mut Client,
        exec_us: u64,
        surrounding: Surrounding,
    ) {
        let Some((place, before_us)) = in_flight.suspended else { return };
        if surrounding == Surrounding::Transaction {
            in_flight.suspended = Some((place, before_us + exec_us));
            return;
        }
        in_flight.suspended = None;
        let wait_us = std::mem::take(&mut in_flight.wait_us);
        self.count(client, place, &Execution::new(before_us + exec_us, wait_us, Outcome::Done), surrounding);
    }
}
