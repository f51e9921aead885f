//! Quotes, policies, claims and payments: each made from its id, and consistent with the rows it refers to.

use crate::data::dataset::Dataset;
use crate::data::names::{CAUSES, CHANNELS, PAYMENT_METHODS, PRODUCTS};
use crate::data::people::customer_since;
use crate::data::random::RowRandom;
use crate::data::text::{DAY_SECONDS, RowWriter};

const STREAM_QUOTE: u64 = 11;
const STREAM_POLICY: u64 = 12;
const STREAM_CLAIM: u64 = 13;
const STREAM_PAYMENT: u64 = 14;
const QUOTE_VALID_SECONDS: i64 = 30 * DAY_SECONDS;
const POLICY_DAYS: i64 = 365;
/// Every so many-th payment goes out to a customer, for a claim.
const PAYOUT_EVERY: u64 = 12;

/// The facts of a quote that others refer to.
pub(crate) struct Quote {
    pub(crate) customer: u64,
    pub(crate) product: &'static str,
    pub(crate) status: &'static str,
    pub(crate) coverage_cents: u64,
    pub(crate) premium_cents: u64,
    pub(crate) created: i64,
}

impl Quote {
    pub(crate) fn of(data: &Dataset, id: u64) -> Self {
        let mut random = data.random(STREAM_QUOTE, id);
        let customer = data.quote_customer(id);
        let own = data.moment(id, data.counts.quotes, &mut random);
        let created = own.max(customer_since(data, customer));
        let product = random.pick_weighted(PRODUCTS);
        let coverage_cents = coverage_cents(product, &mut random);
        let premium_cents = (coverage_cents as f64 * (0.006 + 0.012 * random.fraction())) as u64;
        let status = quote_status(data, id, created, &mut random);
        Self { customer, product, status, coverage_cents, premium_cents: premium_cents.max(2_500), created }
    }
}

fn coverage_cents(product: &str, random: &mut RowRandom) -> u64 {
    let thousands = match product {
        "car" => random.between(8, 60),
        "home" => random.between(120, 900),
        "contents" => random.between(10, 90),
        "liability" => random.between(50, 500),
        "travel" => random.between(2, 12),
        _ => random.between(50, 400),
    };
    thousands * 100_000
}

fn quote_status(data: &Dataset, id: u64, created: i64, random: &mut RowRandom) -> &'static str {
    let open = created + QUOTE_VALID_SECONDS > data.now_seconds();
    match (data.is_bound(id), random.percent(25), open) {
        (true, _, _) => "bound",
        (false, true, _) => "declined",
        (false, false, true) => "open",
        (false, false, false) => "expired",
    }
}

pub(crate) fn write_quote(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let quote = Quote::of(data, id);
    let mut random = data.random(STREAM_QUOTE + 100, id);
    let mut row = RowWriter::new(out);
    row.integer(id).integer(quote.customer).text(quote.product).text(quote.status);
    row.money(quote.coverage_cents).money(random.between(0, 11) * 10_000).money(quote.premium_cents);
    let (channel, discount) = (random.pick_weighted(CHANNELS), random.between(0, 4) * 5);
    row.formatted(format_args!(r#"{{"channel": "{channel}", "discount_percent": {discount}}}"#));
    row.timestamp(quote.created).timestamp(quote.created + QUOTE_VALID_SECONDS).end();
}

/// The facts of a policy that others refer to.
pub(crate) struct Policy {
    pub(crate) quote: Quote,
    pub(crate) quote_id: u64,
    pub(crate) created: i64,
}

impl Policy {
    pub(crate) fn of(data: &Dataset, id: u64) -> Self {
        let quote_id = data.policy_quote(id);
        let quote = Quote::of(data, quote_id);
        let mut random = data.random(STREAM_POLICY, id);
        let decided = random.between_signed(300, 10 * DAY_SECONDS);
        let created = (quote.created + decided).min(data.now_seconds());
        Self { quote, quote_id, created }
    }

    fn starts_on(&self) -> i64 {
        self.created / DAY_SECONDS
    }
}

pub(crate) fn write_policy(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let policy = Policy::of(data, id);
    let mut random = data.random(STREAM_POLICY + 100, id);
    let over = policy.starts_on() + POLICY_DAYS < data.now_seconds() / DAY_SECONDS;
    let status = match (random.between(0, 100), over) {
        (0..=5, _) => "cancelled",
        (6..=8, _) => "lapsed",
        (_, true) => "expired",
        (_, false) => "active",
    };
    let mut row = RowWriter::new(out);
    row.integer(id).integer(policy.quote_id).integer(policy.quote.customer);
    row.text(policy.quote.product).text(status);
    row.money(policy.quote.premium_cents).money(policy.quote.coverage_cents);
    row.date(policy.starts_on()).date(policy.starts_on() + POLICY_DAYS);
    row.timestamp(policy.created).end();
}

/// The facts of a claim that others refer to.
pub(crate) struct Claim {
    pub(crate) policy_id: u64,
    pub(crate) status: &'static str,
    pub(crate) asked_cents: u64,
    pub(crate) paid_cents: Option<u64>,
    pub(crate) filed: i64,
}

impl Claim {
    pub(crate) fn of(data: &Dataset, id: u64) -> Self {
        let mut random = data.random(STREAM_CLAIM, id);
        let policy_id = random.between(1, data.counts.policies + 1);
        let policy = Policy::of(data, policy_id);
        let last = data.now_seconds().min(policy.created + POLICY_DAYS * DAY_SECONDS);
        let filed = random.between_signed(policy.created, last);
        let age_days = (data.now_seconds() - filed) / DAY_SECONDS;
        let status = claim_status(age_days, &mut random);
        // To a high power: most claims are small, and all of them together are less than the premiums.
        let asked_cents =
            5_000 + (policy.quote.coverage_cents as f64 * 0.3 * random.fraction().powi(12)) as u64;
        let paid_cents = (status == "paid").then(|| asked_cents * random.between(60, 101) / 100);
        Self { policy_id, status, asked_cents, paid_cents, filed }
    }
}

fn claim_status(age_days: i64, random: &mut RowRandom) -> &'static str {
    let settled: &[(&str, u64)] = &[("paid", 76), ("rejected", 18), ("approved", 3), ("in_review", 3)];
    let recent: &[(&str, u64)] = &[("filed", 45), ("in_review", 35), ("approved", 12), ("paid", 8)];
    random.pick_weighted(if age_days > 45 { settled } else { recent })
}

pub(crate) fn write_claim(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let claim = Claim::of(data, id);
    let mut random = data.random(STREAM_CLAIM + 100, id);
    let mut row = RowWriter::new(out);
    row.integer(id).integer(claim.policy_id).text(claim.status).text(random.pick_weighted(CAUSES));
    row.money(claim.asked_cents).money_or_null(claim.paid_cents);
    let (photos, police) = (random.between(0, 12), random.percent(15));
    row.formatted(format_args!(r#"{{"photos": {photos}, "police_report": {police}}}"#));
    row.date((claim.filed / DAY_SECONDS) - random.between_signed(0, 7));
    row.timestamp(claim.filed).end();
}

pub(crate) fn write_payment(data: &Dataset, id: u64, out: &mut Vec<u8>) {
    let payout = payout(data, id);
    let mut random = data.random(STREAM_PAYMENT, id);
    let method = random.pick_weighted(PAYMENT_METHODS);
    let mut row = RowWriter::new(out);
    row.integer(id);
    let at = match payout {
        Some((claim_id, claim)) => {
            row.integer(claim.policy_id).integer(claim_id).text("payout").text("transfer").text("settled");
            row.money(claim.paid_cents.unwrap_or(claim.asked_cents).max(1));
            (claim.filed + 20 * DAY_SECONDS).min(data.now_seconds())
        }
        None => {
            let policy_id = random.between(1, data.counts.policies + 1);
            let policy = Policy::of(data, policy_id);
            let at = random.between_signed(policy.created, data.now_seconds());
            let status = random.pick_weighted(&[("settled", 95), ("pending", 3), ("failed", 2)]);
            row.integer(policy_id).null().text("premium").text(method).text(status);
            row.money(policy.quote.premium_cents / 12 + 1);
            at
        }
    };
    row.date(at / DAY_SECONDS).timestamp(at).end();
}

/// The paid claim that payment `id` pays out, if it is a payout.
fn payout(data: &Dataset, id: u64) -> Option<(u64, Claim)> {
    let claim_id = id / PAYOUT_EVERY;
    if !id.is_multiple_of(PAYOUT_EVERY) || claim_id == 0 || claim_id > data.counts.claims {
        return None;
    }
    let claim = Claim::of(data, claim_id);
    (claim.status == "paid").then_some((claim_id, claim))
}
