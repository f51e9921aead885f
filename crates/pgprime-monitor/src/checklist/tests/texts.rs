use super::*;
use crate::checklist::text::{fix_sql, text};

fn untuned() -> Evidence {
    let mut evidence = well();
    set(&mut evidence, "shared_buffers", "16384");
    set(&mut evidence, "random_page_cost", "4");
    set(&mut evidence, "autovacuum_vacuum_scale_factor", "0.2");
    unset(&mut evidence, "pg_stat_statements.max");
    evidence.missing.push(Missing { what: "x".repeat(300), ..missing() });
    evidence
}

#[test]
fn a_report_fits_a_terminal() {
    let report = check(&untuned());
    let text = text(&report);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(
        text.starts_with("Checklist of app (PostgreSQL 15.18): 20 met, 4 not met, 0 cannot be told\n"),
        "{text}"
    );
    for said in [
        "\nDatabase\n",
        "  [ ] shared_buffers is about 25 % of memory\n      128 MiB is 0.8 % of 16.0 GiB\n",
        "      SQL (takes effect at a restart):\n        ALTER SYSTEM SET shared_buffers = '4GB';\n",
        "  [x] Checkpoints come by the clock\n",
        "\nNot seen\n",
        "\nWhat SQL can do: pgprime checklist --fix-sql\n",
    ] {
        assert!(text.contains(said), "{said}\n{text}");
    }
}

#[test]
fn sql_is_only_statements_and_comments_and_reloads_once() {
    let mut evidence = untuned();
    "public.\"a\nb\"".clone_into(&mut evidence.tables.as_mut().expect("they are there")[0].qualified);
    let sql = fix_sql(&check(&evidence));
    let statements: Vec<&str> =
        sql.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).collect();
    assert!(statements.iter().all(|line| line.ends_with(';')), "{sql}");
    assert_eq!(sql.matches("SELECT pg_reload_conf();").count(), 1, "{sql}");
    assert!(statements.last() == Some(&"SELECT pg_reload_conf();"), "{sql}");
    assert!(
        sql.contains("-- Now restart the server, for database.pg_stat_statements, database.shared_buffers.")
    );
    assert!(sql.lines().all(|line| line.chars().count() <= 100), "{sql}");
    let nothing = fix_sql(&check(&well()));
    assert!(nothing.lines().all(|line| line.starts_with("--")) && nothing.contains("Nothing"), "{nothing}");
}

#[test]
fn json_is_as_the_dashboard_reads_it() {
    let json = serde_json::to_value(check(&untuned())).expect("it has only text");
    assert_eq!(json["counts"]["not_met"], 4);
    let item = &json["items"][1];
    assert_eq!(item["id"], "database.shared_buffers");
    assert_eq!((&item["level"], &item["verdict"]), (&"database".into(), &"not_met".into()));
    assert_eq!((&item["fix"]["kind"], &item["needs_restart"]), (&"sql".into(), &true.into()));
    assert_eq!(json["items"][4]["fix"], serde_json::Value::Null);
}
