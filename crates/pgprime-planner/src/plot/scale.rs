//! From values to places on an axis.

/// The shortest wait worth drawing, as a power of ten of milliseconds: 0.01 ms.
const EXPONENT_MIN: i32 = -2;
/// Powers of ten on one axis; longer waits than these allow are outside.
const DECADES_MAX: i32 = 7;
const DECADES_MIN: i32 = 2;

/// A logarithmic axis of milliseconds between two powers of ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LogScale {
    low: i32,
    high: i32,
}

impl LogScale {
    /// An axis on which all these values have their place, as far as that is sensible.
    pub(super) fn covering(values: impl Iterator<Item = f64>) -> Self {
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value > 0.0) {
            least = least.min(value);
            most = most.max(value);
        }
        if most == 0.0 {
            return Self { low: EXPONENT_MIN, high: EXPONENT_MIN + DECADES_MIN };
        }
        let high = exponent(most.log10().ceil()).max(EXPONENT_MIN + DECADES_MIN);
        let low = exponent(least.log10().floor()).max(EXPONENT_MIN).max(high - DECADES_MAX);
        Self { low: low.min(high - DECADES_MIN), high }
    }

    /// 0 at the bottom, 1 at the top, less and more outside. Nothing (0 ms) is far below the bottom.
    pub(super) fn place(self, value: f64) -> f64 {
        let exponent = if value > 0.0 { value.log10() } else { f64::NEG_INFINITY };
        let exponent = exponent.max(f64::from(self.low) - 4.0);
        (exponent - f64::from(self.low)) / f64::from(self.high - self.low)
    }

    /// The powers of ten with their texts, the least first.
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        (self.low..=self.high).map(|exponent| (10_f64.powi(exponent), power_of_ten(exponent)))
    }
}

/// Of a finite logarithm: those of `f64` are between -324 and 309.
#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a finite number is small")]
fn exponent(logarithm: f64) -> i32 {
    logarithm as i32
}

fn power_of_ten(exponent: i32) -> String {
    crate::format::decimals(10_f64.powi(exponent), usize::try_from(-exponent).unwrap_or(0))
}

/// A linear axis of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct CountScale {
    first: u32,
    last: u32,
}

impl CountScale {
    pub(super) fn new(first: u32, last: u32) -> Self {
        Self { first, last: last.max(first.saturating_add(1)) }
    }

    /// 0 at the first, 1 at the last.
    pub(super) fn place(self, value: f64) -> f64 {
        (value - f64::from(self.first)) / f64::from(self.last - self.first)
    }

    /// The value at a place between 0 and 1.
    pub(super) fn value(self, place: f64) -> f64 {
        f64::from(self.first) + place * f64::from(self.last - self.first)
    }

    /// Round numbers, at most `ticks_max` of them.
    pub(super) fn ticks(self, ticks_max: u32) -> impl Iterator<Item = u32> {
        let span = u64::from(self.last - self.first);
        let rounds = |power: u32| [1, 2, 5].map(|round| round * 10_u64.pow(power));
        let mut steps = (0..10).flat_map(rounds);
        let step = steps.find(|step| span / step < u64::from(ticks_max.max(1))).unwrap_or(span.max(1));
        let step = u32::try_from(step).unwrap_or(u32::MAX);
        let start = self.first.div_ceil(step).saturating_mul(step);
        (start..=self.last).step_by(usize::try_from(step).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_on_their_axis() {
        let scale = LogScale::covering([0.2, 340.0, f64::INFINITY, 0.0].into_iter());
        assert_eq!(scale, LogScale { low: -1, high: 3 });
        assert!((scale.place(1.0) - 0.25).abs() < 1e-9);
        assert!(scale.place(0.0) < 0.0);
        let texts: Vec<String> = scale.ticks().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0.1", "1", "10", "100", "1,000"]);
    }

    #[test]
    fn axes_of_extreme_values_stay_drawable() {
        for values in [vec![], vec![1e-300], vec![1e300, 1e-300], vec![5.0], vec![f64::NAN]] {
            let scale = LogScale::covering(values.clone().into_iter());
            let decades = scale.high - scale.low;
            assert!((DECADES_MIN..=DECADES_MAX).contains(&decades), "{values:?}: {scale:?}");
        }
    }

    #[test]
    fn counts_on_their_axis() {
        let ticks = |first, last| CountScale::new(first, last).ticks(8).collect::<Vec<_>>();
        assert_eq!(ticks(21, 40), [25, 30, 35, 40]);
        assert_eq!(ticks(1, 4), [1, 2, 3, 4]);
        assert_eq!(ticks(3, 3), [3, 4]);
        assert_eq!(ticks(0, u32::MAX).len(), 5);
    }
}
