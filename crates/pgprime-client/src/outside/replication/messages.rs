//! What pgoutput says, and which tables a transaction has touched by it. Pure.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Tables of one batch that are told apart; of more than these, everything is given up.
const TABLES_MAX: usize = 1_000;
/// Names that are remembered. The server says each name once; what is about a name that was forgotten may be about anything.
const NAMES_MAX: usize = 20_000;
/// Of a message within the stream: its kind, two positions and a time.
const DATA_HEAD_BYTES: usize = 1 + 3 * 8;

/// Schema and name, as they are.
pub(super) type Name = (Arc<str>, Arc<str>);

/// What was touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::outside) enum Touched {
    /// These tables, by schema and name.
    Tables(BTreeSet<(Arc<str>, Arc<str>)>),
    /// It cannot be told.
    Anything,
}

impl Default for Touched {
    fn default() -> Self {
        Self::Tables(BTreeSet::new())
    }
}

impl Touched {
    pub(in crate::outside) fn is_nothing(&self) -> bool {
        matches!(self, Self::Tables(tables) if tables.is_empty())
    }

    pub(super) fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Anything, _) => {}
            (_, Self::Anything) => *self = Self::Anything,
            (Self::Tables(tables), Self::Tables(more)) => {
                tables.extend(more);
                self.bound();
            }
        }
    }

    fn add_name(&mut self, name: Option<&Name>) {
        match (&mut *self, name) {
            (Self::Anything, _) => {}
            (_, None) => *self = Self::Anything,
            (Self::Tables(tables), Some(name)) => {
                if !tables.contains(name) {
                    tables.insert(name.clone());
                }
                self.bound();
            }
        }
    }

    fn bound(&mut self) {
        if matches!(self, Self::Tables(tables) if tables.len() > TABLES_MAX) {
            *self = Self::Anything;
        }
    }
}

/// What a message of the stream comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing yet.
    None,
    /// A transaction was committed that ends at this position.
    Committed { touched: Touched, position: u64 },
    /// The server has said everything that was committed up to this position, and may want an answer.
    Position { position: u64, wants_reply: bool },
}

/// A message that is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent a {0} that is not as the protocol has it")]
pub(super) struct Malformed(&'static str);

/// Makes news of messages.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    names: HashMap<u32, Name>,
    /// By the transaction that is being told.
    touched: Touched,
}

impl Decoder {
    /// Takes in the data of one CopyData, or its beginning.
    pub(super) fn take_in(&mut self, data: &[u8], is_cut: bool) -> Result<News, Malformed> {
        match data.first() {
            Some(b'k') => keepalive(data),
            Some(b'w') => {
                let message = data.get(DATA_HEAD_BYTES..).ok_or(Malformed("frame"))?;
                self.change(message, is_cut)
            }
            _ => Err(Malformed("frame")),
        }
    }

    fn change(&mut self, message: &[u8], is_cut: bool) -> Result<News, Malformed> {
        let mut fields = Fields(message);
        match fields.array("message").map(|[kind]| kind)? {
            b'B' => self.touched = Touched::default(),
            b'R' => self.relation(&mut fields)?,
            b'I' | b'U' | b'D' => {
                let oid = fields.u32("change")?;
                self.touched.add_name(self.names.get(&oid));
            }
            b'T' => self.truncated(&mut fields, is_cut)?,
            b'C' => {
                let ([_flags], _begins) = (fields.array("commit")?, fields.u64("commit")?);
                let position = fields.u64("commit")?;
                return Ok(News::Committed { touched: std::mem::take(&mut self.touched), position });
            }
            // Types, origins and what later versions may add say nothing of tables.
            _ => {}
        }
        Ok(News::None)
    }

    /// The server says a table's name before the first change, and again when it has changed.
    fn relation(&mut self, fields: &mut Fields<'_>) -> Result<(), Malformed> {
        let oid = fields.u32("relation")?;
        let schema = match fields.text("relation")? {
            "" => "pg_catalog",
            schema => schema,
        };
        let name = (schema.into(), fields.text("relation")?.into());
        if self.names.len() >= NAMES_MAX && !self.names.contains_key(&oid) {
            self.names.clear();
        }
        self.names.insert(oid, name);
        Ok(())
    }

    fn truncated(&mut self, fields: &mut Fields<'_>, is_cut: bool) -> Result<(), Malformed> {
        if is_cut {
            self.touched = Touched::Anything;
            return Ok(());
        }
        let (count, [_options]) = (fields.u32("truncate")?, fields.array("truncate")?);
        for _ in 0..count {
            let oid = fields.u32("truncate")?;
            self.touched.add_name(self.names.get(&oid));
        }
        Ok(())
    }
}

fn keepalive(data: &[u8]) -> Result<News, Malformed> {
    let mut fields = Fields(data);
    let ([_], position, _clock) =
        (fields.array("keepalive")?, fields.u64("keepalive")?, fields.u64("keepalive")?);
    let [reply] = fields.array("keepalive")?;
    Ok(News::Position { position, wants_reply: reply != 0 })
}

/// The rest of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn array<const N: usize>(&mut self, message: &'static str) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Malformed(message))?;
        self.0 = rest;
        Ok(*head)
    }

    fn u32(&mut self, message: &'static str) -> Result<u32, Malformed> {
        self.array(message).map(u32::from_be_bytes)
    }

    fn u64(&mut self, message: &'static str) -> Result<u64, Malformed> {
        self.array(message).map(u64::from_be_bytes)
    }

    fn text(&mut self, message: &'static str) -> Result<&'a str, Malformed> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Malformed(message))?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| Malformed(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(message: &[u8]) -> Vec<u8> {
        [&[b'w'][..], &[0; 24], message].concat()
    }

    fn relation(oid: u32, schema: &str, name: &str) -> Vec<u8> {
        let rest = b"d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff";
        data(
            &[&b"R"[..], &oid.to_be_bytes(), schema.as_bytes(), b"\0", name.as_bytes(), b"\0", rest].concat(),
        )
    }

    fn change(kind: u8, oid: u32) -> Vec<u8> {
        data(&[&[kind][..], &oid.to_be_bytes(), b"N\0\x01t\0\0\0\x011"].concat())
    }

    fn commit(position: u64) -> Vec<u8> {
        data(&[&b"C\0"[..], &1_u64.to_be_bytes(), &position.to_be_bytes(), &[0; 8]].concat())
    }

    fn truncate(oids: &[u32]) -> Vec<u8> {
        let count = u32::try_from(oids.len()).unwrap();
        let mut message = [&b"T"[..], &count.to_be_bytes(), b"\0"].concat();
        oids.iter().for_each(|oid| message.extend(oid.to_be_bytes()));
        data(&message)
    }

    fn tables(names: &[(&str, &str)]) -> Touched {
        Touched::Tables(names.iter().map(|(schema, name)| ((*schema).into(), (*name).into())).collect())
    }

    fn take_in(decoder: &mut Decoder, data: &[u8]) -> News {
        decoder.take_in(data, false).unwrap()
    }

    #[test]
    fn a_transaction_is_told_at_its_commit() {
        let mut decoder = Decoder::default();
        let begin = data(&[&b"B"[..], &[0; 20]].concat());
        let messages = [
            begin.clone(),
            relation(7, "public", "items"),
            change(b'I', 7),
            data(b"Y\0\0\0\x01public\0mood\0"),
            relation(8, "Odd \"one\"", "b"),
            change(b'U', 8),
            change(b'D', 7),
        ];
        for message in &messages {
            assert_eq!(take_in(&mut decoder, message), News::None);
        }
        let touched = tables(&[("public", "items"), ("Odd \"one\"", "b")]);
        assert_eq!(take_in(&mut decoder, &commit(99)), News::Committed { touched, position: 99 });
        // Names are said once, and again when they change.
        for message in [begin, truncate(&[8, 7]), relation(7, "public", "renamed"), change(b'I', 7)] {
            assert_eq!(take_in(&mut decoder, &message), News::None);
        }
        let touched = tables(&[("public", "items"), ("public", "renamed"), ("Odd \"one\"", "b")]);
        assert_eq!(take_in(&mut decoder, &commit(100)), News::Committed { touched, position: 100 });
        assert_eq!(
            take_in(&mut decoder, &commit(101)),
            News::Committed { touched: Touched::default(), position: 101 }
        );
    }

    #[test]
    fn keepalives_tell_how_far_it_is() {
        let keepalive = |reply| [&b"k"[..], &5_u64.to_be_bytes(), &[0; 8], &[reply]].concat();
        let mut decoder = Decoder::default();
        for (reply, wants_reply) in [(0, false), (1, true)] {
            let news = take_in(&mut decoder, &keepalive(reply));
            assert_eq!(news, News::Position { position: 5, wants_reply });
        }
    }

    #[test]
    fn what_cannot_be_told_apart_is_anything() {
        let touched = |messages: &[Vec<u8>], is_cut| {
            let mut decoder = Decoder::default();
            for message in messages {
                decoder.take_in(message, is_cut).unwrap();
            }
            decoder.touched
        };
        assert_eq!(touched(&[change(b'I', 7)], false), Touched::Anything);
        assert_eq!(touched(&[relation(7, "s", "a"), truncate(&[7])], true), Touched::Anything);
        let many = |count: u32| {
            let mut messages = Vec::new();
            for oid in 0..count {
                messages.extend([relation(oid, "s", &format!("t{oid}")), change(b'I', oid)]);
            }
            messages
        };
        let most = u32::try_from(TABLES_MAX).unwrap();
        assert!(matches!(touched(&many(most), false), Touched::Tables(_)));
        assert_eq!(touched(&many(most + 1), false), Touched::Anything);
        let mut decoder = Decoder::default();
        for oid in 0..=u32::try_from(NAMES_MAX).unwrap() {
            decoder.take_in(&relation(oid, "s", "t"), false).unwrap();
        }
        assert_eq!(decoder.names.len(), 1, "names are bounded");
    }

    #[test]
    fn batches_are_bounded_too() {
        let some = |from: usize, to: usize| {
            Touched::Tables((from..to).map(|number| ("s".into(), number.to_string().into())).collect())
        };
        let mut batch = Touched::default();
        assert!(batch.is_nothing());
        batch.add(some(0, TABLES_MAX));
        batch.add(some(10, 20));
        assert_eq!(batch, some(0, TABLES_MAX));
        batch.add(some(TABLES_MAX, TABLES_MAX + 1));
        assert_eq!(batch, Touched::Anything);
        batch.add(some(0, 1));
        assert_eq!(batch, Touched::Anything);
    }

    #[test]
    fn messages_cut_anywhere_are_errors_and_never_panic() {
        let messages =
            [relation(7, "s", "a"), change(b'I', 7), truncate(&[7, 8]), commit(9), data(b"B"), b"k".to_vec()];
        for message in messages {
            for length in 0..message.len() {
                let mut decoder = Decoder::default();
                let _ = decoder.take_in(&message[..length], false);
            }
        }
        let mut decoder = Decoder::default();
        for bad in [
            &b""[..],
            b"x",
            b"w",
            &data(b""),
            &data(b"I\0\0"),
            &data(b"R\0\0\0\x01s\0a"),
            &data(b"C\0"),
            b"k\0",
        ] {
            assert!(decoder.take_in(bad, false).is_err(), "{bad:?}");
        }
        // A count that is only claimed allocates nothing.
        assert!(decoder.take_in(&data(b"T\xff\xff\xff\xff\0"), false).is_err());
    }
}
