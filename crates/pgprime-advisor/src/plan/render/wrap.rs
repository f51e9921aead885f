//! Lines of bounded length.

/// The widest line, in characters.
pub(super) const COLUMNS_MAX: usize = 100;

/// The text in lines of at most `width` characters, broken between words where there are any.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    let mut column = 0;
    for word in text.split_whitespace() {
        let word: String =
            word.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect();
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= width {
            push(&mut lines, " ");
            push(&mut lines, &word);
            column += 1 + length;
            continue;
        }
        // A word that is too long for any line is cut.
        let letters: Vec<char> = word.chars().collect();
        for part in letters.chunks(width) {
            if column > 0 {
                lines.push(String::new());
            }
            push(&mut lines, &part.iter().collect::<String>());
            column = part.len();
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}
