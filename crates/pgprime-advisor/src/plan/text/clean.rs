//! A plan without what clients, logs and people put around it.

use crate::plan::error::PlanError;

/// A line and its number in the text given, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::plan) struct Line {
    pub(in crate::plan) number: usize,
    pub(in crate::plan) text: String,
}

/// What is left of a text.
#[derive(Debug)]
pub(in crate::plan) struct Pasted {
    pub(in crate::plan) lines: Vec<Line>,
    /// Of the statement, as the log says.
    pub(in crate::plan) duration_ms: Option<f64>,
}

/// Takes off headings, rulers, borders, quotes, line continuations, prefixes of a log, and numbers of rows.
pub(in crate::plan) fn clean(given: &str) -> Result<Pasted, PlanError> {
    let text = given.trim_start_matches('\u{feff}').replace('\u{a0}', " ");
    let mut lines: Vec<Line> = text
        .lines()
        .enumerate()
        .map(|(at, line)| Line { number: at + 1, text: line.trim_end().to_owned() })
        .collect();
    let duration_ms = cut_log(&mut lines)?;
    lines.iter_mut().for_each(strip_border);
    lines.retain(|line| !is_ruler(&line.text));
    strip_continuations(&mut lines);
    strip_quotes(&mut lines);
    lines.retain(|line| !is_decoration(line.text.trim()));
    Ok(Pasted { lines, duration_ms })
}

/// Leaves what auto_explain logged of one statement, and returns the statement's duration.
fn cut_log(lines: &mut Vec<Line>) -> Result<Option<f64>, PlanError> {
    let is_start = |line: &Line| log_duration(&line.text).is_some();
    let starts: Vec<usize> = (0..lines.len()).filter(|at| is_start(&lines[*at])).collect();
    let Some(&start) = starts.first() else { return Ok(None) };
    if starts.len() > 1 {
        return Err(PlanError::Several { count: starts.len() });
    }
    let duration = log_duration(&lines[start].text);
    lines.drain(..=start);
    lines.iter_mut().for_each(strip_syslog);
    if lines.first().is_some_and(|line| line.text.starts_with('\t')) {
        let end = lines.iter().position(|line| !line.text.starts_with('\t') && !line.text.is_empty());
        lines.truncate(end.unwrap_or(lines.len()));
    }
    lines
        .iter_mut()
        .for_each(|line| line.text = line.text.strip_prefix('\t').unwrap_or(&line.text).to_owned());
    Ok(duration)
}

/// The number in `duration: 12.345 ms  plan:` at the end of a line.
fn log_duration(line: &str) -> Option<f64> {
    let (_, rest) = line.rsplit_once("duration: ")?;
    let ms = rest.strip_suffix("plan:")?.trim_end().strip_suffix("ms")?;
    ms.trim_end().parse().ok().filter(|ms: &f64| ms.is_finite() && *ms >= 0.0)
}

/// `Nov 23 09:00:00 host postgres[12]: [5-3] #011Seq Scan …`: the part before is syslog's, `#011` is a tab.
fn strip_syslog(line: &mut Line) {
    let Some((_, rest)) = line.text.split_once("]: [") else { return };
    let Some((number, rest)) = rest.split_once("] ") else { return };
    if number.chars().all(|letter| letter.is_ascii_digit() || letter == '-') {
        line.text = rest.replace("#011", "\t");
    }
}

fn strip_border(line: &mut Line) {
    for border in ['|', '│', '║'] {
        let inner = line.text.trim().strip_prefix(border).and_then(|rest| rest.strip_suffix(border));
        if let Some(inner) = inner {
            line.text = inner.trim_end().to_owned();
            return;
        }
    }
}

fn is_ruler(line: &str) -> bool {
    const RULES: &str = "-+=─┼┌┐└┘├┤┬┴━═╔╗╚╝╠╣╪╤╧ ";
    line.trim().chars().count() >= 3 && line.chars().all(|letter| RULES.contains(letter))
}

/// psql ends each line but the last of a value with a mark.
fn strip_continuations(lines: &mut [Line]) {
    for mark in ['+', '↵'] {
        let marked = lines.iter().filter(|line| line.text.ends_with(mark)).count();
        let all = lines.iter().filter(|line| !line.text.is_empty()).count();
        if marked > 0 && marked * 2 >= all {
            for line in lines.iter_mut().filter(|line| line.text.ends_with(mark)) {
                line.text = line.text.trim_end_matches(mark).trim_end().to_owned();
            }
        }
    }
}

/// Quotes around each line, as some clients copy them, or around the whole.
fn strip_quotes(lines: &mut [Line]) {
    let quoted = lines.iter().filter(|line| inside_quotes(line.text.trim()).is_some()).count();
    let all = lines.iter().filter(|line| !line.text.trim().is_empty()).count();
    if quoted > 0 && quoted * 2 >= all {
        for line in lines.iter_mut() {
            let inner = inside_quotes(line.text.trim()).map(|inner| inner.replace("\"\"", "\""));
            line.text = inner.unwrap_or_else(|| line.text.clone());
        }
        return;
    }
    let filled = |line: &&mut Line| !line.text.trim().is_empty();
    let quote = lines
        .iter()
        .find(|line| !line.text.trim().is_empty())
        .and_then(|line| line.text.trim().chars().next());
    let Some(quote) = quote.filter(|quote| matches!(quote, '"' | '\'')) else { return };
    if !lines.iter().rev().any(|line| line.text.trim_end().ends_with(quote)) {
        return;
    }
    if let Some(first) = lines.iter_mut().find(filled) {
        first.text = first.text.replacen(quote, "", 1);
    }
    if let Some(last) = lines.iter_mut().rev().find(filled) {
        last.text = last.text.trim_end().trim_end_matches(quote).to_owned();
    }
    let doubled = format!("{quote}{quote}");
    lines.iter_mut().for_each(|line| line.text = line.text.replace(&doubled, &quote.to_string()));
}

fn inside_quotes(line: &str) -> Option<&str> {
    line.strip_prefix('"')?.strip_suffix('"')
}

fn is_decoration(line: &str) -> bool {
    let is_count =
        line.strip_prefix('(').and_then(|rest| rest.strip_suffix(" rows)").or(rest.strip_suffix(" row)")));
    line.starts_with("```")
        || line.eq_ignore_ascii_case("QUERY PLAN")
        || line.starts_with("Time: ") && line.contains(" ms")
        || is_count.is_some_and(|count| count.chars().all(|digit| digit.is_ascii_digit()))
}
