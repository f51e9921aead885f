//! What anybody can put into a schema of the search path changes nothing of what is asked.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::Database;

/// The types of the parameters of each file of SQL.
const TYPES: [(&str, &str); 27] = [
    ("announce", "text, text[], text[]"),
    ("base", "oid"),
    ("blockers", "oid[]"),
    ("built", ""),
    ("carry", "oid, text, text"),
    ("claim", "text, oid, bool"),
    ("columns", "oid"),
    ("dependents", "oid"),
    ("failed", "text, text"),
    ("functions", "oid"),
    ("history", "text, int8"),
    ("history_insert", "text, int8, bool, text, bool, text, int8, int8, int8, int8"),
    ("history_prune", "text, int8"),
    ("indexes", "oid"),
    ("key_candidates", "oid"),
    ("made", "oid"),
    ("order", "oid[]"),
    ("pressure", ""),
    ("refreshed", "oid"),
    ("server", ""),
    ("states", "text, int8"),
    ("stats_reset", ""),
    ("strays", "oid[], oid[]"),
    ("succeeded", "text, oid, int8, text, int8"),
    ("unchanged", "text, oid, int8"),
    ("usage", "oid"),
    ("view", "text, text"),
];

/// Names that stand before a parenthesis.
fn called(sql: &str) -> BTreeSet<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name = |piece: &str| {
        let start = piece.trim_end_matches(is_of_name).len();
        piece.get(start..).unwrap().to_owned()
    };
    sql.split('(').map(name).filter(|name| !name.is_empty()).collect()
}

/// A function of SQL knows what it calls, so nothing has to be executed, whatever the tables hold.
#[tokio::test]
async fn nothing_of_our_own_calls_what_others_put_in_its_way() {
    let database = Database::new("shadowed").await;
    if database.ask::<i32>("SELECT current_setting('server_version_num')::int4").await < 140_000 {
        return;
    }
    database.apply("").await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let text = |name: &str| std::fs::read_to_string(folder.join(format!("{name}.sql"))).unwrap();
    let there = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(there, TYPES.len() + 1, "all but setup.sql");
    let names: BTreeSet<String> = TYPES.iter().flat_map(|(name, _)| called(&text(name))).collect();
    let names: Vec<String> = names.into_iter().collect();
    let list = format!("'{{{}}}'::text[]", names.join(","));
    let decoys = include_str!("decoys.sql").replace("CALLED", &list);
    database.client.batch_execute(&decoys).await.unwrap();
    let all = "SELECT pg_catalog.count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace";
    assert!(database.ask::<i64>(all).await > 10_000);

    database.client.batch_execute("CREATE SCHEMA checked").await.unwrap();
    for (name, types) in TYPES {
        let sql = text(name);
        let function =
            format!("CREATE FUNCTION checked.\"{name}\"({types}) RETURNS void BEGIN ATOMIC\n{sql};\nEND");
        let made = database.client.batch_execute(&function).await;
        assert!(made.is_ok(), "{name}: {made:?}");
    }
    database.client.batch_execute("SET search_path = pg_catalog").await.unwrap();
    let found: String = database
        .ask(
            "SELECT coalesce(string_agg(p.proname || ' calls ' || pg_describe_object(d.refclassid, d.refobjid, 0), E'\\n'), '')
             FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
             WHERE d.classid = 'pg_proc'::regclass AND p.pronamespace = 'checked'::regnamespace
               AND d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass)",
        )
        .await;
    assert_eq!(found, "");
}
