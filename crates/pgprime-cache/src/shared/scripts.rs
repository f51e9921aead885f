//! The scripts that run in Redis, each atomic, and the names of keys.
//!
//! Every script repairs what it cannot read: garbage in Redis costs a fill, never an answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::{Script, ScriptInvocation};

use crate::epochs::WriterId;
use crate::key::Key;
use crate::stamp::Stamp;
use crate::tables::{Table, Tables};

use super::debt::Change;

/// Longer names of tables are replaced by their digest.
const TABLE_BYTES_MAX: usize = 128;

pub(crate) struct Scripts {
    look: Script,
    begin: Script,
    change: Script,
    roll_back: Script,
    claim: Script,
    release: Script,
}

impl Scripts {
    pub(crate) fn new() -> Scripts {
        Scripts {
            look: Script::new(concat!(include_str!("scripts/try.lua"), include_str!("scripts/look.lua"))),
            begin: Script::new(concat!(include_str!("scripts/try.lua"), include_str!("scripts/begin.lua"))),
            change: Script::new(concat!(include_str!("scripts/try.lua"), include_str!("scripts/change.lua"))),
            roll_back: Script::new(concat!(
                include_str!("scripts/try.lua"),
                include_str!("scripts/roll_back.lua")
            )),
            claim: Script::new(include_str!("scripts/claim.lua")),
            release: Script::new(include_str!("scripts/release.lua")),
        }
    }

    pub(crate) fn look(&self, names: &Names, tables: &Tables, ttl: Duration) -> ScriptInvocation<'_> {
        let mut call = self.look.prepare_invoke();
        call.key(names.generation()).key(names.everything());
        add_keys(&mut call, names, tables);
        call.arg(names.token()).arg(millis(ttl));
        call
    }

    pub(crate) fn begin(
        &self,
        names: &Names,
        tables: &Tables,
        writer: WriterId,
        lease: Duration,
        ttl: Duration,
    ) -> ScriptInvocation<'_> {
        let mut call = self.begin.prepare_invoke();
        add_keys(&mut call, names, tables);
        call.arg(names.writer(writer)).arg(millis(lease)).arg(names.token()).arg(millis(ttl));
        call.arg(names.everything());
        call
    }

    /// Of `changes`, those of tables.
    pub(crate) fn change(&self, names: &Names, changes: &[Change], ttl: Duration) -> ScriptInvocation<'_> {
        let mut call = self.change.prepare_invoke();
        call.arg(names.token()).arg(millis(ttl)).arg(names.everything());
        for change in changes {
            let Change::Tables { tables, writer } = change else { continue };
            for table in tables.iter() {
                call.key(names.table(table));
                call.arg(writer.map(|writer| names.writer(writer)).unwrap_or_default());
            }
        }
        call
    }

    pub(crate) fn roll_back(&self, names: &Names, tables: &Tables, writer: WriterId) -> ScriptInvocation<'_> {
        let mut call = self.roll_back.prepare_invoke();
        add_keys(&mut call, names, tables);
        call.arg(names.writer(writer)).arg(names.token());
        call
    }

    pub(crate) fn claim(
        &self,
        claim: &str,
        entry: &str,
        owner: &str,
        lease: Duration,
        last: usize,
    ) -> ScriptInvocation<'_> {
        let mut call = self.claim.prepare_invoke();
        call.key(claim).key(entry).arg(owner).arg(millis(lease)).arg(last);
        call
    }

    pub(crate) fn release(&self, claim: &str, owner: &str) -> ScriptInvocation<'_> {
        let mut call = self.release.prepare_invoke();
        call.key(claim).arg(owner);
        call
    }
}

/// Names of keys and of this instance. All epochs are in one slot of a cluster; entries are in all of them, each with its
/// claim.
pub(crate) struct Names {
    namespace: String,
    /// Random: no two instances make the same token.
    instance: String,
    tokens: AtomicU64,
}

impl Names {
    pub(crate) fn new(namespace: &str, instance: u128) -> Names {
        Names { namespace: namespace.into(), instance: format!("{instance:032x}"), tokens: AtomicU64::new(0) }
    }

    /// A text that is never used again, by whomever.
    pub(crate) fn token(&self) -> String {
        format!("{}-{}", self.instance, self.tokens.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn generation(&self) -> String {
        format!("{{{}}}:generation", self.namespace)
    }

    /// The table that stands for all.
    fn everything(&self) -> String {
        format!("{{{}}}:everything", self.namespace)
    }

    pub(crate) fn entry(&self, key: &Key) -> String {
        format!("{}:entry:{{{key}}}", self.namespace)
    }

    /// Of a fill by these epochs: who has seen others does not wait for it.
    pub(crate) fn claim(&self, key: &Key, stamp: Stamp) -> String {
        format!("{}:claim:{{{key}}}:{:032x}", self.namespace, u128::from_be_bytes(stamp.to_bytes()))
    }

    fn table(&self, table: &Table) -> Vec<u8> {
        if table.is_everything() {
            return self.everything().into_bytes();
        }
        let mut name = format!("{{{}}}:table:", self.namespace).into_bytes();
        if table.as_bytes().len() <= TABLE_BYTES_MAX {
            name.extend_from_slice(table.as_bytes());
        } else {
            let digest = crate::key::KeyBuilder::new().other("table", table.as_bytes()).build();
            name.extend_from_slice(format!("\0{digest}").as_bytes());
        }
        name
    }

    /// A field of a table's hash; two characters at least, so that it is neither the epoch nor the last move.
    fn writer(&self, writer: WriterId) -> String {
        format!("w{}-{}", self.instance, writer.0)
    }
}

fn add_keys(call: &mut ScriptInvocation<'_>, names: &Names, tables: &Tables) {
    for table in tables.iter() {
        call.key(names.table(table));
    }
}

fn millis(duration: Duration) -> u64 {
    // Redis refuses a time that would overflow its own clock.
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, 1 << 50)
}

#[cfg(test)]
mod tests {
    use pgprime_cluster::RedisServer;

    use super::*;

    const TTL: Duration = Duration::from_secs(3600);

    /// A client of a cluster may send again what was carried out, when the answer to it is lost.
    #[test]
    fn a_script_that_runs_twice_brings_no_epoch_back() {
        let server = RedisServer::start(&[]).unwrap();
        let mut client = connect(&server);
        let (scripts, names) = (Scripts::new(), Names::new("n", 7));
        let tables = Tables::new(["t"]);
        let look = || -> Vec<Vec<u8>> {
            let mut answer: Vec<Vec<u8>> =
                scripts.look(&names, &tables, TTL).invoke(&mut connect(&server)).unwrap();
            // The time.
            answer.remove(1);
            answer
        };
        let change =
            |writer| scripts.change(&names, &[Change::Tables { tables: tables.clone(), writer }], TTL);
        let first = change(None);
        first.invoke::<i64>(&mut client).unwrap();
        let stored_under = look();
        change(Some(WriterId(1))).invoke::<i64>(&mut client).unwrap();
        assert_ne!(look(), stored_under);
        first.invoke::<i64>(&mut client).unwrap();
        assert_ne!(look(), stored_under);

        let begin = scripts.begin(&names, &tables, WriterId(2), TTL, TTL);
        let first_look = scripts.look(&names, &tables, TTL);
        let twice: Vec<Vec<Vec<u8>>> = (0..2)
            .map(|_| {
                redis::cmd("FLUSHALL").query::<()>(&mut client).unwrap();
                first_look.invoke(&mut client).unwrap()
            })
            .collect();
        assert!(twice[0][2] != twice[1][2] && twice[0][5] != twice[1][5], "generation and epoch");
        let epochs: Vec<String> = (0..2)
            .map(|_| {
                redis::cmd("FLUSHALL").query::<()>(&mut client).unwrap();
                begin.invoke::<i64>(&mut client).unwrap();
                redis::cmd("HGET").arg("{n}:table:t").arg("e").query(&mut client).unwrap()
            })
            .collect();
        assert_ne!(epochs[0], epochs[1]);
    }

    fn connect(server: &RedisServer) -> redis::Connection {
        redis::Client::open(server.url()).unwrap().get_connection().unwrap()
    }
}
