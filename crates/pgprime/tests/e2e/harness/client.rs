//! A tokio-postgres client whose connection is driven in the background.

use std::ops::{Deref, DerefMut};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Config, Error, NoTls, Row, SimpleQueryMessage, SimpleQueryRow};

/// A connection; it ends when this is dropped.
pub(crate) struct Client {
    client: tokio_postgres::Client,
    messages: UnboundedReceiver<AsyncMessage>,
    driver: JoinHandle<()>,
}

impl Client {
    pub(crate) async fn connect(conninfo: &str) -> Result<Self, Error> {
        Self::connect_with(&conninfo.parse()?).await
    }

    pub(crate) async fn connect_with(config: &Config) -> Result<Self, Error> {
        let (client, mut connection) = config.connect(NoTls).await?;
        let (sender, messages) = unbounded_channel();
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                let _ = sender.send(message);
            }
        });
        Ok(Self { client, messages, driver })
    }

    /// The only value of the only row of a simple query.
    pub(crate) async fn value(&self, sql: &str) -> Result<String, Error> {
        let rows = self.rows(sql).await?;
        assert_eq!(rows.len(), 1, "{sql}");
        Ok(rows[0].get(0).unwrap_or("NULL").to_owned())
    }

    /// The rows of a simple query.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<SimpleQueryRow>, Error> {
        let messages = self.client.simple_query(sql).await?;
        let row = |message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None };
        Ok(messages.into_iter().filter_map(row).collect())
    }

    /// The process number of the backend that serves this client now.
    pub(crate) async fn backend(&self) -> String {
        self.value("SELECT pg_backend_pid()").await.unwrap()
    }

    /// The next notice or notification.
    pub(crate) async fn message(&mut self) -> AsyncMessage {
        self.messages.recv().await.expect("the connection is open")
    }

    /// Closes the socket without a word, as a client that is killed.
    pub(crate) async fn vanish(self) {
        self.driver.abort();
        let _aborted = self.driver.await;
    }
}

impl Deref for Client {
    type Target = tokio_postgres::Client;

    fn deref(&self) -> &tokio_postgres::Client {
        &self.client
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut tokio_postgres::Client {
        &mut self.client
    }
}

/// A value of a row of the console by its column's name.
pub(crate) fn cell<'a>(row: &'a SimpleQueryRow, name: &str) -> &'a str {
    row.get(name).unwrap_or_default()
}

/// The first column of rows.
pub(crate) fn column<T: for<'a> tokio_postgres::types::FromSql<'a>>(rows: &[Row]) -> Vec<T> {
    rows.iter().map(|row| row.get(0)).collect()
}

/// The SQLSTATE of a failure, or an empty text when the connection broke without one.
pub(crate) fn sqlstate<T>(outcome: Result<T, Error>) -> String {
    let Err(error) = outcome else { panic!("an error was expected") };
    error.code().map(|code| code.code().to_owned()).unwrap_or_default()
}
