//! Texts with `{names}` in them.

use crate::layout::broken;

/// The width that comments are broken at.
const WIDTH: usize = 116;

/// Replaces every `{name}` in a text. A value may stand in several places and is not looked at again.
pub(super) fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        text.push_str(before);
        let known = from[1..].split_once('}').and_then(|(name, after)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, after))
        });
        match known {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = &from[1..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// A text as comment lines, without the first line's mark: the template has it.
pub(super) fn comment(mark: &str, text: &str) -> String {
    broken(text, WIDTH - mark.len() - 1).join(&format!("\n{mark} "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        let values = [("a", "1".to_owned()), ("b", "{a}".to_owned())];
        assert_eq!(fill("{a}{b}-{a} {c} {", &values), "1{a}-1 {c} {");
    }

    #[test]
    fn comments_are_broken_and_never_left() {
        let long = "word ".repeat(40);
        let text = comment(";", &format!("{long}\ninjected = 1"));
        assert!(text.lines().skip(1).all(|line| line.starts_with("; ")), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }
}
