//! A small blocking client for what is not load: loading data, the pooler's console, counts in the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, bail};
use pgprime_wire::frame::{HEADER_BYTES, Header};
use pgprime_wire::frontend::encode;
use pgprime_wire::tag::backend as tag;

use crate::login::{Login, LoginMaterial, LoginStep, error_text};
use crate::rows::Row;
use crate::server::{Address, Server};

/// Largest message accepted from a server.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Rows are handed to COPY in pieces of about this size.
const COPY_BYTES: usize = 256 << 10;

/// The rows of one query, as text, with the names of their columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    columns: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The first column of the first row.
    pub(crate) fn first(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }

    /// Rows with these texts.
    #[cfg(test)]
    pub(crate) fn of(columns: &[&str], rows: &[&[&str]]) -> Self {
        let texts = |row: &&[&str]| row.iter().map(|text| Some((*text).to_owned())).collect();
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        Self { columns, rows: rows.iter().map(texts).collect() }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The text in a row's column of this name; `None` for NULL and where there is none.
    pub(crate) fn cell(&self, row: usize, name: &str) -> Option<&str> {
        let at = self.columns.iter().position(|column| column == name)?;
        self.rows.get(row)?.get(at)?.as_deref()
    }
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// One connection that waits for every answer.
pub(crate) struct ConsoleClient {
    stream: Box<dyn Stream>,
    received: Vec<u8>,
    out: Vec<u8>,
}

impl ConsoleClient {
    /// Connects and logs in. `patience` is how long any single answer may take.
    pub(crate) fn connect(server: &Server, patience: Option<Duration>) -> anyhow::Result<Self> {
        let mut client =
            Self { stream: open(&server.address, patience)?, received: Vec::new(), out: Vec::new() };
        let mut material = LoginMaterial::new(server);
        let mut login = Login::default();
        client.stream.write_all(material.startup())?;
        loop {
            let (message_tag, body) = client.message()?;
            let step = login.message(&mut material, message_tag, &body, &mut client.out)?;
            client.flush()?;
            if step == LoginStep::Done {
                return Ok(client);
            }
        }
    }

    /// Runs one or more statements in the simple protocol; gives the rows of the last that has any.
    pub(crate) fn query(&mut self, sql: &str) -> anyhow::Result<Rows> {
        encode::query(&mut self.out, sql.as_bytes());
        self.flush()?;
        let (mut rows, mut error) = (Rows::default(), None);
        loop {
            let (message_tag, body) = self.message()?;
            match message_tag {
                tag::ROW_DESCRIPTION => rows = Rows { columns: column_names(&body), rows: Vec::new() },
                tag::DATA_ROW => rows.rows.push(row_texts(&body)),
                tag::ERROR_RESPONSE => error = Some(error_text(&body)),
                tag::READY_FOR_QUERY => break,
                _ => {}
            }
        }
        match error {
            None => Ok(rows),
            Some(error) => bail!("{error} in: {}", sql.lines().next().unwrap_or_default()),
        }
    }

    /// Streams rows into a table in COPY's text format. `fill` appends rows to the buffer and gives false after the
    /// last.
    pub(crate) fn copy_in(
        &mut self,
        table: &str,
        mut fill: impl FnMut(&mut Vec<u8>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        encode::query(&mut self.out, format!("COPY {table} FROM STDIN").as_bytes());
        self.flush()?;
        match self.message()? {
            (tag::COPY_IN_RESPONSE, _) => {}
            (_, body) => bail!("COPY {table} was refused: {}", error_text(&body)),
        }
        let (mut piece, mut more) = (Vec::with_capacity(COPY_BYTES * 2), true);
        while more {
            more = fill(&mut piece)?;
            if piece.len() >= COPY_BYTES || !more {
                encode::copy_data(&mut self.out, &piece);
                piece.clear();
                self.flush()?;
            }
        }
        encode::copy_done(&mut self.out);
        self.flush()?;
        self.until_ready().with_context(|| format!("COPY {table}"))
    }

    fn until_ready(&mut self) -> anyhow::Result<()> {
        let mut error = None;
        loop {
            match self.message()? {
                (tag::ERROR_RESPONSE, body) => error = Some(error_text(&body)),
                (tag::READY_FOR_QUERY, _) => break,
                _ => {}
            }
        }
        error.map_or(Ok(()), |error| bail!(error))
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.stream.write_all(&self.out).context("sending to the server")?;
        self.out.clear();
        Ok(())
    }

    /// The next message: its tag and its body.
    fn message(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(header) = Header::peek(&self.received)? {
                if header.len > MESSAGE_BYTES_MAX {
                    bail!("a message of {} bytes is too long", header.len);
                }
                if self.received.len() >= header.len {
                    let message: Vec<u8> = self.received.drain(..header.len).collect();
                    return Ok((header.tag, message[HEADER_BYTES..].to_vec()));
                }
            }
            let mut piece = [0; 8192];
            match self.stream.read(&mut piece).context("waiting for the server")? {
                0 => bail!("the server closed the connection"),
                count => self.received.extend_from_slice(&piece[..count]),
            }
        }
    }
}

impl Drop for ConsoleClient {
    fn drop(&mut self) {
        self.out.clear();
        encode::terminate(&mut self.out);
        let _ = self.flush();
    }
}

fn open(address: &Address, patience: Option<Duration>) -> anyhow::Result<Box<dyn Stream>> {
    Ok(match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(patience)?;
            Box::new(stream)
        }
        Address::Unix(path) => {
            let stream =
                UnixStream::connect(path).with_context(|| format!("connecting to {}", path.display()))?;
            stream.set_read_timeout(patience)?;
            Box::new(stream)
        }
    })
}

fn column_names(body: &[u8]) -> Vec<String> {
    // After each name: table, column, type, type size, modifier and format of the column.
    const REST_BYTES: usize = 18;
    let (mut names, mut rest) = (Vec::new(), body.get(2..).unwrap_or_default());
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(String::from_utf8_lossy(&rest[..end]).into_owned());
        rest = rest.get(end + 1 + REST_BYTES..).unwrap_or_default();
    }
    names
}

fn row_texts(body: &[u8]) -> Vec<Option<String>> {
    let mut row = Row::new(body);
    let count = row.columns();
    (0..count).map(|_| row.text().map(|text| String::from_utf8_lossy(text).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_looked_up_by_name() {
        let mut body = vec![0, 2];
        for name in ["pool", "sv_idle"] {
            body.extend(name.as_bytes());
            body.extend([0; 19]);
        }
        let rows = Rows {
            columns: column_names(&body),
            rows: vec![vec![Some("a".into()), Some("3".into())], vec![Some("b".into()), None]],
        };
        assert_eq!((rows.len(), rows.first()), (2, Some("a")));
        assert_eq!((rows.cell(0, "sv_idle"), rows.cell(1, "pool")), (Some("3"), Some("b")));
        assert_eq!(
            (rows.cell(1, "sv_idle"), rows.cell(0, "missing"), rows.cell(2, "pool")),
            (None, None, None)
        );
    }

    #[test]
    fn a_cut_description_has_the_names_that_arrived() {
        assert_eq!(column_names(b""), Vec::<String>::new());
        assert_eq!(column_names(b"\0\x02one\0short"), ["one"]);
    }
}
