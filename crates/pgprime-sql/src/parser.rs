//! From a text to the tree of its only statement.

use std::thread;

use pg_query::protobuf;
use pg_query::protobuf::{RawStmt, ScanToken, Token};

use super::error::SqlError;
use super::nesting::{self, NESTING_MAX};
use super::position::Position;

/// The longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// The stack of the thread that parses, in bytes; only what is used of it takes memory. Decoding a tree of
/// [`NESTING_MAX`] levels takes some 10 MiB without optimization.
const STACK_BYTES: usize = 256 << 20;
/// Texts from this length on that end in the middle were probably cut: the default of track_activity_query_size is 1,024.
const CUT_BYTES_MIN: usize = 1_000;

/// The library's own limit, in its words; it lies above ours.
const TOO_DEEP: &str = "nested too deeply";
/// What PostgreSQL's grammar takes for white space.
const WHITE_SPACE: &[u8] = b" \t\n\r\x0b\x0c";

/// The statement of a text, without what surrounds it.
pub(super) struct Parsed {
    pub(super) tree: protobuf::Node,
    /// Its first byte in the text.
    pub(super) start: usize,
    /// The byte behind its last.
    pub(super) end: usize,
    pub(super) tokens: Vec<ScanToken>,
}

/// Parses a text that is one statement and hands what it holds to `then`, on a thread with stack enough for the deepest tree
/// that is read.
pub(super) fn parse_then<T: Send>(
    text: &str,
    then: impl FnOnce(Parsed) -> Result<T, SqlError> + Send,
) -> Result<T, SqlError> {
    // The library's scanner must not be given a text without any token.
    if is_white(text) {
        return Err(SqlError::Empty);
    }
    on_deep_stack(text, || parse(text).and_then(then))
}

/// Nothing but what PostgreSQL's grammar takes for white space.
pub(super) fn is_white(text: &str) -> bool {
    text.bytes().all(|byte| WHITE_SPACE.contains(&byte))
}

/// Does something with a text of bearable length on a thread with stack enough for the deepest tree that is read.
pub(super) fn on_deep_stack<T: Send>(
    text: &str,
    work: impl FnOnce() -> Result<T, SqlError> + Send,
) -> Result<T, SqlError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(SqlError::TooLong { bytes: text.len(), bytes_max: TEXT_BYTES_MAX });
    }
    if let Some(zero) = text.find('\0') {
        return Err(SqlError::ZeroByte { position: Position::at(text, zero) });
    }
    let failed = |reason: String| SqlError::Parser { reason };
    thread::scope(|scope| {
        let builder = thread::Builder::new().name("sql".to_owned()).stack_size(STACK_BYTES);
        let worker = builder.spawn_scoped(scope, work);
        let worker = worker.map_err(|error| failed(format!("no thread to do so: {error}")))?;
        worker.join().map_err(|_| failed("the parser stopped".to_owned()))?
    })
}

/// The statements of a text, all of them, with the text's tokens.
pub(super) fn statements(text: &str) -> Result<(Vec<RawStmt>, Vec<ScanToken>), SqlError> {
    let tokens = tokens(text)?;
    if let Some(offset) = nesting::first_too_deep(&tokens) {
        return Err(SqlError::TooDeep { position: Position::at(text, offset), nesting_max: NESTING_MAX });
    }
    match pg_query::parse(text, 0) {
        Ok(parsed) => Ok((parsed.protobuf.stmts, tokens)),
        Err(error) if message_of(&error).contains(TOO_DEEP) => {
            Err(SqlError::TooDeep { position: Position::at(text, 0), nesting_max: NESTING_MAX })
        }
        Err(error) => Err(syntax_error(text, &tokens, &error)),
    }
}

fn parse(text: &str) -> Result<Parsed, SqlError> {
    let (mut statements, tokens) = statements(text)?;
    if let [_, second, ..] = statements.as_slice() {
        let offset = usize::try_from(second.stmt_location).unwrap_or(0);
        let second = first_token_from(&tokens, offset).unwrap_or(offset);
        return Err(SqlError::Several { count: statements.len(), second: Position::at(text, second) });
    }
    let statement = statements.pop().and_then(|raw| raw.stmt).filter(|node| node.node.is_some());
    let tree = *statement.ok_or(SqlError::Empty)?;
    let meant = |token: &&ScanToken| !is_around(token);
    let start = tokens.iter().find(meant).map_or(0, |token| byte(token.start));
    let end = tokens.iter().rev().find(meant).map_or(text.len(), |token| byte(token.end));
    Ok(Parsed { tree, start, end, tokens })
}

/// Comments and semicolons, which surround a statement.
fn is_around(token: &ScanToken) -> bool {
    matches!(Token::try_from(token.token), Ok(Token::SqlComment | Token::CComment | Token::Ascii59))
}

fn first_token_from(tokens: &[ScanToken], offset: usize) -> Option<usize> {
    let after = tokens.iter().filter(|token| byte(token.start) >= offset);
    after.filter(|token| !is_around(token)).map(|token| byte(token.start)).next()
}

/// A place in a text, which the scanner gives as a number that is never negative.
fn byte(place: i32) -> usize {
    usize::try_from(place).unwrap_or(0)
}

fn tokens(text: &str) -> Result<Vec<ScanToken>, SqlError> {
    pg_query::scan_tokens(text).map_err(|error| {
        let message = message_of(&error);
        // The scanner says what it stumbled on: an unterminated string, up to the end of the text.
        let piece =
            message.split_once("at or near \"").map(|(_, piece)| piece.trim_end_matches('"').to_owned());
        let found = piece.filter(|piece| !piece.is_empty()).and_then(|piece| text.rfind(piece.as_str()));
        let is_cut = message.contains("unterminated") && text.len() >= CUT_BYTES_MIN;
        SqlError::Syntax {
            message: shorten(&message),
            position: found.map(|at| Position::at(text, at)),
            is_cut,
        }
    })
}

/// The parser's refusal with its place, which the library does not hand on: the first token with which the text up to it
/// cannot be completed to a statement.
fn syntax_error(text: &str, tokens: &[ScanToken], error: &pg_query::Error) -> SqlError {
    let message = match error {
        pg_query::Error::Parse(message) => message.clone(),
        other => return SqlError::Parser { reason: message_of(other) },
    };
    let tokens: Vec<&ScanToken> = tokens.iter().filter(|token| !is_comment(token)).collect();
    if message.ends_with("at end of input") {
        let is_cut = text.len() >= CUT_BYTES_MIN;
        return SqlError::Syntax { message, position: Some(Position::at(text, text.len())), is_cut };
    }
    let is_refused = |end: usize| match text.get(..end).map(|text| pg_query::parse(text, 0)) {
        Some(Err(pg_query::Error::Parse(said))) => !said.ends_with("at end of input"),
        _ => false,
    };
    // All shorter beginnings can be completed and no longer one can, so halving finds the token.
    let first = tokens.partition_point(|token| !is_refused(byte(token.end)));
    let position = tokens.get(first).map(|token| Position::at(text, byte(token.start)));
    SqlError::Syntax { message, position, is_cut: false }
}

fn is_comment(token: &ScanToken) -> bool {
    matches!(Token::try_from(token.token), Ok(Token::SqlComment | Token::CComment))
}

fn message_of(error: &pg_query::Error) -> String {
    match error {
        pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => message.clone(),
        other => other.to_string(),
    }
}

/// The scanner quotes all that is left of the text.
fn shorten(message: &str) -> String {
    match message.char_indices().nth(100) {
        Some((end, _)) => format!("{}…\"", &message[..end]),
        None => message.to_owned(),
    }
}
