//! The load: requests that hold a server for a time that is known, and a log of all of them.

use std::cell::RefCell;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Instant;

use pgprime_wire::frontend::encode;
use pgprime_wire::tag::backend as tag;

use super::service::ServiceTimes;
use crate::generator::{Fault, Next, Workload};
use crate::rows::Row;

/// One answered request. Times are nanoseconds since the start of its run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    /// When it arrived, as planned.
    pub(super) due_ns: u64,
    /// When it was sent.
    pub(super) begun_ns: u64,
    /// When its answer was complete.
    pub(super) ended_ns: u64,
    /// What it asked PostgreSQL to sleep.
    pub(super) sleep_ms: u32,
}

impl Request {
    /// Response time but for the sleep itself, in milliseconds.
    pub(super) fn excess_ms(&self) -> f64 {
        milliseconds(self.ended_ns.saturating_sub(self.due_ns)) - f64::from(self.sleep_ms)
    }

    /// How late it was sent, in milliseconds.
    pub(super) fn late_ms(&self) -> f64 {
        milliseconds(self.begun_ns.saturating_sub(self.due_ns))
    }
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

/// When requests arrive. The generator's Poisson process for the same rate and seed: it tells a workload that a
/// request begins, not since when it was due.
#[derive(Clone, Debug)]
struct Timetable {
    rate: f64,
    due_ns: u64,
    random: fastrand::Rng,
}

impl Timetable {
    fn next_ns(&mut self) -> u64 {
        let uniform = 1.0 - self.random.f64();
        self.due_ns += (-uniform.ln() / self.rate * 1e9) as u64;
        self.due_ns
    }
}

/// One run: what is to be asked, and what has been answered.
#[derive(Debug)]
pub(super) struct Course {
    started: Instant,
    timetable: Timetable,
    services: ServiceTimes,
    known_ms: f64,
    /// Requests begun so far.
    begun: u64,
    answered: Vec<Request>,
}

impl Course {
    /// A run that starts now. `known_ms` of each service time pass without a sleep.
    pub(super) fn new(rate: f64, seed: u64, services: ServiceTimes, known_ms: f64) -> Self {
        let timetable = Timetable { rate, due_ns: 0, random: fastrand::Rng::with_seed(seed) };
        Self { started: Instant::now(), timetable, services, known_ms, begun: 0, answered: Vec::new() }
    }

    /// Requests that were sent, and those that were answered correctly.
    pub(super) fn into_log(self) -> (u64, Vec<Request>) {
        (self.begun, self.answered)
    }

    fn now_ns(&self) -> u64 {
        self.started.elapsed().as_nanos() as u64
    }
}

/// The request a client waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Session {
    number: u64,
    rows: u32,
    request: Request,
}

/// Sleeps, one after the other, as the current run says.
#[derive(Clone, Debug)]
pub(super) struct Sleeps {
    course: Rc<RefCell<Option<Course>>>,
    sql: Vec<u8>,
}

impl Sleeps {
    /// Without a run.
    pub(super) fn new() -> Self {
        Self { course: Rc::new(RefCell::new(None)), sql: Vec::with_capacity(80) }
    }

    /// Makes `course` the current run; gives the one before.
    pub(super) fn change(&self, course: Option<Course>) -> Option<Course> {
        std::mem::replace(&mut *self.course.borrow_mut(), course)
    }
}

impl Workload for Sleeps {
    type Session = Session;

    fn kinds(&self) -> &'static [&'static str] {
        &["sleep"]
    }

    fn begin(&mut self, session: &mut Session, out: &mut Vec<u8>) -> usize {
        let mut course = self.course.borrow_mut();
        let Some(course) = course.as_mut() else { return 0 };
        course.begun += 1;
        let request = Request {
            due_ns: course.timetable.next_ns(),
            begun_ns: course.now_ns(),
            ended_ns: 0,
            sleep_ms: course.services.draw_sleep_ms(course.known_ms),
        };
        *session = Session { number: course.begun, rows: 0, request };
        self.sql.clear();
        let _ = write!(
            self.sql,
            "SELECT {} FROM pg_sleep({})",
            session.number,
            argument_seconds(request.sleep_ms)
        );
        encode::query(out, &self.sql);
        0
    }

    fn message(&mut self, session: &mut Session, message_tag: u8, body: &[u8]) -> Result<(), Fault> {
        match message_tag {
            tag::DATA_ROW => {
                session.rows += 1;
                if Row::new(body).integer() != Some(session.number) {
                    return Err("the answer is to another request than the one sent".into());
                }
            }
            tag::COMMAND_COMPLETE | tag::ROW_DESCRIPTION => {}
            _ => return Err("a message that does not belong to the answer".into()),
        }
        Ok(())
    }

    fn ready(&mut self, session: &mut Session, status: u8, _out: &mut Vec<u8>) -> Result<Next, Fault> {
        if (session.rows, status) != (1, b'I') {
            return Err("the answer is not one row outside a transaction".into());
        }
        if let Some(course) = self.course.borrow_mut().as_mut() {
            let ended_ns = course.now_ns();
            course.answered.push(Request { ended_ns, ..session.request });
        }
        Ok(Next::Done)
    }

    fn abandon(&mut self, _session: &mut Session) {}
}

/// What `pg_sleep` is to be asked for so that it sleeps whole milliseconds: it rounds up to the next one, so half a
/// millisecond less is as far as can be from the one above and the one below.
fn argument_seconds(sleep_ms: u32) -> f64 {
    (f64::from(sleep_ms) - 0.5).max(0.0) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeps(rate: f64) -> Sleeps {
        let sleeps = Sleeps::new();
        sleeps.change(Some(Course::new(rate, 5, ServiceTimes::new(20.0, 0.0, 1), 0.0)));
        sleeps
    }

    fn answer(number: &str) -> Vec<u8> {
        let mut body = vec![0, 1];
        body.extend((number.len() as i32).to_be_bytes());
        body.extend(number.as_bytes());
        body
    }

    #[test]
    fn a_request_asks_and_is_logged() {
        let (mut sleeps, mut session, mut out) = (sleeps(1000.0), Session::default(), Vec::new());
        sleeps.begin(&mut session, &mut out);
        assert_eq!(&out[5..], b"SELECT 1 FROM pg_sleep(0.0195)\0");
        assert!(sleeps.message(&mut session, tag::DATA_ROW, &answer("2")).is_err());
        session.rows = 0;
        sleeps.message(&mut session, tag::DATA_ROW, &answer("1")).unwrap();
        assert!(sleeps.ready(&mut session, b'T', &mut out).is_err());
        assert_eq!(sleeps.ready(&mut session, b'I', &mut out), Ok(Next::Done));
        let (begun, log) = sleeps.change(None).unwrap().into_log();
        assert_eq!((begun, log.len(), log[0].sleep_ms), (1, 1, 20));
        assert!(log[0].ended_ns >= log[0].begun_ns);
    }

    #[test]
    fn excess_is_counted_from_the_arrival() {
        let request = Request { due_ns: 1_000_000, begun_ns: 1_500_000, ended_ns: 23_250_000, sleep_ms: 20 };
        assert!((request.excess_ms() - 2.25).abs() < 1e-9 && (request.late_ms() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn arrivals_come_at_their_rate() {
        let mut timetable = Timetable { rate: 1000.0, due_ns: 0, random: fastrand::Rng::with_seed(5) };
        let last_ns = (0..10_000).map(|_| timetable.next_ns()).last().unwrap();
        assert!((9_700_000_000..10_300_000_000).contains(&last_ns), "{last_ns}");
    }

    #[test]
    fn sleeps_are_asked_half_a_millisecond_short() {
        assert_eq!([0, 1, 20].map(argument_seconds), [0.0, 0.0005, 0.0195]);
    }
}
