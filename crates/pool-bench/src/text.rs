//! Numbers and tables as people read them.

/// `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With as many decimals as it needs: `0.042`, `0.42`, `7.3`, `1,250`; `-` for what is no number.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "-".to_owned(),
        size if size < 0.0995 => format!("{value:.3}"),
        size if size < 9.95 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        size if value < 0.0 => format!("-{}", grouped(size.round() as u64)),
        size => grouped(size.round() as u64),
    }
}

/// A ratio, or `-`.
pub(crate) fn ratio(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), short)
}

/// `12 %`.
pub(crate) fn percent(fraction: f64) -> String {
    if fraction.is_finite() { format!("{:.0} %", fraction * 100.0) } else { "-".to_owned() }
}

/// Columns side by side: the first `left` to the left, the others to the right.
pub(crate) fn table(heads: &[&str], left: usize, rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let mut text = String::new();
    for row in std::iter::once(&heads).chain(rows) {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column < left { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line: Vec<String> = cells.collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let values = [0.0, 0.0421, 0.42, 7.349, 73.46, 1_250.4, -12.34, -1_250.0, f64::NAN, f64::INFINITY];
        let expected = ["0.000", "0.042", "0.42", "7.35", "73.5", "1,250", "-12.3", "-1,250", "-", "-"];
        assert_eq!(values.map(short), expected);
        assert_eq!([percent(0.123), percent(f64::NAN), ratio(None)], ["12 %", "-", "-"]);
    }

    #[test]
    fn tables() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bcd".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["x", "n"], 1, &rows), "x        n\na        1\nbcd  1,000\n");
    }
}
