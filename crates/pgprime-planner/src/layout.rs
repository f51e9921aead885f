//! Text in columns, for a terminal or a file.

/// No line of a report is wider, in characters.
pub(crate) const WIDTH: usize = 100;

/// Where the texts of a column begin or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// At the left.
    Left,
    /// At the right: numbers.
    Right,
}

/// Rows of cells in columns as wide as their widest cell, two blanks apart, indented by two.
pub(crate) fn table(align: &[Align], rows: &[Vec<String>]) -> Vec<String> {
    let mut widths = vec![0; align.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &Vec<String>| {
        let cells =
            row.iter().zip(align).zip(&widths).map(|((cell, align), width)| padded(cell, *align, *width));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

fn padded(text: &str, align: Align, width: usize) -> String {
    match align {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
    }
}

/// A text broken at blanks, every line indented.
pub(crate) fn paragraph(text: &str, indent: usize) -> Vec<String> {
    let blanks = " ".repeat(indent);
    broken(text, WIDTH - indent).into_iter().map(|line| format!("{blanks}{line}")).collect()
}

/// A mark and a text beside it; further lines stand below the text.
pub(crate) fn hanging(mark: &str, text: &str) -> Vec<String> {
    let indent = mark.chars().count();
    let mut lines = paragraph(text, indent);
    if let Some(first) = lines.first_mut() {
        *first = format!("{mark}{}", first.trim_start());
    }
    lines
}

/// A text in lines of at most this many characters, broken at blanks; line ends count as blanks. A longer word is a
/// line by itself.
pub(crate) fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another() {
        let rows = [["a", "10", "x"], ["größe", "1,000", ""]].map(|row| row.map(str::to_owned).to_vec());
        let lines = table(&[Align::Left, Align::Right, Align::Left], &rows);
        assert_eq!(lines, ["  a         10  x", "  größe  1,000"]);
    }

    #[test]
    fn texts_are_broken_and_hang() {
        assert_eq!(broken("one two\nthree", 7), ["one two", "three"]);
        assert_eq!(broken("", 7), [""; 0]);
        let text = "word ".repeat(30);
        let lines = hanging("  - ", &text);
        assert!(lines.len() == 2 && lines[0].starts_with("  - word") && lines[1].starts_with("    word"));
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
    }
}
