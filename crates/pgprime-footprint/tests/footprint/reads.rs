//! What is read, and what may be kept.

use crate::harness::{check_reads, schema};

/// All that is checked here.
pub(crate) const ALL: &[&[(&str, &str, &str)]] = &[
    TABLES_ARE_FOUND_WHEREVER_THEY_STAND,
    NAMES_OF_WITH_ARE_NO_TABLES,
    VIEWS_PARTITIONS_AND_HEIRS_ARE_SEEN_THROUGH,
    FUNCTIONS_ARE_SEEN_THROUGH,
    FUNCTIONS_OF_THE_SETTINGS_ARE_HARMLESS_AND_THOSE_OF_THE_TIME_ARE_NOT,
    WHAT_MUST_NOT_BE_KEPT_SAYS_WHY,
];

const TABLES_ARE_FOUND_WHEREVER_THEY_STAND: &[(&str, &str, &str)] = &[
    ("SELECT 1", "", ""),
    ("VALUES (1), (2)", "", ""),
    ("TABLE lone", "lone", ""),
    ("select * from lone;", "lone", ""),
    ("SELECT * FROM ins.lone, other.lone", "lone other.lone", ""),
    ("SELECT * FROM other.only_there", "other.only_there", ""),
    ("SELECT * FROM shadowed", "shadowed", ""),
    ("SELECT * FROM public.shadowed", "public.shadowed", ""),
    ("SELECT \"select\" FROM \"Quoted Table\"", "\"Quoted Table\"", ""),
    ("SELECT * FROM \"order\"", "\"order\"", ""),
    (
        "SELECT * FROM lone WHERE id IN (SELECT id FROM counters, LATERAL (SELECT 1 FROM notes) n)",
        "counters lone notes",
        "",
    ),
    ("SELECT (SELECT max(n) FROM lone) UNION ALL SELECT 1 FROM counters", "counters lone", ""),
    (
        "SELECT sum(n) OVER (ORDER BY id) FROM lone ORDER BY 1 LIMIT (SELECT count(*) FROM counters)",
        "counters lone",
        "",
    ),
    ("SELECT CASE id WHEN 1 THEN (SELECT 2 FROM notes) END FROM lone", "lone notes", ""),
    ("SELECT * FROM lone WHERE id = $1 AND n > $2::int", "lone", ""),
    ("SELECT * FROM fast", "fast", ""),
    ("SELECT * FROM daily", "daily", ""),
];

#[tokio::test]
async fn tables_are_found_wherever_they_stand() {
    check_reads(&schema().await, TABLES_ARE_FOUND_WHEREVER_THEY_STAND);
}

const NAMES_OF_WITH_ARE_NO_TABLES: &[(&str, &str, &str)] = &[
    ("WITH lone AS (SELECT 1) SELECT * FROM lone", "", ""),
    ("WITH lone AS (SELECT * FROM lone) SELECT * FROM lone", "lone", ""),
    (
        "WITH a AS (SELECT 1), lone AS (SELECT * FROM a) SELECT * FROM lone JOIN counters ON true",
        "counters",
        "",
    ),
    (
        "WITH RECURSIVE lone(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM lone WHERE n < 3) SELECT * FROM lone",
        "",
        "",
    ),
    ("SELECT * FROM (WITH lone AS (SELECT 1) SELECT * FROM lone) x, counters", "counters", ""),
    ("SELECT * FROM (WITH lone AS (SELECT 1) SELECT * FROM lone) x, lone", "lone", ""),
    ("WITH lone AS (SELECT 1) SELECT * FROM ins.lone", "lone", ""),
    ("WITH a AS (SELECT * FROM lone), lone AS (SELECT 1) SELECT * FROM a, lone", "lone", ""),
];

#[tokio::test]
async fn names_of_with_are_no_tables() {
    check_reads(&schema().await, NAMES_OF_WITH_ARE_NO_TABLES);
}

const ALL_EVENTS: &str = "events events_2024 events_2024_a events_2024_b events_2025";

const VIEWS_PARTITIONS_AND_HEIRS_ARE_SEEN_THROUGH: &[(&str, &str, &str)] = &[
    ("SELECT * FROM open_policies", "policies", ""),
    ("SELECT * FROM customer_premiums", "customers policies", ""),
    ("SELECT * FROM many", "counters lone", ""),
    ("SELECT * FROM recent", "policies", "Stable now()"),
    ("SELECT * FROM locked", "lone", "Locks"),
    ("SELECT * FROM catalogue", "", "System pg_class"),
    ("SELECT count(*) FROM events", ALL_EVENTS, ""),
    ("SELECT count(*) FROM events_2024", "events_2024 events_2024_a events_2024_b", ""),
    ("SELECT count(*) FROM events_2024_b", "events_2024_b", ""),
    ("SELECT count(*) FROM animals", "animals dogs puppies", ""),
    ("SELECT count(*) FROM ONLY animals", "animals", ""),
    ("SELECT count(*) FROM ONLY animals, dogs", "animals dogs puppies", ""),
];

#[tokio::test]
async fn views_partitions_and_heirs_are_seen_through() {
    check_reads(&schema().await, VIEWS_PARTITIONS_AND_HEIRS_ARE_SEEN_THROUGH);
}

const FUNCTIONS_ARE_SEEN_THROUGH: &[(&str, &str, &str)] = &[
    ("SELECT twice(n) FROM lone", "lone", ""),
    ("SELECT premium_of(1)", "policies", ""),
    ("SELECT ins.premium_of(id) FROM customers", "customers policies", ""),
    ("SELECT claims_of(1)", "claims policies", ""),
    ("SELECT * FROM policies WHERE created_at > since()", "policies", "Stable now()"),
    ("SELECT any_count('lone')", "", "Opaque ins.any_count()"),
    ("SELECT constant_count()", "lone", ""),
    // Believed, but for what would show one session's rows to another.
    ("SELECT tenant()", "", "Stable current_setting()"),
    ("SELECT lone_count()", "lone", ""),
    ("SELECT unread()", "", ""),
    ("SELECT 'n'::region_of_region", "customers", ""),
    ("SELECT mixed(1)", "", "Volatile ins.mixed()"),
    ("SELECT mixed(1, 2)", "", ""),
    ("SELECT defaulted(1)", "lone", ""),
    ("SELECT defaulted(1, 2, 3, 4, 5), defaulted(1, 2, VARIADIC '{1}')", "lone", ""),
    ("SELECT l.total FROM lone l", "counters lone", ""),
    ("SELECT (l).total FROM lone l", "counters lone", ""),
    ("SELECT elsewhere()", "other.lone", ""),
    ("SELECT here()", "lone", ""),
    ("SELECT through()", "other.lone", ""),
    ("SELECT here(), through()", "lone other.lone", ""),
    ("SELECT loops(3)", "lone", ""),
    ("SELECT weighted(n) FROM lone", "counters lone", ""),
    ("SELECT 1 ~=~ 2", "lone", ""),
    ("SELECT 1 OPERATOR(ins.~=~) 2", "lone", ""),
    ("SELECT 'n'::region", "customers", ""),
    ("SELECT CAST(1.0 AS money_of)", "counters", ""),
];

#[tokio::test]
async fn functions_are_seen_through() {
    check_reads(&schema().await, FUNCTIONS_ARE_SEEN_THROUGH);
}

const FUNCTIONS_OF_THE_SETTINGS_ARE_HARMLESS_AND_THOSE_OF_THE_TIME_ARE_NOT: &[(&str, &str, &str)] = &[
    ("SELECT date_trunc('day', created_at), count(*) FROM policies GROUP BY 1", "policies", ""),
    (
        "SELECT to_char(created_at, 'YYYY-MM'), created_at::date, created_at::text FROM policies",
        "policies",
        "",
    ),
    ("SELECT extract(epoch FROM created_at), created_at AT TIME ZONE 'UTC' FROM policies", "policies", ""),
    ("SELECT age(updated_at, created_at), created_at + interval '1 day' FROM policies", "policies", ""),
    (
        "SELECT jsonb_agg(to_jsonb(l)), string_agg(n::text, ','), json_build_object('a', 1) FROM lone l",
        "lone",
        "",
    ),
    (
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY n), count(*) FILTER (WHERE n > 1) FROM lone",
        "lone",
        "",
    ),
    ("SELECT generate_series('2025-01-01'::timestamptz, '2025-02-01', '1 day')", "", ""),
    (
        "SELECT coalesce(n, 0), greatest(1, 2), n || 'a', concat('a', n), format('%s', n) FROM lone",
        "lone",
        "",
    ),
    ("SELECT age(created_at) FROM policies", "policies", "Stable age()"),
    ("SELECT now()", "", "Stable now()"),
    ("SELECT pg_catalog.now()", "", "Stable now()"),
    ("SELECT CURRENT_DATE", "", "Stable CURRENT_DATE"),
    ("SELECT current_user, LOCALTIMESTAMP", "", "Stable CURRENT_USER, Stable LOCALTIMESTAMP"),
    ("SELECT current_setting('a.b')", "", "Stable current_setting()"),
    ("SELECT * FROM policies WHERE created_at > 'today'", "policies", "Stable 'today'"),
    ("SELECT 'now'::timestamptz", "", "Stable 'now'"),
    ("SELECT '12:00'::time::timetz", "", "Stable time with time zone"),
    ("SELECT random(), clock_timestamp()", "", "Volatile clock_timestamp(), Volatile random()"),
    ("SELECT gen_random_uuid()", "", "Volatile gen_random_uuid()"),
    ("SELECT nextval('numbers')", "", "Volatile nextval()"),
    (
        "SELECT pg_notify('a', 'b'), pg_advisory_lock(1)",
        "",
        "Volatile pg_advisory_lock(), Volatile pg_notify()",
    ),
    ("SELECT set_config('work_mem', '1MB', true)", "", "Volatile set_config()"),
];

#[tokio::test]
async fn functions_of_the_settings_are_harmless_and_those_of_the_time_are_not() {
    check_reads(&schema().await, FUNCTIONS_OF_THE_SETTINGS_ARE_HARMLESS_AND_THOSE_OF_THE_TIME_ARE_NOT);
}

const WHAT_MUST_NOT_BE_KEPT_SAYS_WHY: &[(&str, &str, &str)] = &[
    ("", "", "NotARead"),
    ("-- nothing", "", "NotARead"),
    ("SELECT 1; SELECT 2", "", "NotARead"),
    ("SHOW work_mem", "", "NotARead"),
    ("EXPLAIN SELECT * FROM lone", "", "NotARead"),
    ("EXPLAIN (ANALYZE) SELECT * FROM lone", "lone", "NotARead"),
    ("COPY lone TO STDOUT", "lone", "NotARead"),
    ("COPY (SELECT * FROM lone) TO STDOUT", "lone", "NotARead"),
    ("SELECT * FROM lone FOR UPDATE", "lone", "Locks"),
    ("SELECT * FROM (SELECT * FROM lone FOR KEY SHARE) x", "lone", "Locks"),
    ("SELECT * FROM lone TABLESAMPLE SYSTEM (10)", "lone", "Volatile TABLESAMPLE"),
    ("SELECT * FROM lone TABLESAMPLE BERNOULLI (10) REPEATABLE (1)", "lone", "Volatile TABLESAMPLE"),
    ("SELECT ctid, n FROM lone", "lone", "System ctid"),
    ("SELECT l.xmax, (l).cmin FROM lone l", "lone", "System cmin, System xmax"),
    ("SELECT xmin, tableoid::int8 FROM lone", "lone", ""),
    ("SELECT lo_get(1)", "", "Volatile lo_get()"),
    ("SELECT currval('numbers')", "", "Volatile currval()"),
    ("SELECT txid_current()", "", "Stable txid_current()"),
    ("SELECT last_value FROM numbers", "numbers", "Volatile ins.numbers"),
    ("SELECT * FROM pg_stat_activity", "", "System pg_stat_activity"),
    ("SELECT * FROM information_schema.tables", "", "System information_schema.tables"),
    ("SELECT 'lone'::regclass", "", "System type regclass"),
    ("SELECT has_table_privilege('lone', 'SELECT')", "", "System has_table_privilege()"),
    ("SELECT pg_get_viewdef(1)", "", "System pg_get_viewdef()"),
    ("SELECT pg_relation_size('lone')", "", "Volatile pg_relation_size()"),
    ("SELECT table_to_xml(1, true, true, '')", "", "Opaque table_to_xml()"),
    ("SELECT * FROM remote", "remote", "Foreign ins.remote"),
    ("SELECT * FROM pg_temp.mine", "", "Temporary pg_temp.mine"),
    ("SELECT secret_count()", "secrets", "RowSecurity ins.secrets"),
    // Row security does not hold for who may do everything.
    ("SELECT * FROM secrets", "secrets", ""),
    ("SELECT * FROM secrets_view", "secrets", ""),
];

#[tokio::test]
async fn what_must_not_be_kept_says_why() {
    check_reads(&schema().await, WHAT_MUST_NOT_BE_KEPT_SAYS_WHY);
}
