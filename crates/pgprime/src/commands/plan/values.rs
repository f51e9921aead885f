//! Values on the command line: what is not a number at all is refused here, what makes no sense by the calculation.

use pgprime_capacity::postgres::Storage;

/// A decimal number, with an exponent if one likes. NaN and infinity pass: the calculation says what is wrong with them.
pub(super) fn decimal(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "give a plain number, such as 1000, 0.8 or 1e3".to_owned())
}

/// A whole number, 0 included.
pub(super) fn whole(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let is_number = text.parse::<f64>().is_ok();
    text.parse().map_err(|_| match is_number {
        true => "give a whole number that is not negative, such as 5".to_owned(),
        false => "give a whole number, such as 5".to_owned(),
    })
}

/// A kind of storage.
pub(super) fn storage(text: &str) -> Result<Storage, String> {
    text.parse().map_err(|_| "give nvme, ssd, hdd or network".to_owned())
}

/// A version of PostgreSQL; of `15.4` the 15 counts.
pub(super) fn version(text: &str) -> Result<u32, String> {
    let major = text.trim().split('.').next().and_then(|major| major.parse().ok());
    major
        .filter(|major| (13..1_000).contains(major))
        .ok_or_else(|| "give a version of PostgreSQL from 13 on, such as 15".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(decimal("1e3"), Ok(1000.0));
        assert_eq!(decimal("-5"), Ok(-5.0));
        assert!(decimal("NaN").unwrap().is_nan() && decimal("inf").unwrap().is_infinite());
        assert!(decimal("1,000").is_err() && decimal("").is_err());
        assert_eq!(whole("0"), Ok(0));
        assert!(whole("-1").unwrap_err().contains("not negative"));
        assert!(whole("five").is_err() && whole("99999999999").is_err());
        assert_eq!(version("15.4"), Ok(15));
    }
}
