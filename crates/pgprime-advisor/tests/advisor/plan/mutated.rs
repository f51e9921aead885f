//! Damaged plans never panic: cut, shuffled, with bytes changed, with parts of others.

use pgprime_advisor::plan::{COLUMNS_MAX, PlanReport, render};
use proptest::prelude::*;

use super::cases;

/// All plans kept, in both formats.
fn texts() -> Vec<String> {
    let each = cases::kept()
        .flat_map(|(case, version)| ["json", "txt"].map(|format| case.plan_text(version, format)));
    each.collect()
}

/// Reads, judges and shows a text, whatever it is.
fn survive(text: &str) {
    match PlanReport::of(text) {
        Ok(report) => {
            let shown = render(&report.plan, &report.findings);
            assert!(shown.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{shown}");
            serde_json::to_string(&report).unwrap();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    SwapLines(prop::sample::Index, prop::sample::Index),
    RepeatLine(prop::sample::Index, usize),
    Indent(prop::sample::Index, usize),
    Number(prop::sample::Index, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    let odd = prop::sample::select(vec![
        "->",
        "  ->  ",
        "(cost=",
        "(actual time=1..",
        "\"",
        "'",
        "{",
        "[",
        "]",
        "}",
        "SubPlan 1\n",
        "CTE a\n",
        "Worker 0:",
        ": ",
        "\t",
        "\n",
        "+\n",
        "|",
        "JIT:\n",
        "Planning:\n",
        "duration: 1 ms  plan:\n",
        "é",
        "\u{0}",
        "\u{feff}",
        "((((((((",
        "1e308",
        "-1",
        "NaN",
        "null",
        "Group Key: ",
        "(returns $0)",
        "Buffers: x=",
        "Trigger : ",
        "Sort Method: ",
        "  Disk: ",
    ]);
    let numbers = prop::sample::select(vec![
        "0",
        "-5",
        "1e300",
        "99999999999999999999999",
        "0.5",
        "\"x\"",
        "null",
        "[]",
        "NaN",
        "inf",
        "",
    ]);
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Damage::Remove(at, length)),
        (any::<Index>(), odd).prop_map(|(at, text)| Damage::Insert(at, text.to_owned())),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Damage::SwapLines(a, b)),
        (any::<Index>(), 1..200_usize).prop_map(|(at, times)| Damage::RepeatLine(at, times)),
        (any::<Index>(), 0..60_usize).prop_map(|(at, columns)| Damage::Indent(at, columns)),
        (any::<Index>(), numbers).prop_map(|(at, text)| Damage::Number(at, text.to_owned())),
    ]
}

fn apply(text: &str, damage: &Damage) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if letters.is_empty() || lines.is_empty() {
        return text.to_owned();
    }
    match damage {
        Damage::Cut(at) => letters.truncate(at.index(letters.len())),
        Damage::Remove(at, length) => {
            let start = at.index(letters.len());
            letters.drain(start..letters.len().min(start + length));
        }
        Damage::Insert(at, text) => {
            let at = at.index(letters.len());
            letters.splice(at..at, text.chars());
        }
        Damage::Number(at, text) => {
            let digits: Vec<usize> = (0..letters.len()).filter(|at| letters[*at].is_ascii_digit()).collect();
            let Some(&start) = digits.get(at.index(digits.len().max(1))) else {
                return letters.into_iter().collect();
            };
            let end =
                (start..letters.len()).find(|at| !letters[*at].is_ascii_digit()).unwrap_or(letters.len());
            letters.splice(start..end, text.chars());
        }
        Damage::SwapLines(a, b) => {
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            return lines.join("\n");
        }
        Damage::RepeatLine(at, times) => {
            let at = at.index(lines.len());
            let line = lines[at].clone();
            lines.splice(at..at, std::iter::repeat_n(line, *times));
            return lines.join("\n");
        }
        Damage::Indent(at, columns) => {
            let at = at.index(lines.len());
            lines[at] = format!("{}{}", " ".repeat(*columns), lines[at].trim_start());
            return lines.join("\n");
        }
    }
    letters.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_plans_never_panic(at in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..6)) {
        let texts = texts_once();
        let text = &texts[at.index(texts.len())];
        survive(&damages.iter().fold(text.clone(), |text, damage| apply(&text, damage)));
    }

    #[test]
    fn any_text_never_panics(text in "\\PC{0,200}") {
        survive(&text);
        survive(&format!("Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  Filter: {text}\n"));
        survive(&format!("Limit  (cost=0.00..1.00 rows=1 width=4)\n  {text}\n"));
    }
}

fn texts_once() -> &'static [String] {
    static TEXTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    TEXTS.get_or_init(texts)
}

#[test]
fn plans_cut_anywhere_never_panic() {
    let case = cases::cases().into_iter().find(|case| case.name == "many_shapes").unwrap();
    for format in ["json", "txt"] {
        let text = case.plan_text(18, format);
        let cuts = (0..text.len()).filter(|at| text.is_char_boundary(*at));
        cuts.step_by(61).for_each(|at| survive(&text[..at]));
    }
}
