//! Large results as CSV, row by row: neither the database's answer nor the file is ever whole in memory.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use pgprime_client::{Error, Row, Rows};
use tokio::sync::mpsc;

/// What is sent at once.
const CHUNK_BYTES: usize = 16 * 1_024;

/// Chunks between the database and the reader.
const CHUNKS_MAX: usize = 4;

/// A reader that takes nothing for so long is given up: it keeps a connection of the database busy.
const STALL_MAX: Duration = Duration::from_secs(30);

enum Chunk {
    Rows(Bytes),
    /// The last row has been sent. Without it the answer is broken off, so that no part is taken for the whole.
    End,
}

/// How a row becomes a line.
type Line = fn(&Row) -> Result<String, Error>;

/// An answer with these rows, one line each.
pub(crate) fn answer(head: &str, rows: Rows, line: Line) -> Response {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let head = format!("{head}\r\n");
    tokio::spawn(async move {
        match send(&sender, head, rows, line).await {
            Ok(()) => {}
            Err(Stop::Gone) => tracing::debug!("the reader of an export has gone"),
            Err(Stop::Database(error)) => {
                tracing::warn!(step = %error.step(), sqlstate = error.sqlstate(), %error, "export broken off");
            }
        }
    });
    let body = stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Some(Chunk::Rows(bytes)) => Some((Ok(bytes), receiver)),
            Some(Chunk::End) => None,
            None => Some((Err(io::Error::other("the export was broken off")), receiver)),
        }
    });
    ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], Body::from_stream(body)).into_response()
}

/// Why an export ends early. What is left in the database is cancelled as the rows are dropped.
enum Stop {
    Gone,
    Database(Error),
}

async fn send(
    sender: &mpsc::Sender<Chunk>,
    mut text: String,
    mut rows: Rows,
    line: Line,
) -> Result<(), Stop> {
    while let Some(row) = rows.next().await.map_err(Stop::Database)? {
        text.push_str(&line(&row).map_err(Stop::Database)?);
        text.push_str("\r\n");
        if text.len() >= CHUNK_BYTES {
            pass(sender, Chunk::Rows(std::mem::take(&mut text).into())).await?;
        }
    }
    pass(sender, Chunk::Rows(text.into())).await?;
    pass(sender, Chunk::End).await
}

async fn pass(sender: &mpsc::Sender<Chunk>, chunk: Chunk) -> Result<(), Stop> {
    sender.send_timeout(chunk, STALL_MAX).await.map_err(|_| Stop::Gone)
}
