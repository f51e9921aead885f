//! Reproducible choices: one generator per row, so any row can be made again on its own.

/// The random choices of one row. The same seed, table and row always give the same sequence.
pub(crate) struct RowRandom {
    generator: fastrand::Rng,
}

impl RowRandom {
    /// The choices of row `id` of the table with the given stream number.
    pub(crate) fn new(seed: u64, stream: u64, id: u64) -> Self {
        let mixed = mix(mix(seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)) ^ id);
        Self { generator: fastrand::Rng::with_seed(mixed) }
    }

    /// A number in `low..high`; `low` when the range is empty.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { self.generator.u64(low..high) }
    }

    /// Like [`RowRandom::between`], for signed values.
    pub(crate) fn between_signed(&mut self, low: i64, high: i64) -> i64 {
        if high <= low { low } else { self.generator.i64(low..high) }
    }

    /// A fraction in `0.0..1.0`.
    pub(crate) fn fraction(&mut self) -> f64 {
        self.generator.f64()
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }

    /// One of `options`, each as likely as the other.
    pub(crate) fn pick<'a>(&mut self, options: &[&'a str]) -> &'a str {
        let at = self.between(0, options.len() as u64) as usize;
        options.get(at).copied().unwrap_or("")
    }

    /// One of `options`, as likely as its weight says.
    pub(crate) fn pick_weighted<'a>(&mut self, options: &[(&'a str, u64)]) -> &'a str {
        let total = options.iter().map(|(_, weight)| weight).sum();
        let mut left = self.between(0, total);
        for &(name, weight) in options {
            if left < weight {
                return name;
            }
            left -= weight;
        }
        ""
    }
}

/// Ranks drawn by a power law: rank 0 is the most frequent. Exact for the continuous form of Zipf's law, whose
/// inverse is closed: x = ((n^(1−s) − 1)·u + 1)^(1/(1−s)).
#[derive(Clone, Copy, Debug)]
pub(crate) struct PowerLaw {
    count: u64,
    exponent: f64,
}

impl PowerLaw {
    /// Ranks `0..count` with weight ∝ rank^−exponent; the exponent lies between 0 and 1, both excluded.
    pub(crate) fn new(count: u64, exponent: f64) -> Self {
        debug_assert!(exponent > 0.0 && exponent < 1.0);
        Self { count, exponent }
    }

    /// The rank at the fraction `u` of the distribution.
    pub(crate) fn rank(&self, u: f64) -> u64 {
        let power = 1.0 - self.exponent;
        let span = ((self.count + 1) as f64).powf(power) - 1.0;
        let position = (span * u + 1.0).powf(1.0 / power);
        (position as u64).saturating_sub(1).min(self.count.saturating_sub(1))
    }
}

/// The finaliser of SplitMix64: neighbouring inputs give unrelated outputs.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_row_same_choices() {
        let draw = |id| {
            let mut random = RowRandom::new(7, 2, id);
            (0..8).map(|_| random.between(0, 1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }

    #[test]
    fn power_law_is_skewed_and_in_range() {
        let law = PowerLaw::new(1000, 0.7);
        let mut random = RowRandom::new(1, 1, 1);
        let mut counts = vec![0_u32; 1000];
        for _ in 0..100_000 {
            counts[law.rank(random.fraction()) as usize] += 1;
        }
        let head: u32 = counts[..100].iter().sum();
        assert!(head > 40_000, "the first tenth of the ranks got only {head} of 100000");
        assert!(counts[0] > 20 * counts[900].max(1) / 10);
        assert_eq!(law.rank(0.0), 0);
        assert_eq!(law.rank(0.999_999_999_999), 999);
    }

    #[test]
    fn weights_are_followed() {
        let mut random = RowRandom::new(3, 1, 1);
        let often = (0..1000).filter(|_| random.pick_weighted(&[("a", 9), ("b", 1)]) == "a").count();
        assert!((850..950).contains(&often), "{often}");
    }
}
