//! Distributions of times in few bytes: log-linear buckets, of which only the range in use takes memory.

/// Buckets for each doubling. A value is told with an error of at most 1/17 (5.9 %).
const STEPS: u64 = 8;
const STEP_BITS: u32 = STEPS.trailing_zeros();
/// Longer times count as this one: about 71 minutes, in microseconds.
const VALUE_MAX: u64 = u32::MAX as u64;
/// Room is made for so many buckets at once.
const GROWTH: usize = 8;

/// The bucket of a value. Values below [`STEPS`] have one each.
pub(crate) fn bucket(value: u64) -> usize {
    let value = value.min(VALUE_MAX);
    if value < STEPS {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    ((u64::from(shift) << STEP_BITS) + (value >> shift)) as usize
}

/// The value that stands for a bucket: as far from its lower end as from its upper, in proportion.
fn representative(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = (bucket >> STEP_BITS) - 1;
    let lower = ((bucket & (STEPS - 1)) + STEPS) << shift;
    let upper = lower + (1 << shift);
    lower * upper / (lower + upper) * 2
}

/// How often which time was met. At most 240 buckets of 4 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// The bucket of the first count.
    first: u32,
    counts: Vec<u32>,
}

impl Histogram {
    /// Counts a value by its bucket.
    #[inline]
    pub(crate) fn count(&mut self, bucket: usize) {
        let place = bucket.wrapping_sub(self.first as usize);
        match self.counts.get_mut(place) {
            Some(count) if *count < u32::MAX => *count += 1,
            _ => self.count_rarely(bucket, 1),
        }
    }

    /// Adds another distribution.
    pub(crate) fn add(&mut self, other: &Self) {
        for (place, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.count_rarely(other.first as usize + place, *count);
        }
    }

    /// What came since `earlier`, a former state of the same distribution. Where counts were halved meanwhile, too little.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: usize| {
            let place = bucket.checked_sub(earlier.first as usize);
            place.and_then(|place| earlier.counts.get(place)).copied().unwrap_or(0)
        };
        let counts = (self.first as usize..).zip(&self.counts);
        let counts = counts.map(|(bucket, count)| count.saturating_sub(before(bucket))).collect();
        Self { first: self.first, counts }
    }

    /// The value that the share of all values does not exceed, as far as the buckets tell; 0 when there is none.
    pub(crate) fn quantile(&self, share: f64) -> u64 {
        let total: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return representative(self.first as usize + place);
            }
        }
        0
    }

    #[cold]
    fn count_rarely(&mut self, bucket: usize, by: u32) {
        self.make_room(bucket);
        let place = bucket - self.first as usize;
        let Some(count) = self.counts.get_mut(place) else { return };
        match count.checked_add(by) {
            Some(sum) => *count = sum,
            // The shape of the distribution matters, not its size.
            None => {
                self.counts.iter_mut().for_each(|count| *count /= 2);
                if let Some(count) = self.counts.get_mut(place) {
                    *count = count.saturating_add(by / 2);
                }
            }
        }
    }

    fn make_room(&mut self, bucket: usize) {
        let wanted = bucket / GROWTH * GROWTH;
        if self.counts.is_empty() {
            self.first = wanted as u32;
        }
        let first = self.first as usize;
        if wanted < first {
            self.counts.splice(0..0, std::iter::repeat_n(0, first - wanted));
            self.first = wanted as u32;
        }
        let length = (wanted + GROWTH).saturating_sub(self.first as usize);
        if length > self.counts.len() {
            self.counts.reserve_exact(length - self.counts.len());
            self.counts.resize(length, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.count(bucket(*value)));
        histogram
    }

    #[test]
    fn quantiles_are_near_the_exact_ones() {
        let mut rng = fastrand::Rng::with_seed(7);
        for round in 0..200 {
            let spread = 1u64 << (round % 32);
            let mut values: Vec<u64> =
                (0..1 + rng.usize(..2_000)).map(|_| rng.u64(..=spread) * rng.u64(1..3)).collect();
            let found = histogram(&values);
            values.sort_unstable();
            for share in [0.01, 0.5, 0.95, 0.99, 1.0] {
                let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
                let exact = values[rank - 1].min(VALUE_MAX) as f64;
                let told = found.quantile(share) as f64;
                assert!((told - exact).abs() <= 0.059 * exact + 0.5, "{share}: {told} for {exact}");
            }
        }
    }

    #[test]
    fn buckets_go_up_without_gaps() {
        let mut last = 0;
        for value in (0..100_000u64).chain([VALUE_MAX, u64::MAX]) {
            let bucket = bucket(value);
            assert!(bucket == last || bucket == last + 1 || value >= 100_000, "{value}");
            last = bucket;
        }
        assert_eq!(last, 239);
        let wide = histogram(&[0, u64::MAX]);
        assert!(wide.counts.capacity() * size_of::<u32>() <= 1_024);
    }

    #[test]
    fn nothing_overflows_and_sums_are_sums() {
        let mut full = histogram(&[5, 5, 900]);
        full.counts[5] = u32::MAX;
        full.count(5);
        assert_eq!(full.quantile(0.5), 5);
        let mut sum = histogram(&[1, 2, 3]);
        sum.add(&histogram(&[1_000_000, 2]));
        assert_eq!(sum, histogram(&[2, 1, 1_000_000, 2, 3]).clone());
        assert_eq!(Histogram::default().quantile(0.5), 0);
    }
}
