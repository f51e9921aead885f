//! The size of the sample data and the relations between its tables, as pure functions of the row numbers.

use crate::data::random::{PowerLaw, RowRandom, mix};
use crate::data::text::DAY_SECONDS;

/// Years of business the sample data covers.
const HISTORY_DAYS: i64 = 3 * 365;
/// Skew of quotes over customers: with 60,000 customers the most frequent holds about 1 % of the quotes.
const CUSTOMER_SKEW: f64 = 0.7;
/// A prime larger than any plausible number of customers: multiplying by it permutes the customers.
const PERMUTATION: u64 = 2_147_483_647;

/// Rows of each table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Rows of `customers`.
    pub customers: u64,
    /// Rows of `quotes`.
    pub quotes: u64,
    /// Rows of `policies`; never more than quotes, since each is bound from its own.
    pub policies: u64,
    /// Rows of `claims`.
    pub claims: u64,
    /// Rows of `payments`.
    pub payments: u64,
    /// Rows of `admin_users`.
    pub admin_users: u64,
    /// Rows of `admin_activity`.
    pub admin_activity: u64,
    /// Rows of `analytics_events`.
    pub analytics_events: u64,
}

impl Counts {
    /// Scale 1 is about one million rows over all tables; fractions are allowed, with a floor of a few dozen rows.
    pub fn at_scale(scale: f64) -> Self {
        let rows = |base: f64, floor: u64| ((base * scale).round() as u64).max(floor);
        Self {
            customers: rows(60_000.0, 40),
            quotes: rows(240_000.0, 160),
            policies: rows(120_000.0, 80),
            claims: rows(40_000.0, 30),
            payments: rows(260_000.0, 160),
            admin_users: rows(50.0, 10),
            admin_activity: rows(60_000.0, 40),
            analytics_events: rows(220_000.0, 160),
        }
    }

    /// Rows over all tables.
    pub fn total(&self) -> u64 {
        self.customers
            + self.quotes
            + self.policies
            + self.claims
            + self.payments
            + self.admin_users
            + self.admin_activity
            + self.analytics_events
    }
}

/// The sample data as a function: the same seed, scale and day give the same rows, each of which can be made on
/// its own. Row ids run from 1 to the table's count.
#[derive(Clone, Copy, Debug)]
pub struct Dataset {
    /// Rows of each table.
    pub counts: Counts,
    seed: u64,
    now_seconds: i64,
    customer_law: PowerLaw,
}

impl Dataset {
    /// Data of the given scale whose newest rows are from `now_seconds` (seconds since 1970).
    pub fn new(scale: f64, seed: u64, now_seconds: i64) -> Self {
        let counts = Counts::at_scale(scale);
        Self { counts, seed, now_seconds, customer_law: PowerLaw::new(counts.customers, CUSTOMER_SKEW) }
    }

    /// The choices of one row; `stream` tells apart tables, and independent choices about one row.
    pub(crate) fn random(&self, stream: u64, id: u64) -> RowRandom {
        RowRandom::new(self.seed, stream, id)
    }

    /// The moment the newest rows are from, in seconds since 1970.
    pub(crate) fn now_seconds(&self) -> i64 {
        self.now_seconds
    }

    /// The customer at the fraction `u` of the customers' skewed distribution: few customers are frequent. Their
    /// ids are scattered.
    pub(crate) fn customer_at(&self, u: f64) -> u64 {
        let rank = self.customer_law.rank(u);
        1 + (rank.wrapping_mul(PERMUTATION) + self.seed % 1000) % self.counts.customers
    }

    /// The customer of a quote.
    pub(crate) fn quote_customer(&self, quote: u64) -> u64 {
        let hash = mix(self.seed ^ mix(quote));
        self.customer_at((hash >> 11) as f64 / (1_u64 << 53) as f64)
    }

    /// The quote a policy was bound from: policies are spread evenly over the quotes, each with its own quote.
    pub(crate) fn policy_quote(&self, policy: u64) -> u64 {
        1 + (policy - 1) * self.counts.quotes / self.counts.policies
    }

    /// Whether a quote was bound to a policy: the inverse of [`Dataset::policy_quote`].
    pub(crate) fn is_bound(&self, quote: u64) -> bool {
        let policy = 1 + ((quote - 1) * self.counts.policies).div_ceil(self.counts.quotes);
        policy <= self.counts.policies && self.policy_quote(policy) == quote
    }

    /// When row `id` of `count` was made: in order of the ids, the dates denser the more recent they are.
    pub(crate) fn moment(&self, id: u64, count: u64, random: &mut RowRandom) -> i64 {
        let age = (count - id.min(count)) as f64 / count as f64;
        let span_seconds = (HISTORY_DAYS * DAY_SECONDS) as f64;
        let jitter_seconds = random.between_signed(0, 600);
        (self.now_seconds - (span_seconds * age * age) as i64 - jitter_seconds).min(self.now_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_one_is_a_million_rows() {
        let total = Counts::at_scale(1.0).total();
        assert!((950_000..1_050_000).contains(&total), "{total}");
        assert!(Counts::at_scale(0.0).total() > 100);
    }

    #[test]
    fn policies_have_quotes_of_their_own() {
        for scale in [0.001, 0.0137, 0.05] {
            let data = Dataset::new(scale, 1, 1_800_000_000);
            let quotes: std::collections::HashSet<u64> =
                (1..=data.counts.policies).map(|policy| data.policy_quote(policy)).collect();
            assert_eq!(quotes.len() as u64, data.counts.policies);
            for quote in 1..=data.counts.quotes {
                assert_eq!(data.is_bound(quote), quotes.contains(&quote), "quote {quote} at {scale}");
            }
        }
    }

    #[test]
    fn customers_are_in_range_and_skewed() {
        let data = Dataset::new(0.05, 9, 1_800_000_000);
        let mut counts = vec![0_u64; data.counts.customers as usize + 1];
        for quote in 1..=data.counts.quotes {
            counts[data.quote_customer(quote) as usize] += 1;
        }
        assert_eq!(counts[0], 0);
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let head: u64 = counts[..counts.len() / 10].iter().sum();
        assert!(head * 10 > data.counts.quotes * 4, "a tenth of the customers has {head} quotes");
        assert!(counts[0] > 20 && counts[counts.len() / 2] < 10);
    }

    #[test]
    fn recent_dates_are_dense() {
        let data = Dataset::new(0.05, 9, 1_800_000_000);
        let last_90_days = 1_800_000_000 - 90 * DAY_SECONDS;
        let count = data.counts.quotes;
        let recent = (1..=count)
            .filter(|&id| data.moment(id, count, &mut data.random(1, id)) > last_90_days)
            .count() as u64;
        assert!(recent * 100 / count > 20, "{recent} of {count} in the last 8 % of the time");
    }
}
