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

/// An amount of memory in bytes: `64GB`, `512MB`, `1.5TB`; a unit is 1,024 of the one before, as in PostgreSQL.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    let help = || "give an amount with its unit, such as 64GB or 512MB".to_owned();
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(help)?;
    let (number, unit) = text.split_at(split);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "kb" | "kib" | "k" => 10,
        "mb" | "mib" | "m" => 20,
        "gb" | "gib" | "g" => 30,
        "tb" | "tib" | "t" => 40,
        _ => return Err(help()),
    };
    let number: f64 = number.trim().parse().map_err(|_| help())?;
    let bytes = number * f64::from(shift).exp2();
    if !bytes.is_finite() || bytes < 1.0 || bytes > f64::from(63).exp2() {
        return Err(help());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 2^63")]
    let bytes = bytes as u64;
    Ok(bytes)
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
    fn memory_with_its_units() {
        for (text, expected) in [
            ("64GB", Ok(64 << 30)),
            ("512mb", Ok(512 << 20)),
            ("1.5 GiB", Ok(3 << 29)),
            ("2T", Ok(2 << 40)),
            ("64", Err(())),
            ("GB", Err(())),
            ("-1GB", Err(())),
            ("0GB", Err(())),
            ("1e300TB", Err(())),
            ("64 parsecs", Err(())),
            ("infGB", Err(())),
        ] {
            assert_eq!(memory(text).map_err(|_| ()), expected, "{text}");
        }
    }

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
