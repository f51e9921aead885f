use super::*;
use crate::declaration::Declarations;
use crate::pressure::StandbyLag;

fn view(more: &str) -> ViewDeclaration {
    let text = format!("[[views]]\nname = 'v'\nsql = 'SELECT 1'\n{more}");
    Declarations::from_toml(&text).unwrap().views()[0].clone()
}

/// Minutes of the day on which everything here happens.
fn at(minutes: i64) -> Timestamp {
    let midnight: Timestamp = "2025-03-01T00:00:00Z".parse().unwrap();
    Timestamp::from_second(midnight.as_second() + minutes * 60).unwrap()
}

fn fresh(minutes: i64, changes: u64) -> ViewState {
    ViewState {
        is_populated: true,
        refreshed_at: Some(at(minutes)),
        changes: Changes::Rows(changes),
        ..ViewState::default()
    }
}

fn failed(times: u32) -> ViewState {
    ViewState { failures: times, failed_at: Some(at(0)), ..fresh(-60, 1) }
}

const CALM: Pressure =
    Pressure { active: 10, sessions_max: 100, standby: None, waiting: None, is_view_vacuumed: false };
const BUSY: Pressure = Pressure { active: 51, ..CALM };
const VACUUMED: Pressure = Pressure { is_view_vacuumed: true, ..CALM };

fn refresh(reason: Reason) -> Decision {
    Decision::Refresh { reason }
}

fn wait(until: impl Into<Option<i64>>) -> Decision {
    Decision::Wait { until: until.into().map(at), because: Hold::NotDue }
}

#[track_caller]
fn check(declaration: &str, now: i64, state: &ViewState, pressure: &Pressure, expected: &Decision) {
    let decided = next_refresh(at(now), state, &view(declaration), pressure, &Policy::default());
    assert_eq!(decided, *expected, "{declaration} at {now} with {state:?}, {pressure:?}");
}

#[test]
fn what_holds_nothing_is_filled() {
    let empty = ViewState::default();
    for declaration in ["", "schedule = '15m'", "schedule = '0 3 * * *'"] {
        for pressure in [CALM, BUSY] {
            check(declaration, 0, &empty, &pressure, &refresh(Reason::First));
        }
    }
    let unknown = ViewState { is_populated: true, ..empty };
    check("schedule = '15m'", 0, &unknown, &CALM, &refresh(Reason::First));
    check("", 0, &ViewState { is_populated: false, ..fresh(0, 0) }, &CALM, &refresh(Reason::First));
}

#[test]
fn a_schedule_makes_due_what_has_changed() {
    let every = "schedule = '15m'";
    check(every, 10, &fresh(0, 5), &CALM, &wait(15));
    check(every, 15, &fresh(0, 5), &CALM, &refresh(Reason::Schedule));
    check(every, 400, &fresh(0, 5), &CALM, &refresh(Reason::Schedule));
    check(every, 15, &fresh(0, 0), &CALM, &Decision::Skip { until: Some(at(30)) });
    check(every, 400, &fresh(0, 0), &CALM, &Decision::Skip { until: Some(at(415)) });
    let noted = ViewState { unchanged_at: Some(at(15)), ..fresh(0, 5) };
    check(every, 20, &noted, &CALM, &wait(30));
    check(every, 30, &noted, &CALM, &refresh(Reason::Schedule));
    let unknown = ViewState { changes: Changes::Unknown, ..fresh(0, 0) };
    check(every, 15, &unknown, &CALM, &refresh(Reason::Schedule));
    let reset = ViewState { changes: Changes::AtLeast(0), ..fresh(0, 0) };
    check(every, 15, &reset, &CALM, &refresh(Reason::Schedule));
    let nightly = "schedule = '0 3 * * *'";
    check(nightly, 179, &fresh(0, 5), &CALM, &wait(180));
    check(nightly, 180, &fresh(0, 5), &CALM, &refresh(Reason::Schedule));
    check(nightly, 181, &fresh(180, 5), &CALM, &wait(180 + 1_440));
    check(nightly, 180, &fresh(0, 0), &CALM, &Decision::Skip { until: Some(at(180 + 1_440)) });
    check("", 99_999, &fresh(0, 5), &CALM, &wait(None));
}

#[test]
fn a_budget_that_is_about_to_break_brings_forward() {
    // A twentieth of 60 minutes before its end, or two durations where that is more, but never before half of it.
    let aged = "schedule = '0 3 * * *'\nstaleness = { age_max = '60m' }";
    check(aged, 50, &fresh(0, 1), &CALM, &wait(57));
    check(aged, 57, &fresh(0, 1), &CALM, &refresh(Reason::Age));
    check(aged, 57, &fresh(0, 1), &BUSY, &refresh(Reason::Age));
    check(aged, 57, &fresh(0, 0), &CALM, &wait(180));
    let slow =
        |minutes: u64| ViewState { duration_last: Some(Duration::from_secs(minutes * 60)), ..fresh(0, 1) };
    check(aged, 39, &slow(10), &CALM, &wait(40));
    check(aged, 40, &slow(10), &CALM, &refresh(Reason::Age));
    check(aged, 29, &slow(300), &CALM, &wait(30));
    check(aged, 30, &slow(300), &CALM, &refresh(Reason::Age));
    let noted = ViewState { unchanged_at: Some(at(20)), ..fresh(0, 1) };
    check(aged, 57, &noted, &CALM, &wait(77));

    let counted = "staleness = { changes_max = 100 }";
    check(counted, 1, &fresh(0, 89), &CALM, &wait(None));
    check(counted, 1, &fresh(0, 90), &BUSY, &refresh(Reason::Changes));
    check("staleness = { changes_max = 1 }", 1, &fresh(0, 0), &CALM, &wait(None));
    check("staleness = { changes_max = 1 }", 1, &fresh(0, 1), &CALM, &refresh(Reason::Changes));
    let reset = ViewState { changes: Changes::AtLeast(95), ..fresh(0, 0) };
    check(counted, 1, &reset, &CALM, &refresh(Reason::Changes));
}

#[test]
fn pressure_holds_back_within_limits() {
    let held = |pressure: Pressure, until| {
        let cause = pressure.cause(&Policy::default()).unwrap();
        Decision::Wait { until: Some(until), because: Hold::Pressure { cause } }
    };
    let half = |minutes: i64| Timestamp::from_second(at(minutes).as_second() + 30).unwrap();
    let every = "schedule = '15m'";
    check(every, 16, &fresh(0, 5), &BUSY, &held(BUSY, half(16)));
    check(every, 16, &fresh(0, 5), &VACUUMED, &held(VACUUMED, half(16)));
    // Without a budget for one round.
    check(every, 30, &fresh(0, 5), &BUSY, &refresh(Reason::Schedule));
    let aged = "schedule = '15m'\nstaleness = { age_max = '60m' }";
    check(aged, 56, &fresh(0, 5), &BUSY, &held(BUSY, half(56)));
    check(aged, 57, &fresh(0, 5), &BUSY, &refresh(Reason::Age));
    check(every, 16, &fresh(0, 0), &BUSY, &Decision::Skip { until: Some(at(31)) });
    // What failed waits as well, from its failure on.
    check(every, 1, &failed(1), &BUSY, &held(BUSY, half(1)));
    check(every, 15, &failed(1), &BUSY, &refresh(Reason::Retry));
    check("", 1, &failed(1), &BUSY, &refresh(Reason::Retry));
}

#[test]
fn what_holds_back_is_said() {
    let decided = next_refresh(at(16), &fresh(0, 5), &view("schedule = '15m'"), &BUSY, &Policy::default());
    assert_eq!(decision_text(at(16), &decided), "in 30s (held back: 51 of 50 sessions at work)");
    let json = serde_json::to_value(&decided).unwrap();
    let expected =
        serde_json::json!({ "reason": "pressure", "cause": "sessions", "active": 51, "active_max": 50 });
    assert_eq!(json["because"], expected, "{json}");
    let standby = StandbyLag { name: "db2".to_owned(), behind: Duration::from_secs(42) };
    let because = Hold::Pressure { cause: PressureCause::Standby(standby) };
    let expected =
        serde_json::json!({ "reason": "pressure", "cause": "standby", "name": "db2", "behind": "42s" });
    assert_eq!(serde_json::to_value(because).unwrap(), expected);
}

#[test]
fn failures_wait_longer_each_time() {
    let every = "schedule = '15m'";
    let held = |seconds: i64, because| {
        let until = Timestamp::from_second(at(0).as_second() + seconds).unwrap();
        Decision::Wait { until: Some(until), because }
    };
    for (failures, seconds) in [(1, 30), (2, 60), (3, 120), (4, 240)] {
        check(every, 0, &failed(failures), &CALM, &held(seconds, Hold::Backoff { failures }));
    }
    check(every, 1, &failed(1), &CALM, &refresh(Reason::Retry));
    check(every, 4, &failed(4), &CALM, &refresh(Reason::Retry));
    for failures in [5, 6, u32::MAX] {
        check(every, 4, &failed(failures), &CALM, &held(21_600, Hold::Failing { failures }));
        check(every, 360, &failed(failures), &CALM, &refresh(Reason::Retry));
    }
    // A budget does not make what fails any better.
    let counted = "staleness = { changes_max = 1 }";
    check(counted, 0, &failed(1), &CALM, &held(30, Hold::Backoff { failures: 1 }));
    // What never was refreshed waits as well.
    let never = ViewState { failures: 1, failed_at: Some(at(0)), ..ViewState::default() };
    check(every, 0, &never, &CALM, &held(30, Hold::Backoff { failures: 1 }));
    check(every, 1, &never, &CALM, &refresh(Reason::Retry));
}

#[test]
fn a_clock_that_was_set_back_stops_nothing() {
    check("schedule = '15m'", 0, &fresh(600, 1), &CALM, &wait(15));
    let later_failure = ViewState { failed_at: Some(at(600)), ..failed(1) };
    let until = Timestamp::from_second(at(0).as_second() + 30).unwrap();
    let because = Hold::Backoff { failures: 1 };
    check("schedule = '15m'", 0, &later_failure, &CALM, &Decision::Wait { until: Some(until), because });
}
