//! The one place where a message of a client is classified and routed.
//!
//! Everything that will decide where a request goes has its place here: read/write split, the result cache, and
//! whether a request may share a server's queue with others.

use pgprime_wire::tag::frontend as tag;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// To a server, for which the client waits if need be.
    Server(Kind),
    /// Nowhere: it means nothing in this state, as PostgreSQL sees it too.
    Discard,
    /// Answered here with ReadyForQuery.
    Ready,
    /// The client says goodbye.
    Leave,
    /// Not a message of the protocol in this state.
    Violation,
}

/// How a message is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Query,
    FunctionCall,
    Parse,
    Bind,
    Describe,
    Execute,
    Close,
    Sync,
    Flush,
    CopyData,
    CopyEnd,
}

/// Whether the client has a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Linked,
    Free,
    /// Without a server and ignoring everything up to Sync, after an error of the pooler's own.
    Skipping,
}

pub(crate) fn classify(message_tag: u8, link: Link) -> Route {
    let Some(kind) = kind(message_tag) else {
        return if message_tag == tag::TERMINATE { Route::Leave } else { Route::Violation };
    };
    match (link, kind) {
        (Link::Linked, _) => Route::Server(kind),
        (Link::Free | Link::Skipping, Kind::Sync) => Route::Ready,
        // What a client still sends of a COPY after an error has ended it; PostgreSQL ignores it as well.
        (Link::Free | Link::Skipping, Kind::CopyData | Kind::CopyEnd | Kind::Flush) => Route::Discard,
        (Link::Skipping, _) => Route::Discard,
        (Link::Free, _) => Route::Server(kind),
    }
}

fn kind(message_tag: u8) -> Option<Kind> {
    Some(match message_tag {
        tag::QUERY => Kind::Query,
        tag::FUNCTION_CALL => Kind::FunctionCall,
        tag::PARSE => Kind::Parse,
        tag::BIND => Kind::Bind,
        tag::DESCRIBE => Kind::Describe,
        tag::EXECUTE => Kind::Execute,
        tag::CLOSE => Kind::Close,
        tag::SYNC => Kind::Sync,
        tag::FLUSH => Kind::Flush,
        tag::COPY_DATA => Kind::CopyData,
        tag::COPY_DONE | tag::COPY_FAIL => Kind::CopyEnd,
        _ => return None,
    })
}

/// What the text of a simple query, or of a statement that is prepared, asks of the session's own statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SessionCommand {
    /// `DEALLOCATE [PREPARE] name`; the name as PostgreSQL reads it, in lower case unless quoted.
    Deallocate(Vec<u8>),
    /// Anything else.
    Other,
}

/// Recognises `DEALLOCATE name` standing alone. `DEALLOCATE ALL` and `DISCARD ALL` are recognised by the server's
/// answer, wherever they stand.
pub(crate) fn session_command(text: &[u8]) -> SessionCommand {
    let text = text.trim_ascii();
    let Some((word, rest)) = split_word(text) else { return SessionCommand::Other };
    if !word.eq_ignore_ascii_case(b"DEALLOCATE") {
        return SessionCommand::Other;
    }
    let rest = match split_word(rest) {
        Some((word, name)) if word.eq_ignore_ascii_case(b"PREPARE") => name,
        _ => rest,
    };
    let name = rest.strip_suffix(b";").unwrap_or(rest).trim_ascii();
    let quoted = name.strip_prefix(b"\"").and_then(|name| name.strip_suffix(b"\""));
    let is_plain =
        |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80);
    match quoted {
        Some(name) if !name.contains(&b'"') => SessionCommand::Deallocate(name.to_vec()),
        None if !name.is_empty() && is_plain(name) && !name.eq_ignore_ascii_case(b"ALL") => {
            SessionCommand::Deallocate(name.to_ascii_lowercase())
        }
        _ => SessionCommand::Other,
    }
}

/// Whether the body of a Query is a command that makes an end of all statements, standing alone.
pub(crate) fn discards_statements(body: &[u8]) -> bool {
    let text = body.strip_suffix(b"\0").unwrap_or(body).trim_ascii();
    let mut words = text
        .strip_suffix(b";")
        .unwrap_or(text)
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let first = words.next().unwrap_or_default();
    let is_command = first.eq_ignore_ascii_case(b"DISCARD") || first.eq_ignore_ascii_case(b"DEALLOCATE");
    is_command && words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"ALL"))
}

fn split_word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(u8::is_ascii_whitespace)?;
    let (word, rest) = text.split_at(end);
    Some((word, rest.trim_ascii_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_a_server() {
        for (message_tag, link, expected) in [
            (b'Q', Link::Free, Route::Server(Kind::Query)),
            (b'S', Link::Free, Route::Ready),
            (b'S', Link::Linked, Route::Server(Kind::Sync)),
            (b'd', Link::Free, Route::Discard),
            (b'c', Link::Linked, Route::Server(Kind::CopyEnd)),
            (b'B', Link::Skipping, Route::Discard),
            (b'Q', Link::Skipping, Route::Discard),
            (b'X', Link::Skipping, Route::Leave),
            (b'p', Link::Linked, Route::Violation),
            (0, Link::Free, Route::Violation),
        ] {
            assert_eq!(classify(message_tag, link), expected, "{} {link:?}", message_tag as char);
        }
    }

    #[test]
    fn deallocate_is_recognised_alone() {
        for (text, name) in [
            ("DEALLOCATE a", Some("a")),
            ("  deallocate  prepare\n\"My stmt\" ; ", Some("My stmt")),
            ("DEALLOCATE _PG3_0;", Some("_pg3_0")),
            ("DEALLOCATE ALL", None),
            ("DEALLOCATE a; SELECT 1", None),
            ("DEALLOCATE", None),
            ("DELETE FROM t", None),
            ("", None),
        ] {
            let expected = name
                .map_or(SessionCommand::Other, |name| SessionCommand::Deallocate(name.as_bytes().to_vec()));
            assert_eq!(session_command(text.as_bytes()), expected, "{text}");
        }
    }
}
