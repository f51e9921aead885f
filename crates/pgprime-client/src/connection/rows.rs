//! Rows one by one.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt};
use tokio_postgres::Row;

use super::announce::Telling;
use super::state::InFlight;
use crate::error::Error;

/// The rows of a statement, as they come. The connection is busy until the last one has been read; a stream that is
/// dropped before is cancelled when the connection goes back to its pool.
///
/// It is a [`Stream`] as well.
#[must_use = "rows come only as they are asked for"]
pub struct RowStream<'a> {
    rows: Pin<Box<tokio_postgres::RowStream>>,
    in_flight: Option<InFlight>,
    /// At the end, the word of what the statement wrote is on its way; whoever reads the end may rely on it.
    telling: Option<Telling>,
    /// What is to be said after it.
    failure: Option<Error>,
    connection: PhantomData<&'a ()>,
}

impl RowStream<'_> {
    pub(crate) fn new(rows: tokio_postgres::RowStream, in_flight: InFlight) -> Self {
        Self {
            rows: Box::pin(rows),
            in_flight: Some(in_flight),
            telling: None,
            failure: None,
            connection: PhantomData,
        }
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// [`Error::Query`]; no more rows come then.
    pub async fn next(&mut self) -> Result<Option<Row>, Error> {
        StreamExt::next(self).await.transpose()
    }

    /// The rows that the statement changed or returned; `None` before the end.
    pub fn rows_affected(&self) -> Option<u64> {
        self.rows.rows_affected()
    }

    /// Without the borrow: for a holder that keeps the connection along with it.
    pub(crate) fn detached(self) -> RowStream<'static> {
        RowStream {
            rows: self.rows,
            in_flight: self.in_flight,
            telling: self.telling,
            failure: self.failure,
            connection: PhantomData,
        }
    }
}

impl Stream for RowStream<'_> {
    type Item = Result<Row, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.in_flight.is_some() {
            let item = ready!(self.rows.as_mut().poll_next(cx));
            let telling = match (&item, self.in_flight.take()) {
                (Some(Ok(_)), request) => {
                    self.in_flight = request;
                    return Poll::Ready(item.map(|row| row.map_err(Error::from)));
                }
                (None, Some(request)) => Some(request.finish()),
                (Some(Err(error)), Some(request)) => request.fail(error),
                (_, None) => None,
            };
            self.telling = telling;
            self.failure = item.and_then(Result::err).map(Error::from);
        }
        if let Some(telling) = &mut self.telling {
            ready!(Pin::new(telling).poll(cx));
            self.telling = None;
        }
        Poll::Ready(self.failure.take().map(Err))
    }
}

impl fmt::Debug for RowStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowStream").field("is_finished", &self.in_flight.is_none()).finish()
    }
}
