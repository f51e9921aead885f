//! Customers, the insurer's own users, and what both leave behind: activity and events.

use crate::data::dataset::Dataset;
use crate::data::names::{
    ADMIN_ACTIONS, ADMIN_ROLES, CITIES, EVENT_KINDS, FIRST_NAMES, LAST_NAMES, PAGES, RISK_CLASSES, STREETS,
};
use crate::data::text::{DAY_SECONDS, RowWriter};

const STREAM_CUSTOMER: u64 = 1;
const STREAM_ADMIN_USER: u64 = 2;
const STREAM_ACTIVITY: u64 = 3;
const STREAM_EVENT: u64 = 4;
/// Visitors who are not logged in, of a hundred events.
const ANONYMOUS_PERCENT: u64 = 35;

/// When a customer joined, in seconds since 1970. Nothing of a customer is older.
pub(crate) fn customer_since(data: &Dataset, id: u64) -> i64 {
    let mut random = data.random(STREAM_CUSTOMER, id);
    data.moment(id, data.counts.customers, &mut random)
}

/// The address under which a customer is registered, in small letters.
pub(crate) fn customer_email(data: &Dataset, id: u64) -> String {
    let mut random = data.random(STREAM_CUSTOMER, id);
    data.moment(id, data.counts.customers, &mut random);
    let (first, last) = (random.pick(FIRST_NAMES), random.pick(LAST_NAMES));
    email(first, last, id)
}

fn email(first: &str, last: &str, id: u64) -> String {
    format!("{}.{}.{id}@example.com", first.to_lowercase(), last.to_lowercase())
}

pub(crate) fn write_customer(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let mut random = data.random(STREAM_CUSTOMER, id);
    let since = data.moment(id, data.counts.customers, &mut random);
    let (first, last) = (random.pick(FIRST_NAMES), random.pick(LAST_NAMES));
    let age_days = random.between_signed(18 * 365, 85 * 365);
    let mut row = RowWriter::new(out);
    row.integer(id).text(first).text(last).text(&email(first, last, id));
    row.formatted(format_args!("+44 20 7946 {:04}", random.between(0, 10_000)));
    row.formatted(format_args!("{} {}", random.between(1, 200), random.pick(STREETS)));
    row.text(random.pick_weighted(CITIES));
    row.formatted(format_args!("{:05}", random.between(1000, 99_999)));
    row.date(data.now_seconds() / DAY_SECONDS - age_days);
    row.text(random.pick_weighted(RISK_CLASSES));
    let newsletter = random.percent(40);
    row.formatted(format_args!(
        r#"{{"newsletter": {newsletter}, "claims_free_years": {}}}"#,
        random.between(0, 25)
    ));
    row.timestamp(since).end();
}

pub(crate) fn write_admin_user(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let mut random = data.random(STREAM_ADMIN_USER, id);
    let since = data.moment(id, data.counts.admin_users, &mut random);
    let (first, last) = (random.pick(FIRST_NAMES), random.pick(LAST_NAMES));
    let mut row = RowWriter::new(out);
    row.integer(id).formatted(format_args!("{first} {last}"));
    row.formatted(format_args!("{}{id}@insurer.example", first.to_lowercase()));
    row.text(random.pick_weighted(ADMIN_ROLES)).boolean(random.percent(90));
    row.timestamp(since).end();
}

pub(crate) fn write_admin_activity(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let mut random = data.random(STREAM_ACTIVITY, id);
    let at = data.moment(id, data.counts.admin_activity, &mut random);
    // The square of a fraction: a few users do most of the work.
    let user = 1 + (random.fraction().powi(2) * data.counts.admin_users as f64) as u64;
    let user = user.min(data.counts.admin_users);
    let done = random.pick_weighted(ADMIN_ACTIONS);
    let (action, entity) = done.split_once(' ').unwrap_or((done, ""));
    let entity_id = match entity {
        "customer" => random.between(1, data.counts.customers + 1),
        "quote" => random.between(1, data.counts.quotes + 1),
        "policy" => random.between(1, data.counts.policies + 1),
        "claim" => random.between(1, data.counts.claims + 1),
        "payment" => random.between(1, data.counts.payments + 1),
        _ => user,
    };
    let mut row = RowWriter::new(out);
    row.integer(id).integer(user).text(action).text(entity).integer(entity_id);
    row.formatted(format_args!(r#"{{"seconds": {}}}"#, random.between(1, 900)));
    row.timestamp(at).end();
}

pub(crate) fn write_analytics_event(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let mut random = data.random(STREAM_EVENT, id);
    let at = data.moment(id, data.counts.analytics_events, &mut random);
    let anonymous = random.percent(ANONYMOUS_PERCENT);
    let customer = data.customer_at(random.fraction());
    // Most pages are fast; one in a hundred takes seconds.
    let slow = if random.percent(1) { 40 } else { 1 };
    let duration_ms = slow * random.between(5, 180);
    let mut row = RowWriter::new(out);
    row.integer(id);
    if anonymous {
        row.null()
    } else {
        row.integer(customer)
    };
    row.text(random.pick_weighted(EVENT_KINDS)).text(random.pick_weighted(PAGES)).integer(duration_ms);
    let browser = random.pick_weighted(&[("chrome", 60), ("safari", 24), ("firefox", 11), ("other", 5)]);
    row.formatted(format_args!(r#"{{"browser": "{browser}", "screen": {}}}"#, random.between(320, 2560)));
    row.timestamp(at).end();
}
