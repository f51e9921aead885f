//! Panics without a reason, and `unsafe`.
//!
//! Read from the tokens, so that what stands inside a macro is seen as well.

use crate::finding::Finding;
use crate::source::{Lexeme, Source};

/// Macros that end the program and may say why.
const ENDS: &[&str] = &["panic", "unreachable"];
/// Macros that stand for code not written.
const UNWRITTEN: &[&str] = &["todo", "unimplemented"];

/// Every `unsafe`, tests included.
pub(crate) fn check_unsafe(source: &Source) -> Vec<Finding> {
    let found = source.tokens.iter().filter(|lexeme| lexeme.text == "unsafe");
    found.map(|lexeme| Finding::new(&source.path, lexeme.line, "`unsafe`")).collect()
}

/// Outside tests: `unwrap`, `expect` without a reason, and macros that end the program without one.
pub(crate) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for at in 0..source.tokens.len() {
        let line = source.tokens[at].line;
        if let Some(message) = judge(&source.tokens, at).filter(|_| !source.is_test_line(line)) {
            findings.push(Finding::new(&source.path, line, message));
        }
    }
    findings
}

fn judge(tokens: &[Lexeme], at: usize) -> Option<String> {
    let text = |at: usize| tokens.get(at).map_or("", |lexeme| lexeme.text.as_str());
    let name = text(at);
    let before = if at == 0 { "" } else { text(at - 1) };
    if matches!(name, "unwrap" | "unwrap_err") && matches!(before, "." | ":") {
        return Some(format!("`{name}` outside tests: return the error, or expect(\"why it holds\")"));
    }
    if matches!(name, "expect" | "expect_err")
        && before == "."
        && text(at + 1) == "("
        && !is_reason(text(at + 2))
    {
        return Some(format!("`{name}` needs a string that says why it holds"));
    }
    let is_call = text(at + 1) == "!" && matches!(text(at + 2), "(" | "[" | "{");
    if is_call && UNWRITTEN.contains(&name) {
        return Some(format!("`{name}!` stands for code that is missing"));
    }
    (is_call && ENDS.contains(&name) && !is_reason(text(at + 3)))
        .then(|| format!("`{name}!` needs a string that says why"))
}

/// Whether a token is a string with something in it.
fn is_reason(token: &str) -> bool {
    let string = syn::parse_str::<syn::LitStr>(token);
    string.is_ok_and(|string| !string.value().trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::lines;

    fn parse(body: &str) -> Source {
        let text = format!("fn f() {{\n{body}\n}}");
        Source::parse("crates/x/src/lib.rs", text).expect("the case is Rust")
    }

    #[test]
    fn finds_panics() {
        let unwrap = "2: `unwrap` outside tests: return the error, or expect(\"why it holds\")";
        for (body, expected) in [
            ("x.unwrap();", unwrap),
            ("println!(\"{}\", x.unwrap());", unwrap),
            ("x.map(Result::unwrap);", unwrap),
            ("x.expect(\" \");", "2: `expect` needs a string that says why it holds"),
            ("x.expect(why);", "2: `expect` needs a string that says why it holds"),
            ("panic!();", "2: `panic!` needs a string that says why"),
            ("match x { _ => unreachable!() }", "2: `unreachable!` needs a string that says why"),
            ("todo!(\"later\")", "2: `todo!` stands for code that is missing"),
            ("unimplemented!()", "2: `unimplemented!` stands for code that is missing"),
        ] {
            assert_eq!(lines(check(&parse(body))), [expected], "{body}");
        }
    }

    #[test]
    fn is_silent_about_reasons_and_tests() {
        for body in [
            "x.unwrap_or(1); x.unwrap_or_default(); let unwrap = 1;",
            "x.expect(\"the slot was filled above\"); x.expect(r\"raw\");",
            "unreachable!(\"the state {state:?} has no exit\"); panic!(\"budget exceeded\");",
            "// x.unwrap()\n\"x.unwrap()\";",
            "#[cfg(test)] mod tests { fn f() { x.unwrap(); panic!(); } }",
            "#[test] fn g() { x.unwrap() }",
        ] {
            assert_eq!(lines(check(&parse(body))), [""; 0], "{body}");
        }
    }

    #[test]
    fn finds_unsafe_everywhere() {
        assert_eq!(lines(check_unsafe(&parse("unsafe { g() }"))), ["2: `unsafe`"]);
        assert_eq!(lines(check_unsafe(&parse("#[cfg(test)] mod t { unsafe fn g() {} }"))), ["2: `unsafe`"]);
        assert_eq!(lines(check_unsafe(&parse("let unsafe_code = \"unsafe\"; // unsafe"))), [""; 0]);
    }
}
