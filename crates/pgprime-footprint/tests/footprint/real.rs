//! What is said of statements, against what they do.

use std::collections::{BTreeMap, BTreeSet};

use pgprime_footprint::{Schema, Writes};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::harness::{connect, database};
use crate::{reads, writes};

/// Contents of every table and materialized view by itself, without what inherits from it; of partitioned ones all.
async fn contents(client: &Client) -> BTreeMap<String, String> {
    let all = "SELECT format('%I.%I', n.nspname, c.relname), c.relkind::text FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname !~ '^(pg_|information_schema)' ORDER BY 1";
    let tables = client.query(all, &[]).await.unwrap();
    let mut found = BTreeMap::new();
    for row in tables {
        let (table, kind): (String, String) = (row.get(0), row.get(1));
        let only = if kind == "r" { "ONLY " } else { "" };
        let sql = format!(
            "SELECT md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {only}{table} t"
        );
        found.insert(table, client.query_one(&sql, &[]).await.unwrap().get(0));
    }
    found
}

/// Rows as text, in any order, or why there are none.
async fn result(client: &Client, sql: &str) -> Vec<String> {
    client.batch_execute("SAVEPOINT here").await.unwrap();
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            client.batch_execute("ROLLBACK TO here").await.unwrap();
            return vec![error.as_db_error().unwrap().message().to_owned()];
        }
    };
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|"))
        }
        _ => None,
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn nothing_changes_but_what_is_said_to() {
    let name = database("writes").await;
    let client = connect(&name, "postgres").await;
    let schema = Schema::load(&client).await.unwrap();
    let mut ran = 0;
    let mut all_changed = BTreeSet::new();
    for (sql, _) in writes::ALL.iter().copied().flatten() {
        if sql.contains("BEGIN;") || sql.contains("STDIN") {
            continue;
        }
        let footprint = schema.footprint(sql);
        client.batch_execute("BEGIN").await.unwrap();
        let before = contents(&client).await;
        // What the database refuses changes nothing.
        if client.batch_execute(sql).await.is_ok() {
            ran += 1;
            let after = contents(&client).await;
            let changed: Vec<&String> = after
                .iter()
                .filter(|(table, hash)| before.get(*table) != Some(*hash))
                .map(|(table, _)| table)
                .collect();
            for table in &changed {
                let is_said = match &footprint.writes {
                    Writes::Nothing => false,
                    Writes::Tables(tables) => tables.contains(*table),
                    Writes::Anything { .. } => true,
                };
                assert!(is_said, "{sql} changed {table}: {:?}", footprint.writes);
            }
            all_changed.extend(changed.into_iter().cloned());
        }
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert!(ran > 60, "only {ran} statements ran");
    assert!(all_changed.len() > 15, "{all_changed:?}");
}

#[tokio::test]
async fn a_procedure_that_commits_changes_what_is_said() {
    let name = database("procedure").await;
    let client = connect(&name, "postgres").await;
    let schema = Schema::load(&client).await.unwrap();
    client.batch_execute("INSERT INTO notes VALUES (1, 1)").await.unwrap();
    let before = contents(&client).await;
    client.batch_execute("CALL close_all()").await.unwrap();
    let after = contents(&client).await;
    let changed =
        after.into_iter().filter(|(table, hash)| before.get(table) != Some(hash)).map(|(table, _)| table);
    assert_eq!(schema.footprint("CALL close_all()").writes, Writes::Tables(changed.collect()));
}

#[tokio::test]
async fn results_that_are_kept_depend_on_nothing_else() {
    let name = database("reads").await;
    let client = connect(&name, "postgres").await;
    let schema = Schema::load(&client).await.unwrap();
    let kept = reads::ALL.iter().copied().flatten().map(|(sql, ..)| *sql).filter(|sql| !sql.contains('$'));
    let mut kept: Vec<_> =
        kept.map(|sql| (sql, schema.footprint(sql))).filter(|(_, found)| found.kept.is_ok()).collect();
    assert!(kept.len() > 50, "{} are kept", kept.len());
    let mut before = Vec::new();
    client.batch_execute("BEGIN").await.unwrap();
    for (sql, _) in &kept {
        before.push(result(&client, sql).await);
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    // Neither triggers nor foreign keys: one table alone changes.
    client.batch_execute("SET session_replication_role = replica").await.unwrap();
    let tables = contents(&client).await;
    let mut differ = BTreeSet::new();
    for table in tables.keys().filter(|table| *table != "ins.daily") {
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute(&format!("DELETE FROM ONLY {table}")).await.unwrap();
        for ((sql, footprint), before) in kept.iter_mut().zip(&before) {
            let is_same = result(&client, sql).await == *before;
            if !is_same {
                assert!(footprint.reads.contains(table), "{sql} depends on {table}, too");
                differ.insert(*sql);
            }
        }
        client.batch_execute("ROLLBACK").await.unwrap();
    }
    assert!(differ.len() > 30, "only {} depend on any table: {differ:?}", differ.len());
}
