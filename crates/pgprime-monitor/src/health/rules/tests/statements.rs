//! What checks give to copy does what they say.

use super::fixture::{catalog, checked, ids, observation};
use super::*;
use crate::health::observe::OldTable;

fn aged(name: &str, allows_connections: bool) -> Check {
    let mut now = observation(100.0);
    let old =
        DatabaseIds { name: name.to_owned(), transaction_age: 1_500_000_000, allows_connections, ..ids() };
    now.ids = Ok(vec![ids(), old]);
    let table = |name: &str, transaction_age, multixact_age| OldTable {
        name: name.to_owned(),
        transaction_age,
        multixact_age,
    };
    catalog(&mut now).oldest = Ok(vec![table("public.xids", 900, 1), table("public.multi", 10, 9)]);
    checked("vacuum.wraparound", &now, None)
}

#[test]
fn the_database_whose_ids_run_out_is_the_one_that_is_vacuumed() {
    for (name, allows_connections, expected) in [
        ("app", true, "VACUUM (FREEZE) public.xids;"),
        ("other", true, "vacuumdb --freeze --dbname=other"),
        ("it's", true, r"vacuumdb --freeze --dbname='it'\''s'"),
        (
            "template0",
            false,
            "ALTER DATABASE \"template0\" ALLOW_CONNECTIONS true;\n\\connect \"template0\"\nVACUUM (FREEZE);\n\\connect \"app\"\n\
             ALTER DATABASE \"template0\" ALLOW_CONNECTIONS false;",
        ),
    ] {
        let check = aged(name, allows_connections);
        assert_eq!((check.status, check.statement.as_deref()), (Critical, Some(expected)));
        assert_eq!(check.details.iter().any(|detail| detail["name"] == "public.xids"), name == "app");
    }
}

#[test]
fn multixacts_have_tables_of_their_own() {
    let mut now = observation(100.0);
    now.ids = Ok(vec![DatabaseIds { multixact_age: 1_500_000_000, ..ids() }]);
    let table = |name: &str, transaction_age, multixact_age| OldTable {
        name: name.to_owned(),
        transaction_age,
        multixact_age,
    };
    catalog(&mut now).oldest = Ok(vec![table("public.xids", 900, 1), table("public.multi", 10, 9)]);
    let check = checked("vacuum.multixact", &now, None);
    assert_eq!(check.statement.as_deref(), Some("VACUUM (FREEZE) public.multi;"));
}

#[test]
fn a_table_that_autovacuum_leaves_alone_is_given_back_to_it() {
    let mut now = observation(100.0);
    let table = |is_vacuum_off| TableSeen {
        name: "public.t".to_owned(),
        live: 10_000,
        dead: 90_000,
        is_vacuum_off,
        ..TableSeen::default()
    };
    for (is_off, expected) in [
        (false, "VACUUM (ANALYZE) public.t;"),
        (true, "ALTER TABLE public.t RESET (autovacuum_enabled);\nVACUUM (ANALYZE) public.t;"),
    ] {
        catalog(&mut now).tables = Ok(vec![table(is_off)]);
        assert_eq!(checked("vacuum.dead_rows", &now, None).statement.as_deref(), Some(expected));
    }
}

#[test]
fn an_index_that_is_not_valid() {
    let mut now = observation(100.0);
    let mut judged = |name: &str, is_ready, duplicates: Option<&str>| {
        let index = IndexSeen {
            name: name.to_owned(),
            table: "public.t".to_owned(),
            is_ready,
            duplicates: duplicates.map(str::to_owned),
            ..IndexSeen::default()
        };
        catalog(&mut now).indexes = Ok(Indexes { list: vec![index], ..Indexes::default() });
        checked("indexes.invalid", &now, None)
    };
    let plain = judged("public.i", true, None);
    assert_eq!(plain.statement.as_deref(), Some("REINDEX INDEX CONCURRENTLY public.i;"));
    assert!(plain.text.ends_with("no query uses it, and every write keeps it up."), "{}", plain.text);
    let unique = judged("public.i", false, Some("SELECT 1;"));
    assert_eq!(unique.statement.as_deref(), Some("SELECT 1;"));
    assert!(unique.text.ends_with("and no write keeps it up."), "{}", unique.text);
    assert!(unique.action.unwrap().contains("then REINDEX INDEX CONCURRENTLY public.i;"));
    let left = judged("public.i_ccnew", false, Some("SELECT 1;"));
    assert_eq!(left.statement.as_deref(), Some("DROP INDEX CONCURRENTLY public.i_ccnew;"));
}
