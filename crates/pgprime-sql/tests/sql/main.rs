//! Statements: what they are, what they refer to, and which may be executed.

use std::fmt::Write as _;

use pgprime_sql::{NESTING_MAX, ParameterPlace, SqlError, Statement, StatementKind, TEXT_BYTES_MAX};

#[track_caller]
fn parse(text: &str) -> Statement {
    Statement::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn names<T: ToString>(names: impl Iterator<Item = T>) -> String {
    names.map(|name| name.to_string()).collect::<Vec<_>>().join(" ")
}

#[test]
fn kinds() {
    let write = |command| StatementKind::Write { command };
    let utility = |command: &str| StatementKind::Utility { command: command.to_owned() };
    for (text, kind) in [
        ("SELECT 1", StatementKind::Read),
        ("VALUES (1), (2)", StatementKind::Read),
        ("TABLE t", StatementKind::Read),
        ("WITH a AS (SELECT 1) SELECT * FROM a", StatementKind::Read),
        ("SELECT * FROM t FOR UPDATE", StatementKind::Locking),
        ("SELECT * FROM (SELECT * FROM t FOR SHARE SKIP LOCKED) x", StatementKind::Locking),
        ("INSERT INTO t VALUES (1)", write("INSERT")),
        ("UPDATE t SET a = 1", write("UPDATE")),
        ("DELETE FROM t", write("DELETE")),
        ("MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", write("MERGE")),
        ("WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", write("DELETE")),
        (
            "SELECT * FROM a WHERE x IN (WITH i AS (INSERT INTO t VALUES (1) RETURNING 1) TABLE i)",
            write("INSERT"),
        ),
        ("SELECT 1 INTO t", write("SELECT INTO")),
        ("(SELECT 1 INTO t) UNION SELECT 2", write("SELECT INTO")),
        ("EXPLAIN ANALYZE DELETE FROM t", StatementKind::Explain),
        ("EXPLAIN SELECT 1", StatementKind::Explain),
        ("CREATE TABLE t AS SELECT 1", utility("CREATE TABLE")),
        ("DO $$ BEGIN END $$", utility("DO")),
        ("COPY t TO PROGRAM 'sh'", utility("COPY")),
        ("EXECUTE p(1)", utility("EXECUTE")),
        ("PREPARE p AS SELECT 1", utility("PREPARE")),
        ("SET work_mem = '1GB'", utility("SET")),
        ("BEGIN", utility("BEGIN")),
        ("DECLARE c CURSOR FOR SELECT 1", utility("DECLARE")),
        ("CALL p()", utility("CALL")),
        ("LOCK t", utility("LOCK")),
    ] {
        assert_eq!(parse(text).kind(), &kind, "{text}");
    }
}

#[test]
fn references() {
    for (text, tables, functions) in [
        ("SELECT lower(a) FROM s.t", "s.t", "lower"),
        ("SELECT f(g(1)) FROM a JOIN b USING (x), c", "a b c", "f g"),
        ("WITH a AS (SELECT * FROM t) SELECT * FROM a, b", "b t", ""),
        ("WITH a AS (SELECT * FROM a) SELECT * FROM a", "a", ""),
        ("WITH RECURSIVE a AS (SELECT 1 UNION SELECT * FROM a) SELECT * FROM a", "", ""),
        ("SELECT (WITH a AS (SELECT 1) SELECT 1 FROM a) FROM a", "a", ""),
        ("SELECT * FROM public.a, (WITH a AS (SELECT 1) TABLE a) x", "public.a", ""),
        (
            "SELECT EXTRACT(YEAR FROM d), TRIM(x), d AT TIME ZONE 'UTC' FROM t",
            "t",
            "pg_catalog.btrim pg_catalog.extract pg_catalog.timezone",
        ),
        (
            "SELECT * FROM pg_catalog.generate_series(1, 2) g, LATERAL unnest(g)",
            "",
            "unnest pg_catalog.generate_series",
        ),
        ("SELECT count(*) FILTER (WHERE f(x)) OVER (PARTITION BY g(x)) FROM t", "t", "count f g"),
        ("SELECT 1 FROM t TABLESAMPLE system (h(1)) ORDER BY k(2) LIMIT l(3)", "t", "h k l"),
        ("INSERT INTO t SELECT * FROM u ON CONFLICT (a) DO UPDATE SET a = f(1) RETURNING g(2)", "t u", "f g"),
        ("UPDATE t SET a = (SELECT max(b) FROM u) FROM v WHERE t.x = v.x", "t u v", "max"),
        ("DELETE FROM t USING u WHERE t.a = u.a", "t u", ""),
        ("SELECT CASE WHEN f(1) THEN (ARRAY[g(2)])[h(3)] ELSE ROW(k(4)) END", "", "f g h k"),
        ("SELECT JSON_VALUE(f(1), '$.a' DEFAULT g(2) ON EMPTY)", "", "f g"),
        ("SELECT * FROM ROWS FROM (f(1), g(2)) WITH ORDINALITY", "", "f g"),
        ("SELECT XMLELEMENT(NAME a, f(1))", "", "f"),
    ] {
        let statement = parse(text);
        assert_eq!(
            (names(statement.tables()).as_str(), names(statement.functions()).as_str()),
            (tables, functions),
            "{text}"
        );
    }
}

#[test]
fn fingerprints_and_normalized_texts() {
    let (one, two) = (parse("SELECT * FROM t WHERE a = 1"), parse("select *\nfrom t where a = 'x' ;"));
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_ne!(one.fingerprint(), parse("SELECT * FROM t WHERE b = 1").fingerprint());
    assert_eq!(one.normalized(), "SELECT * FROM t WHERE a = $1");
    assert_eq!(parse("/* a */ -- b\n SELECT 1 /* c */ ; -- d").text(), "SELECT 1");
}

#[test]
fn parameters_and_where_they_stand() {
    let place = |text: &str| {
        let described = |place: &ParameterPlace| match place {
            ParameterPlace::Column(place) => {
                let upper = if place.is_upper { " upper" } else { "" };
                let array = if place.is_array { " array" } else { "" };
                format!("{}:{}#{}{upper}{array}", names(place.tables.iter()), place.column, place.rank)
            }
            ParameterPlace::Limit => "limit".to_owned(),
            ParameterPlace::Offset => "offset".to_owned(),
            ParameterPlace::Other => "other".to_owned(),
        };
        parse(text).parameter_places().iter().map(described).collect::<Vec<_>>().join(", ")
    };
    for (text, places) in [
        ("SELECT 1", ""),
        ("SELECT $3", "other, other, other"),
        ("SELECT * FROM t WHERE a = $1", "t:a#0"),
        ("SELECT * FROM t x JOIN u y ON x.i = y.i WHERE $2 < y.b AND x.a = $1::int", "t:a#0, u:b#0"),
        ("SELECT * FROM t, u WHERE a IN ($1, $2)", "t u:a#0, t u:a#1"),
        ("SELECT * FROM t WHERE a BETWEEN $1 AND $2 LIMIT $3 OFFSET $4", "t:a#0, t:a#0 upper, limit, offset"),
        ("SELECT * FROM t WHERE a = ANY($1)", "t:a#0 array"),
        ("SELECT * FROM t WHERE lower(a) = $1", "other"),
        ("SELECT * FROM t WHERE EXISTS (SELECT FROM u WHERE u.a = $1 AND t.b = $2)", "u:a#0, t:b#0"),
        ("WITH w AS (SELECT * FROM t) SELECT * FROM w WHERE w.a = $1", ":a#0"),
        ("UPDATE t SET a = $1 WHERE b = $2", "t:a#0, t:b#0"),
        ("DELETE FROM t WHERE a LIKE $1", "t:a#0"),
    ] {
        assert_eq!(place(text), places, "{text}");
        assert_eq!(parse(text).has_placeholders(), !places.is_empty());
    }
}

/// What pg_stat_statements makes of constants that have to be constants.
#[test]
fn normalized_texts_can_be_prepared() {
    for (text, preparable) in [
        ("SELECT now() - INTERVAL $1 FROM t", "SELECT now() - ($1::INTERVAL) FROM t"),
        (
            "SELECT * FROM t WHERE d > DATE $1 AND e < TIMESTAMP WITH TIME ZONE $2;",
            "SELECT * FROM t WHERE d > ($1::DATE) AND e < ($2::TIMESTAMP WITH TIME ZONE)",
        ),
        ("SELECT EXTRACT($1 FROM d) FROM t", "SELECT pg_catalog.date_part($1 , d) FROM t"),
        ("SELECT $1::date, CAST($2 AS int)", "SELECT $1::date, CAST($2 AS int)"),
        (
            "SELECT * FROM t WHERE a IN ($1 /*, ... */) LIMIT $2",
            "SELECT * FROM t WHERE a IN ($1 /*, ... */) LIMIT $2",
        ),
    ] {
        assert_eq!(parse(text).preparable_text(), preparable, "{text}");
    }
    assert!(parse("SELECT 1 WHERE 2 IN ($1 /*, ... */)").has_shortened_list());
}

#[test]
fn errors_say_where() {
    for (text, said) in [
        ("", "there is no statement in it"),
        (" ; -- nothing\n;", "there is no statement in it"),
        (
            "SELECT 1; DROP TABLE t",
            "2 statements, where one is expected; the second begins at line 1, column 11: DROP TABLE t",
        ),
        (
            "SELECT 1;\n/* x */ SELECT 2; SELECT 3",
            "3 statements, where one is expected; the second begins at line 2, column 9: SELECT 2; SELECT 3",
        ),
        ("SELECT 1 FROM t WHERE", "syntax error at end of input, at line 1, column 22 (its end)"),
        (
            "SELECT a\nFROM t\nWHERE a == 1 GROUP",
            "syntax error at end of input, at line 3, column 19 (its end)",
        ),
        ("SELECT 'é',\n  x FORM t WHERE", "syntax error at or near \"t\", at line 2, column 10: t WHERE"),
        ("SELEKT 1", "syntax error at or near \"SELEKT\", at line 1, column 1: SELEKT 1"),
        ("SELECT (1, FROM t", "syntax error at or near \"FROM\", at line 1, column 12: FROM t"),
        ("SELECT 1 WHERE 'abc", "unterminated quoted string at or near \"'abc\", at line 1, column 16: 'abc"),
        ("SELECT 1 /* abc", "unterminated /* comment at or near \"/* abc\", at line 1, column 10: /* abc"),
        ("SELECT 1\0; DROP TABLE t", "there is a zero byte in it at line 1, column 9: \0; DROP TABLE t"),
        ("SELECT * FROM t WHERE a = ?", "syntax error at end of input, at line 1, column 28 (its end)"),
    ] {
        let error = Statement::parse(text).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some(said), "{text}");
    }
    let cut = format!("SELECT {} FROM t WHERE a = 'xy", "column_name, ".repeat(100));
    let said = Statement::parse(&cut).unwrap_err().to_string();
    assert!(said.contains("looks cut off"), "{said}");
}

#[test]
fn long_and_deep_texts_are_refused() {
    let deep = |count: usize| format!("SELECT {}1{}", "(".repeat(count), ")".repeat(count));
    assert!(matches!(Statement::parse(&deep(100_000)), Err(SqlError::TooDeep { .. })));
    parse(&deep(NESTING_MAX / 2));
    let long = format!("SELECT '{}'", "x".repeat(TEXT_BYTES_MAX));
    assert!(matches!(Statement::parse(&long), Err(SqlError::TooLong { .. })));
    for (head, piece, tail) in [
        ("SELECT ", "- ", "1"),
        ("SELECT ", "NOT ", "true"),
        ("SELECT 1", " + 1", ""),
        ("SELECT 1", "::int", ""),
        ("SELECT 1", " ISNULL", ""),
        ("SELECT 1, 2", " UNION SELECT 1, 2", ""),
        ("SELECT * FROM t", " JOIN t ON a = 1 AND b = 2", ""),
        ("SELECT ", "CASE WHEN true THEN ", "1"),
        ("SELECT ", "ARRAY[", "1"),
        ("", "SELECT * FROM (", ""),
        ("SELECT x", " COLLATE \"C\"", ""),
        ("SELECT ", "f(1, ", "1"),
    ] {
        let text = format!("{head}{}{tail}", piece.repeat(30_000));
        let result = Statement::parse(&text);
        assert!(matches!(result, Err(SqlError::TooDeep { .. })), "{piece}: {:?}", result.err());
    }
}

/// What is wide is not deep, and what is deep within the limit is read and freed.
#[test]
fn wide_texts_are_read() {
    let mut list = String::from("SELECT * FROM t WHERE a IN (0");
    (0..50_000).for_each(|number| write!(list, ", {number}").unwrap());
    assert_eq!(names(parse(&(list + ")")).tables()), "t");
    for text in [
        format!("SELECT 1{}", " OR a = 1 AND b = 2".repeat(5_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(200)),
        format!("SELECT 1{}", " || a".repeat(450)),
        format!("SELECT {}1", "CASE WHEN true THEN 2 END, ".repeat(5_000)),
        format!("VALUES (1, (2)){}", ", (3, (4))".repeat(5_000)),
        format!("SELECT {}1", "- ".repeat(450)),
    ] {
        assert_eq!(parse(&text).kind(), &StatementKind::Read);
    }
}

#[test]
fn only_harmless_reads_are_executable() {
    for text in [
        "SELECT lower(a), count(*), coalesce(b, 1) FROM t WHERE c BETWEEN 1 AND 2 GROUP BY 1 HAVING sum(d) > 3 ORDER BY 1",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b), EXTRACT(year FROM c), a::text, INTERVAL '1 day' FROM t",
        "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r, LATERAL (SELECT now()) x",
        "SELECT data->>'a', jsonb_agg(data), ARRAY[1, 2], (ARRAY[1])[1], ROW(1, 2) FROM t WHERE data @> '{}'",
        "SELECT * FROM t TABLESAMPLE bernoulli (1) WHERE EXISTS (SELECT 1) AND a = ANY (ARRAY[1]) AND b LIKE 'a%'",
        "SELECT pg_catalog.lower(a) FROM t UNION SELECT current_user",
    ] {
        assert_eq!(parse(text).executable(), Ok(()), "{text}");
    }
    for text in [
        "SELECT pg_terminate_backend(1)",
        "SELECT PG_CATALOG.PG_TERMINATE_BACKEND(1)",
        "SELECT U&\"pg_terminate\\005fbackend\"(1)",
        "SELECT \"pg_cancel_backend\"(1)",
        "SELECT 1 WHERE (SELECT pg_read_file('/etc/passwd')) <> ''",
        "SELECT * FROM pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_unlink(1)",
        "SELECT * FROM dblink('dbname=x', 'DELETE FROM t') AS x (a int)",
        "SELECT nextval('s')",
        "SELECT setval('s', 1)",
        "SELECT 1 WHERE set_config('search_path', 'evil', false) = ''",
        "SELECT pg_sleep(60)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_notify('a', 'b')",
        "SELECT pg_reload_conf()",
        "SELECT query_to_xml('DELETE FROM t', true, true, '')",
        "SELECT table_to_xml('v', true, true, '')",
        "SELECT ts_stat('SELECT f()')",
        "SELECT ts_rewrite('a'::tsquery, 'SELECT f()')",
        "SELECT txid_current()",
        "SELECT pg_stat_reset()",
        "SELECT currtid2('t', '(0,1)')",
        "SELECT setseed(0)",
        "SELECT myschema.lower('A')",
        "SELECT anything('A')",
        "SELECT 1 ORDER BY pg_sleep(1)",
        "SELECT 1 LIMIT pg_sleep(1)::text::int",
        "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL)",
        "SELECT sum(1) OVER (ORDER BY pg_sleep(1))",
        "SELECT * FROM ROWS FROM (pg_sleep(1))",
        "SELECT (ARRAY[1])[nextval('s')]",
        "SELECT JSON_OBJECT('a': nextval('s'))",
        "SELECT CASE nextval('s') WHEN 1 THEN 2 END",
        "SELECT ROW(1, nextval('s')) IN (SELECT 1, 2)",
        "SELECT * FROM t TABLESAMPLE evil (1)",
        "SELECT * FROM t TABLESAMPLE bernoulli (nextval('s'))",
        "SELECT jsonb_populate_record(NULL::t, '{}')",
        "SELECT * FROM t FOR UPDATE",
        "SELECT 1 INTO t",
        "WITH a AS (DELETE FROM t RETURNING *) SELECT * FROM a",
        "COPY t TO '/tmp/x'",
        "DO $$ BEGIN PERFORM pg_sleep(1); END $$",
        "EXPLAIN ANALYZE DELETE FROM t",
        "EXECUTE p",
        "SELECT $$; DROP TABLE t; $$, evil()",
        "SELECT /* SELECT 1; */ evil() -- lower()",
        "SELECT XMLPARSE(DOCUMENT '<a/>')",
    ] {
        assert!(parse(text).executable().is_err(), "{text}");
    }
}

#[test]
fn only_hostile_functions_are_not_even_planned() {
    for text in [
        "SELECT nextval('s')",
        "INSERT INTO t VALUES (now())",
        "SELECT my.own(1)",
        "SELECT 1 FROM t FOR UPDATE",
    ] {
        assert_eq!(parse(text).plannable(), Ok(()), "{text}");
    }
    for (text, said) in [
        (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
            "pg_terminate_backend acts on other sessions",
        ),
        ("DELETE FROM t WHERE a = pg_read_file('x')", "pg_read_file acts on"),
        ("SELECT public.dblink_exec('x', 'y')", "public.dblink_exec acts on"),
        ("VACUUM t", "VACUUM has no plan"),
        ("EXPLAIN SELECT 1", "EXPLAIN is what is done here"),
    ] {
        let refusal = parse(text).plannable().unwrap_err().to_string();
        assert!(refusal.starts_with(said), "{text}: {refusal}");
    }
}
