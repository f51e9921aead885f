//! What was found, on one page.

use pgprime_advisor::indexes::{Advice, CostMethod, Hint, Suggestion};
use pgprime_advisor::slow::{SlowReport, SlowStatement};
use pgprime_advisor::space::Finding;

use super::found::{Found, Planted};

/// Columns of a statement.
const STATEMENT_COLUMNS: usize = 60;
/// Suggestions that are told of.
const SUGGESTIONS_MAX: usize = 10;
/// Indexes that depend on what is not known.
const HINTS_MAX: usize = 2;
/// Findings about space that are told of.
const SPACE_MAX: usize = 4;

/// At most 40 lines.
pub(super) fn text(found: &Found) -> String {
    let mut text = String::new();
    text.extend(found.slow.as_ref().map(slow));
    text.extend(found.advice.as_ref().map(advice));
    text += &planted(&found.planted);
    text += &space(&found.space);
    text.extend(found.not_seen.iter().map(|gap| format!("not seen: {gap}\n")));
    text
}

fn slow(report: &SlowReport) -> String {
    let title = format!("slowest statements of {:.0} s", report.seconds);
    let has_pooler = report.statements.iter().any(|statement| statement.pooler.is_some());
    let p99 = if has_pooler { "   p99 ms" } else { "" };
    let mut text =
        format!("{title:<STATEMENT_COLUMNS$}  {:>7}  {:>7}{p99}  {:>5}\n", "calls", "mean ms", "share");
    text.extend(report.statements.iter().map(|one| statement(one, has_pooler)));
    text
}

/// The mean is PostgreSQL's, the percentile the pooler's.
fn statement(statement: &SlowStatement, has_pooler: bool) -> String {
    let p99 = match &statement.pooler {
        Some(figures) => format!("{:>9.2}", figures.exec_ms_p99),
        None if has_pooler => " ".repeat(9),
        None => String::new(),
    };
    format!(
        "{:<STATEMENT_COLUMNS$}  {:>7}  {:>7.2}{p99}  {:>3.0} %\n",
        fit(statement.text.as_deref().unwrap_or("(no text)"), STATEMENT_COLUMNS),
        statement.calls,
        statement.exec_ms_mean,
        statement.exec_share * 100.0
    )
}

fn advice(advice: &Advice) -> String {
    let method = match advice.method {
        CostMethod::Hypopg => "by the planner, with HypoPG",
        CostMethod::Estimated => "estimated: the server has no HypoPG",
    };
    if advice.suggestions.is_empty() {
        return format!("\nindexes: none is missing, {method}\n");
    }
    let (share, size) = (advice.saved_share * 100.0, megabytes(advice.size_bytes));
    let mut text = format!("\nmissing indexes, {method}: {share:.0} % of the cost for {size}\n");
    text.extend(advice.suggestions.iter().take(SUGGESTIONS_MAX).map(suggestion));
    let perhaps = |hint: &Hint| Some(format!("  perhaps            {}\n", hint.statements.first()?));
    text.extend(advice.hints.iter().take(HINTS_MAX).filter_map(perhaps));
    text
}

fn suggestion(suggestion: &Suggestion) -> String {
    let share = suggestion.saved_share * 100.0;
    let statement = suggestion.statements.first().map_or("", String::as_str);
    format!("  {share:>4.1} %  {:>8}  {statement}\n", megabytes(suggestion.size_bytes))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// How many of those that the data lacks on purpose were found.
fn planted(planted: &[Planted]) -> String {
    let missed: Vec<&str> =
        planted.iter().filter(|one| one.suggestion.is_none()).map(|one| one.name).collect();
    match (planted.len(), missed.len()) {
        (0, _) => String::new(),
        (all, 0) => format!("  all {all} that the data lacks on purpose\n"),
        (all, count) => format!(
            "  {} of {all} that the data lacks on purpose; not for: {}\n",
            all - count,
            missed.join(", ")
        ),
    }
}

fn space(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "\nwasted space: none worth a word\n".to_owned();
    }
    let mut text = format!("\nwasted space: {} findings\n", findings.len());
    for finding in findings.iter().take(SPACE_MAX) {
        text += &format!("  {} {}: {}\n", finding.severity, finding.object, first_sentence(&finding.summary));
    }
    text
}

fn first_sentence(text: &str) -> &str {
    text.split_inclusive(". ").next().unwrap_or(text).trim_end()
}

/// The text on one line, cut to so many columns. Where a query reads from says more than which columns it reads.
fn fit(text: &str, columns: usize) -> String {
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = line.find(" FROM ").filter(|_| line.starts_with("SELECT ") && line.chars().count() > columns);
    if let Some(from) = from {
        line.replace_range("SELECT ".len()..from, "…");
    }
    if line.chars().count() > columns {
        line = line.chars().take(columns - 1).chain(['…']).collect();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgprime_advisor::indexes::Confidence;

    #[test]
    fn long_statements_are_cut() {
        assert_eq!(fit("SELECT  1\n", 9), "SELECT 1");
        assert_eq!(fit("SELECT äöü", 9), "SELECT ä…");
        assert_eq!(fit("SELECT a, b, c FROM t", 15), "SELECT … FROM t");
        assert_eq!(first_sentence("One thing. And another."), "One thing.");
    }

    fn advice() -> Advice {
        let suggestion = Suggestion {
            name: "claims_cause_idx".into(),
            schema: "public".into(),
            table: "public.claims".into(),
            statements: vec!["CREATE INDEX CONCURRENTLY claims_cause_idx ON public.claims (cause);".into()],
            undo: "DROP INDEX CONCURRENTLY public.claims_cause_idx;".into(),
            access_method: "btree".into(),
            keys: vec!["cause".into()],
            size_bytes: 3 << 20,
            saved_cost: 80.0,
            saved_share: 0.8,
            write_cost: 0.0,
            writes_per_second: None,
            write_overhead_share: 0.0,
            confidence: Confidence::High,
            confidence_reason: String::new(),
            gains: Vec::new(),
        };
        Advice {
            server_version: "15.4".into(),
            method: CostMethod::Hypopg,
            workload_seconds: Some(20.0),
            cost_before: 100.0,
            cost_after: 20.0,
            write_cost: 0.0,
            saved_share: 0.8,
            size_bytes: 3 << 20,
            budget_bytes: None,
            candidates: 1,
            gap_max: None,
            suggestions: vec![suggestion],
            queries: Vec::new(),
            skipped: Vec::new(),
            hints: Vec::new(),
            missing: Vec::new(),
        }
    }

    #[test]
    fn advice_says_where_it_is_from_and_what_it_misses() {
        let planted =
            |suggestion: Option<&str>| Planted { name: "causes", suggestion: suggestion.map(str::to_owned) };
        let mut found =
            Found { advice: Some(advice()), planted: vec![planted(Some("i"))], ..Found::default() };
        let expected = "
missing indexes, by the planner, with HypoPG: 80 % of the cost for 3.0 MiB
  80.0 %   3.0 MiB  CREATE INDEX CONCURRENTLY claims_cause_idx ON public.claims (cause);
  all 1 that the data lacks on purpose

wasted space: none worth a word
";
        assert_eq!(text(&found), expected);
        found.planted.push(planted(None));
        found.not_seen.push("slow statements: no".into());
        let method = |found: &mut Found, method| found.advice.as_mut().unwrap().method = method;
        method(&mut found, CostMethod::Estimated);
        let said = text(&found);
        assert!(said.contains("estimated: the server has no HypoPG"), "{said}");
        assert!(said.contains("  1 of 2 that the data lacks on purpose; not for: causes\n"), "{said}");
        assert!(said.ends_with("not seen: slow statements: no\n"), "{said}");
        found.advice.as_mut().unwrap().suggestions.clear();
        assert!(text(&found).contains("indexes: none is missing"));
    }
}
