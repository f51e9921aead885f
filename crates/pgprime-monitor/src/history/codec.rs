//! Points as bytes: a chunk of one series, and a round of all series.
//!
//! Numbers are LEB128. A value is written as what differs, in bytes, from the one before it: a figure that stays takes
//! one byte, a small count two or three. Reading never panics: whatever is damaged is `None`.

/// Figures of one stretch of a series, offset from the start of its chunk in slots of its tier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Slots since the start of the chunk.
    pub(super) slot: u32,
    /// Mean of the values.
    pub(super) mean: f64,
    /// The highest.
    pub(super) max: f64,
    /// How many they were.
    pub(super) count: u32,
}

impl Point {
    /// A single value.
    pub(super) fn single(slot: u32, value: f64) -> Self {
        Self { slot, mean: value, max: value, count: 1 }
    }

    /// Both together: `(2, 10, ×1)` and `(5, 6, ×2)` make `(4, 10, ×3)`.
    pub(super) fn joined(self, other: Self) -> Self {
        let count = self.count.saturating_add(other.count);
        let share = f64::from(other.count) / f64::from(count.max(1));
        let mean = self.mean + (other.mean - self.mean) * share;
        Self { slot: self.slot, mean, max: self.max.max(other.max), count }
    }
}

/// Bits of a mean that are kept: whole numbers below 2^29 stay exact, others to nine digits.
const MEAN_BITS: u32 = 29;
/// A chunk of a day of seconds; more is damage.
const POINTS_MAX: u64 = 86_400;
/// Series of one round; more is damage.
const FIGURES_MAX: usize = 1 << 16;

/// Points in ascending order as bytes.
pub(super) fn encode(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + points.len() * 6);
    number(&mut bytes, points.len() as u64);
    let (mut slot, mut before) = (0, 0_u64);
    for point in points {
        number(&mut bytes, u64::from(point.slot - slot));
        number(&mut bytes, u64::from(point.count));
        let mean = if point.count > 1 { rounded(point.mean) } else { point.mean };
        difference(&mut bytes, mean.to_bits() ^ before);
        if point.count > 1 {
            difference(&mut bytes, rounded(point.max).to_bits() ^ mean.to_bits());
        }
        (slot, before) = (point.slot, mean.to_bits());
    }
    bytes
}

/// The reverse of [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Point>> {
    let mut reader = Reader(bytes);
    let count = reader.number().filter(|count| *count <= POINTS_MAX)?;
    let (mut slot, mut before) = (0_u32, 0_u64);
    let mut points = Vec::new();
    for _ in 0..count {
        slot = slot.checked_add(u32::try_from(reader.number()?).ok()?)?;
        let count = u32::try_from(reader.number()?).ok()?;
        before ^= reader.difference()?;
        let mean = f64::from_bits(before);
        let max = if count > 1 { f64::from_bits(before ^ reader.difference()?) } else { mean };
        points.push(Point { slot, mean, max, count });
    }
    Some(points)
}

/// Series, ascending, and their values, as bytes.
pub(super) fn encode_round(figures: &[(u32, f64)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(figures.len() * 9);
    let mut before = 0;
    for (series, value) in figures {
        number(&mut bytes, u64::from(series - before));
        bytes.extend_from_slice(&value.to_le_bytes());
        before = *series;
    }
    bytes
}

/// The reverse of [`encode_round`].
pub(super) fn decode_round(bytes: &[u8]) -> Option<Vec<(u32, f64)>> {
    let mut reader = Reader(bytes);
    let (mut figures, mut series) = (Vec::new(), 0_u32);
    while !reader.0.is_empty() && figures.len() < FIGURES_MAX {
        series = series.checked_add(u32::try_from(reader.number()?).ok()?)?;
        let (value, rest) = reader.0.split_first_chunk()?;
        reader.0 = rest;
        figures.push((series, f64::from_le_bytes(*value)));
    }
    Some(figures)
}

/// To the nearest value that needs no more than [`MEAN_BITS`].
fn rounded(value: f64) -> f64 {
    let dropped = 53 - MEAN_BITS;
    let half = 1_u64 << (dropped - 1);
    let rounded = f64::from_bits((value.to_bits().saturating_add(half)) & !((1 << dropped) - 1));
    if rounded.is_finite() { rounded } else { value }
}

fn number(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A byte that says which bytes of eight are not zero at either end, then these; a zero is one byte.
fn difference(bytes: &mut Vec<u8>, bits: u64) {
    if bits == 0 {
        return bytes.push(0);
    }
    let (leading, trailing) = (bits.leading_zeros() / 8, bits.trailing_zeros() / 8);
    bytes.push(0x80 | (leading << 3) as u8 | trailing as u8);
    let all = bits.to_be_bytes();
    bytes.extend_from_slice(&all[leading as usize..8 - trailing as usize]);
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn difference(&mut self) -> Option<u64> {
        let head = self.byte()?;
        if head == 0 {
            return Some(0);
        }
        let (leading, trailing) = (usize::from(head >> 3 & 7), usize::from(head & 7));
        let length = 8_usize.checked_sub(leading + trailing)?;
        let (middle, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let mut all = [0; 8];
        all.get_mut(leading..leading + length)?.copy_from_slice(middle);
        Some(u64::from_be_bytes(all))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_figure_that_stays_takes_three_bytes() {
        let points: Vec<Point> = (0..360).map(|round| Point::single(round * 10, 5.0)).collect();
        assert!(encode(&points).len() < 3 * 360 + 16, "{}", encode(&points).len());
        assert_eq!(decode(&encode(&points)).unwrap(), points);
    }

    #[test]
    fn joins_by_weight() {
        let (one, other) = (
            Point { slot: 3, mean: 2.0, max: 10.0, count: 1 },
            Point { slot: 3, mean: 5.0, max: 6.0, count: 2 },
        );
        assert_eq!(one.joined(other), Point { slot: 3, mean: 4.0, max: 10.0, count: 3 });
    }

    #[test]
    fn whole_numbers_and_nine_digits_survive_rounding() {
        for value in [0.0, 1.0, -7.0, 123_456_789.0, 536_870_911.0] {
            assert_eq!(rounded(value), value);
        }
        assert!((rounded(0.123_456_789_123) / 0.123_456_789_123 - 1.0).abs() < 2e-9);
        assert_eq!(rounded(f64::MAX), f64::MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            raw in proptest::collection::btree_map(0_u32..3_600, any::<f64>().prop_filter("finite", |v| v.is_finite()), 0..400)
        ) {
            let points: Vec<Point> = raw.iter().map(|(slot, value)| Point::single(*slot, *value)).collect();
            prop_assert_eq!(decode(&encode(&points)), Some(points));
            let figures: Vec<(u32, f64)> = raw.into_iter().collect();
            prop_assert_eq!(decode_round(&encode_round(&figures)), Some(figures));
        }

        #[test]
        fn damage_is_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = decode_round(&bytes);
        }
    }
}
