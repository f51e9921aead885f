//! The console's language: PgBouncer's SHOW and commands.

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// `SHOW what`, in lower case.
    Show(String),
    Pause(Option<String>),
    Resume(Option<String>),
    Disable(String),
    Enable(String),
    Reconnect(Option<String>),
    Kill(Option<String>),
    KillClient(String),
    WaitClose(Option<String>),
    Reload,
    /// `RESET STATEMENTS`.
    ResetStatements,
    Shutdown(When),
    Set {
        name: String,
        value: String,
    },
    /// Nothing but white space, comments or semicolons.
    Empty,
}

/// When SHUTDOWN takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    ServersFree,
    ClientsGone,
}

/// A command that cannot be read: what to tell the user.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid command '{0}', use SHOW HELP;")]
pub(super) struct ParseError(String);

/// Reads one command.
pub(super) fn parse(text: &str) -> Result<Command, ParseError> {
    let invalid = || ParseError(text.trim().chars().take(200).collect());
    let tokens = tokens(text).ok_or_else(invalid)?;
    let words: Vec<&str> = tokens.iter().map(|token| token.text.as_str()).collect();
    let Some((verb, rest)) = words.split_first() else { return Ok(Command::Empty) };
    let name = |rest: &[&str]| -> Result<Option<String>, ParseError> {
        match rest {
            [] => Ok(None),
            [name] => Ok(Some((*name).to_string())),
            _ => Err(invalid()),
        }
    };
    let needed = |rest: &[&str]| name(rest)?.ok_or_else(invalid);
    match verb.to_ascii_lowercase().as_str() {
        "show" => match rest {
            [what] => Ok(Command::Show(what.to_ascii_lowercase())),
            // PostgreSQL's drivers ask so.
            ["transaction", "isolation", "level"] => Ok(Command::Show("transaction_isolation".into())),
            _ => Err(invalid()),
        },
        "pause" => Ok(Command::Pause(name(rest)?)),
        "resume" => Ok(Command::Resume(name(rest)?)),
        "disable" => Ok(Command::Disable(needed(rest)?)),
        "enable" => Ok(Command::Enable(needed(rest)?)),
        "reconnect" => Ok(Command::Reconnect(name(rest)?)),
        "kill" => Ok(Command::Kill(name(rest)?)),
        "kill_client" => Ok(Command::KillClient(needed(rest)?)),
        "wait_close" => Ok(Command::WaitClose(name(rest)?)),
        "reload" if rest.is_empty() => Ok(Command::Reload),
        "reset" => match rest {
            [word] if word.eq_ignore_ascii_case("statements") => Ok(Command::ResetStatements),
            _ => Err(invalid()),
        },
        "shutdown" => match rest {
            [] => Ok(Command::Shutdown(When::Now)),
            [word] if word.eq_ignore_ascii_case("wait_for_servers") => {
                Ok(Command::Shutdown(When::ServersFree))
            }
            [word] if word.eq_ignore_ascii_case("wait_for_clients") => {
                Ok(Command::Shutdown(When::ClientsGone))
            }
            _ => Err(invalid()),
        },
        "set" => match rest {
            [name, sign, value] if *sign == "=" || sign.eq_ignore_ascii_case("to") => {
                Ok(Command::Set { name: name.to_ascii_lowercase(), value: (*value).to_string() })
            }
            _ => Err(invalid()),
        },
        _ => Err(invalid()),
    }
}

struct Token {
    text: String,
}

/// Words, quoted texts and `=`; comments and a last semicolon are left out. `None`: an open quote, or text after the
/// semicolon.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        rest = match first {
            ';' => return rest.trim_matches([';', ' ', '\n', '\t', '\r']).is_empty().then_some(tokens),
            '-' if rest.starts_with("--") => rest.split_once('\n').map_or("", |(_, rest)| rest),
            '=' => {
                tokens.push(Token { text: "=".into() });
                rest.strip_prefix('=')?
            }
            '\'' | '"' => {
                let (token, rest) = quoted(rest, first)?;
                tokens.push(token);
                rest
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || matches!(c, ';' | '=' | '\'' | '"'))
                    .unwrap_or(rest.len());
                let (word, rest) = rest.split_at(end);
                tokens.push(Token { text: word.to_string() });
                rest
            }
        }
        .trim_start();
    }
    Some(tokens)
}

fn quoted(text: &str, quote: char) -> Option<(Token, &str)> {
    let mut value = String::new();
    let mut rest = text.strip_prefix(quote)?;
    loop {
        let (before, after) = rest.split_once(quote)?;
        value.push_str(before);
        match after.strip_prefix(quote) {
            Some(after) => {
                value.push(quote);
                rest = after;
            }
            None => return Some((Token { text: value }, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        for (text, expected) in [
            ("show POOLS;", Command::Show("pools".into())),
            ("  Pause  \"my db\" ; ", Command::Pause(Some("my db".into()))),
            ("RESUME", Command::Resume(None)),
            ("set default_pool_size=5", Command::Set { name: "default_pool_size".into(), value: "5".into() }),
            (
                "SET server_reset_query TO 'it''s'",
                Command::Set { name: "server_reset_query".into(), value: "it's".into() },
            ),
            ("SET admin_users = ''", Command::Set { name: "admin_users".into(), value: String::new() }),
            ("shutdown wait_for_clients", Command::Shutdown(When::ClientsGone)),
            ("-- a comment\nRELOAD", Command::Reload),
            ("reset statements;", Command::ResetStatements),
            (" ; ", Command::Empty),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for text in [
            "SELECT 1",
            "SHOW",
            "SHOW a b",
            "DISABLE",
            "SET a",
            "SET a = 'b",
            "RELOAD x",
            "RESET",
            "SHOW POOLS; SHOW STATS",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
