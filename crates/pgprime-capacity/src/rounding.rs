//! Rounding that forgives the last bits: 1,000 × 0.02 is 20 connections, not 21.

/// The relative error that a few operations on `f64` may have left.
const TOLERANCE: f64 = 1e-9;

/// Rounded up; what is above a whole number by rounding alone counts as that number. Saturates.
pub(crate) fn ceil_u32(value: f64) -> u32 {
    // A cast from `f64` saturates and turns NaN into 0.
    (value * (1.0 - TOLERANCE)).ceil() as u32
}

/// Rounded down; what is below a whole number by rounding alone counts as that number. Saturates.
pub(crate) fn floor_u32(value: f64) -> u32 {
    (value * (1.0 + TOLERANCE)).floor() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bits_do_not_make_a_connection() {
        let up =
            [(1000.0 * 0.02, 20), (0.1 + 0.2, 1), (20.000_001, 21), (1e-12, 1), (0.0, 0), (3.0 * 1.1, 4)];
        for (value, expected) in up {
            assert_eq!(ceil_u32(value), expected, "{value}");
        }
        assert_eq!(ceil_u32(0.07 * 100.0), 7, "0.07 × 100 is 7.000000000000001");
        let down = [(100.0 * 0.8, 80), (0.29 * 100.0, 29), (79.999, 79), (0.0, 0), (1e300, u32::MAX)];
        for (value, expected) in down {
            assert_eq!(floor_u32(value), expected, "{value}");
        }
    }
}
