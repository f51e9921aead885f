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

/// A time in milliseconds, with as many decimals as it needs: `0.42`, `7.3`, `1,250`.
pub(crate) fn milliseconds(microseconds: u64) -> String {
    let value = microseconds as f64 / 1000.0;
    match microseconds {
        0..=9_949 => format!("{value:.2}"),
        9_950..=99_949 => format!("{value:.1}"),
        _ => grouped(value.round() as u64),
    }
}

/// Memory in KiB, or MiB where that is many.
pub(crate) fn memory(kib: f64) -> String {
    if kib < 1024.0 { format!("{kib:.1} KiB") } else { format!("{:.1} MiB", kib / 1024.0) }
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
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0, 42, 9_940, 12_340, 1_250_000].map(milliseconds),
            ["0.00", "0.04", "9.94", "12.3", "1,250"]
        );
        assert_eq!([1.96, 2048.0].map(memory), ["2.0 KiB", "2.0 MiB"]);
    }

    #[test]
    fn tables() {
        let rows = [vec!["read".to_owned(), "1".to_owned()], vec!["w".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["kind", "n"], 1, &rows), "kind      n\nread      1\nw     1,000\n");
    }
}
