//! What goes over the wire once replication has started: frames of the protocol, of which no more is held than has to be
//! understood.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use pgprime_wire::backend::ErrorFields;
use pgprime_wire::frame::{HEADER_BYTES, Header};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Of a message, no more than this is held: what comes behind are the values of a row.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// PostgreSQL counts from the year 2000.
const EPOCH_SECONDS: u64 = 946_684_800;

/// A message of the server, or its beginning.
pub(super) struct Frame {
    pub(super) tag: u8,
    pub(super) head: Vec<u8>,
    /// Whether there was more.
    pub(super) is_cut: bool,
}

/// Reads the next message; what is too much of it is passed over.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Frame> {
    let mut header = [0; HEADER_BYTES];
    from.read_exact(&mut header).await?;
    let header = Header::peek(&header).map_err(io::Error::other)?;
    let Header { tag, len } = header.ok_or(io::ErrorKind::UnexpectedEof)?;
    let body = len.saturating_sub(HEADER_BYTES);
    let mut head = vec![0; body.min(HEAD_BYTES_MAX)];
    from.read_exact(&mut head).await?;
    let rest = u64::try_from(body - head.len()).unwrap_or(u64::MAX);
    if tokio::io::copy(&mut from.take(rest), &mut tokio::io::sink()).await? < rest {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Frame { tag, head, is_cut: rest > 0 })
}

/// A command.
pub(super) fn query(text: &str) -> Vec<u8> {
    frame(pgprime_wire::tag::frontend::QUERY, &[text.as_bytes(), b"\0"])
}

/// Whether the server is asked for its position, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Wanted,
    NotWanted,
}

/// "Everything up to this position has been taken in."
pub(super) fn status(position: u64, reply: Reply) -> Vec<u8> {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let clock = i64::try_from(micros).unwrap_or(i64::MAX).saturating_sub_unsigned(EPOCH_SECONDS * 1_000_000);
    let position = position.to_be_bytes();
    let reply = [u8::from(reply == Reply::Wanted)];
    // Written, flushed, applied.
    let parts: [&[u8]; 6] = [b"r", &position, &position, &position, &clock.to_be_bytes(), &reply];
    frame(pgprime_wire::tag::frontend::COPY_DATA, &parts)
}

fn frame(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    // Commands are short, and so are messages of a fixed length.
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[tag], &length.to_be_bytes()[..], &body].concat()
}

/// SQLSTATE and text of an error of the server.
pub(super) fn refusal(body: &[u8]) -> (String, String) {
    let fields = ErrorFields::parse(body);
    let mut reason = fields.message().unwrap_or("an error without a text").to_owned();
    if let Some(hint) = fields.hint() {
        reason = format!("{reason}; {hint}");
    }
    (fields.sqlstate().unwrap_or_default().to_owned(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_that_is_too_long_is_passed_over() {
        let long = HEAD_BYTES_MAX + 100_000;
        let mut bytes = frame(b'd', &[&vec![7; long]]);
        bytes.extend(frame(b'Z', &[b"I"]));
        let mut from = &bytes[..];
        let first = read(&mut from).await.unwrap();
        assert_eq!((first.tag, first.head.len(), first.is_cut), (b'd', HEAD_BYTES_MAX, true));
        let second = read(&mut from).await.unwrap();
        assert_eq!((second.tag, &second.head[..], second.is_cut), (b'Z', &b"I"[..], false));
        for cut in [0, 3, 5, 100, HEAD_BYTES_MAX + 50_000] {
            assert!(read(&mut &bytes[..cut]).await.is_err(), "{cut}");
        }
        assert!(read(&mut &b"d\0\0\0\x01"[..]).await.is_err());
    }

    #[test]
    fn a_status_has_the_layout_of_the_protocol() {
        let status = status(0x0102, Reply::Wanted);
        assert_eq!(status.len(), 1 + 4 + 34);
        assert_eq!(status[..6], *b"d\0\0\0\x26r");
        assert_eq!(status[6..14], 0x0102_u64.to_be_bytes());
        assert_eq!(status[38], 1);
    }
}
