//! A file of statements, taken apart with PostgreSQL's own scanner: semicolons in quotes, dollar quotes, comments and
//! parentheses are none.

use pg_query::protobuf::{ScanToken, Token};

use super::error::WorkloadError;
use super::query::WorkloadQuery;
use crate::sql::Position;

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: usize = 16 << 20;
/// Statements that are read of a file.
const STATEMENTS_MAX: usize = 10_000;

/// The statements of a file, each under the line of its first word.
pub(super) fn queries(text: &str) -> Result<Vec<WorkloadQuery>, WorkloadError> {
    if text.len() > FILE_BYTES_MAX {
        return Err(WorkloadError::TooLarge { bytes: text.len(), bytes_max: FILE_BYTES_MAX });
    }
    if let Some(zero) = text.find('\0') {
        return Err(WorkloadError::Text {
            line: line(text, zero),
            reason: "there is a zero byte in it".to_owned(),
        });
    }
    // The library's scanner must not be given a text without any token.
    if text.trim_ascii().is_empty() {
        return Err(WorkloadError::Empty);
    }
    let tokens = pg_query::scan_tokens(text).map_err(|error| unreadable(text, &error))?;
    let mut parts = Parts { text, queries: Vec::new(), start: None, end: 0, weight: 1.0, depth: 0 };
    for token in &tokens {
        parts.take(token)?;
    }
    parts.finish()?;
    if parts.queries.is_empty() {
        return Err(WorkloadError::Empty);
    }
    Ok(parts.queries)
}

struct Parts<'a> {
    text: &'a str,
    queries: Vec<WorkloadQuery>,
    /// The first byte of the statement that was begun.
    start: Option<usize>,
    end: usize,
    weight: f64,
    /// Parentheses that are open.
    depth: usize,
}

impl Parts<'_> {
    fn take(&mut self, token: &ScanToken) -> Result<(), WorkloadError> {
        let place = |place: i32| usize::try_from(place).unwrap_or(0);
        let (start, end) = (place(token.start), place(token.end));
        match Token::try_from(token.token) {
            Ok(Token::SqlComment | Token::CComment) => self.comment(start, end)?,
            Ok(Token::Ascii59) if self.depth == 0 => self.finish()?,
            kind => {
                match kind {
                    Ok(Token::Ascii40) => self.depth += 1,
                    Ok(Token::Ascii41) => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.start.get_or_insert(start);
                self.end = end;
            }
        }
        Ok(())
    }

    /// `-- weight: 12`
    fn comment(&mut self, start: usize, end: usize) -> Result<(), WorkloadError> {
        let comment = self.text.get(start..end).unwrap_or_default();
        let words = comment.trim_start_matches(['-', '/', '*']).trim_end_matches(['/', '*']).trim();
        let is_weight = words.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("weight"));
        let Some(value) =
            words.get(6..).filter(|_| is_weight).and_then(|rest| rest.trim_start().strip_prefix(':'))
        else {
            return Ok(());
        };
        let number = value.trim().parse::<f64>().ok().filter(|weight| weight.is_finite() && *weight >= 0.0);
        self.weight = number.ok_or_else(|| WorkloadError::Text {
            line: line(self.text, start),
            reason: format!("{:?} is no weight: a number of executions is needed, 0 or more", value.trim()),
        })?;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WorkloadError> {
        self.depth = 0;
        let Some(start) = self.start.take() else { return Ok(()) };
        let weight = std::mem::replace(&mut self.weight, 1.0);
        if self.queries.len() == STATEMENTS_MAX {
            return Err(WorkloadError::Text {
                line: line(self.text, start),
                reason: format!("a workload has at most {STATEMENTS_MAX} statements"),
            });
        }
        self.queries.push(WorkloadQuery {
            id: format!("line {}", line(self.text, start)),
            text: self.text.get(start..self.end).unwrap_or_default().to_owned(),
            weight,
            ..WorkloadQuery::default()
        });
        Ok(())
    }
}

fn line(text: &str, offset: usize) -> usize {
    Position::at(text, offset).line
}

/// The scanner says what it stumbled on: the rest of the text.
fn unreadable(text: &str, error: &pg_query::Error) -> WorkloadError {
    let message = match error {
        pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => message.clone(),
        other => other.to_string(),
    };
    let (said, rest) = message.split_once(" at or near ").unwrap_or((&message, ""));
    let rest = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
    let place = if rest.is_empty() { None } else { text.rfind(rest) };
    WorkloadError::Text { line: line(text, place.unwrap_or(0)), reason: said.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_that_are_none() {
        let text = "-- a file; of statements\nSELECT ';', $$;$$, \"a;b\" /* ; */ FROM t;\n;\n-- weight: 12\n\
                    CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);SELECT 3\n";
        let found: Vec<(String, String, f64)> =
            queries(text).unwrap().into_iter().map(|query| (query.id, query.text, query.weight)).collect();
        let expected = [
            ("line 2", "SELECT ';', $$;$$, \"a;b\" /* ; */ FROM t", 1.0),
            ("line 5", "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", 12.0),
            ("line 5", "SELECT 3", 1.0),
        ];
        assert_eq!(found, expected.map(|(id, text, weight)| (id.to_owned(), text.to_owned(), weight)));
    }

    #[test]
    fn bad_files_are_refused_with_the_line() {
        for (text, expected) in [
            ("SELECT 1;\n\n-- weight: many\nSELECT 2", "line 3: \"many\" is no weight"),
            ("SELECT 1;\n-- weight: -1\nSELECT 2", "line 2: \"-1\" is no weight"),
            ("SELECT 1;\nSELECT 'open", "line 2: unterminated quoted string"),
            ("SELECT 1;\n/* open", "line 2: unterminated /* comment"),
            ("SELECT\0", "line 1: there is a zero byte in it"),
            (" \n", "there is no statement in it"),
            ("-- nothing\n;;", "there is no statement in it"),
        ] {
            let error = queries(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
    }
}
