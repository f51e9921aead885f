//! What is known of PostgreSQL's own functions beyond their volatility, and of some extensions'.

/// Stable functions that depend on nothing but their arguments and settings that are in the key of a result; sorted. They are
/// stable only because they read or write times, numbers and texts as `TimeZone`, `DateStyle`, `lc_*`, `extra_float_digits`,
/// `bytea_output`, `xmlbinary` or `default_text_search_config` say.
#[rustfmt::skip]
const BY_SETTINGS: &[&str] = &[
    "anytextcat", "array_to_json", "array_to_string", "concat", "concat_ws", "convert", "convert_from",
    "convert_to", "date", "date_add", "date_part", "date_subtract", "date_trunc", "extract", "format",
    "generate_series", "get_current_ts_config", "in_range", "json_agg", "json_agg_strict",
    "json_build_array", "json_build_object", "json_object_agg", "json_object_agg_strict",
    "json_object_agg_unique", "json_object_agg_unique_strict", "json_populate_record",
    "json_populate_recordset", "json_to_record", "json_to_recordset", "json_to_tsvector", "jsonb_agg",
    "jsonb_agg_strict", "jsonb_build_array", "jsonb_build_object", "jsonb_object_agg",
    "jsonb_object_agg_strict", "jsonb_object_agg_unique", "jsonb_object_agg_unique_strict",
    "jsonb_path_exists_tz", "jsonb_path_match_tz", "jsonb_path_query_array_tz", "jsonb_path_query_first_tz",
    "jsonb_path_query_tz", "jsonb_populate_record", "jsonb_populate_recordset", "jsonb_to_record",
    "jsonb_to_recordset", "jsonb_to_tsvector", "length", "make_timestamptz", "money", "numeric", "overlaps",
    "pg_column_size", "pg_typeof", "phraseto_tsquery", "plainto_tsquery", "quote_literal", "quote_nullable",
    "row_to_json", "textanycat", "time", "timestamp", "timestamptz", "timezone", "to_char", "to_date",
    "to_json", "to_jsonb", "to_number", "to_timestamp", "to_tsquery", "to_tsvector", "ts_headline",
    "ts_match_tq", "ts_match_tt", "websearch_to_tsquery", "xml", "xml_is_well_formed",
];

/// Stable functions of the time and the session; sorted. Those in neither list look into the system's catalogs.
#[rustfmt::skip]
const BY_SESSION: &[&str] = &[
    "age", "current_database", "current_role", "current_schema", "current_schemas", "current_setting", "current_user",
    "getdatabaseencoding", "getpgusername", "inet_client_addr", "inet_client_port", "inet_server_addr",
    "inet_server_port", "now", "pg_backend_pid", "pg_client_encoding", "pg_conf_load_time", "pg_current_snapshot",
    "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_my_temp_schema", "pg_postmaster_start_time",
    "pg_trigger_depth", "session_user", "statement_timestamp", "system_user", "timetz", "transaction_timestamp",
    "txid_current", "txid_current_if_assigned", "txid_current_snapshot", "user", "version",
];

/// Functions that run SQL that is given to them; sorted.
#[rustfmt::skip]
const RUN_SQL: &[&str] = &[
    "cursor_to_xml", "cursor_to_xmlschema", "database_to_xml", "database_to_xml_and_xmlschema",
    "database_to_xmlschema", "query_to_xml", "query_to_xml_and_xmlschema", "query_to_xmlschema", "schema_to_xml",
    "schema_to_xml_and_xmlschema", "schema_to_xmlschema", "table_to_xml", "table_to_xml_and_xmlschema",
    "table_to_xmlschema", "ts_rewrite", "ts_stat",
];

/// Extensions whose functions in C write no table, though they may be volatile; sorted.
const HARMLESS_EXTENSIONS: &[&str] = &[
    "autoinc",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "insert_username",
    "intarray",
    "isn",
    "lo",
    "ltree",
    "moddatetime",
    "pg_buffercache",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_trgm",
    "pgcrypto",
    "pgstattuple",
    "seg",
    "sslinfo",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
    "vector",
];

/// Settings that change results, or how texts are read; they belong into the key of a result.
pub(crate) const RESULT_SETTINGS: &[&str] = &[
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "array_nulls",
    "bytea_output",
    "client_encoding",
    "default_text_search_config",
    "extra_float_digits",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "quote_all_identifiers",
    "standard_conforming_strings",
    "timezone_abbreviations",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
];

/// Settings that change what names stand for, or who reads.
const NAME_SETTINGS: &[&str] =
    &["search_path", "role", "session_authorization", "row_security", "session_replication_role"];

/// Why a stable function of PostgreSQL's own is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DependsOn {
    Settings,
    Session,
    Catalogs,
}

/// What a stable function depends on besides its arguments.
pub(crate) fn depends_on(name: &str, arguments: Option<usize>) -> DependsOn {
    match (name, arguments) {
        // Of one argument, it is the age until today.
        ("age", Some(2)) => DependsOn::Settings,
        _ if BY_SETTINGS.binary_search(&name).is_ok() => DependsOn::Settings,
        _ if BY_SESSION.binary_search(&name).is_ok() => DependsOn::Session,
        _ => DependsOn::Catalogs,
    }
}

/// Whether a function runs SQL that is given to it.
pub(crate) fn runs_sql(name: &str) -> bool {
    RUN_SQL.binary_search(&name).is_ok()
}

/// Whether an extension's functions in C are known to write no table.
pub(crate) fn is_harmless_extension(name: &str) -> bool {
    HARMLESS_EXTENSIONS.binary_search(&name).is_ok()
}

/// Whether a setting changes what later texts of a session mean.
pub(crate) fn changes_session(setting: &str) -> bool {
    let mut all = NAME_SETTINGS.iter().chain(RESULT_SETTINGS);
    all.any(|name| name.eq_ignore_ascii_case(setting))
}

/// Types whose values are names of objects, looked up in the catalogs when a text becomes one.
pub(crate) fn is_object_name(kind: &str) -> bool {
    kind.starts_with("reg")
        && [
            "class",
            "collation",
            "config",
            "dictionary",
            "namespace",
            "oper",
            "operator",
            "proc",
            "procedure",
        ]
        .iter()
        .chain(&["role", "type", "database"])
        .any(|rest| &kind[3..] == *rest)
}

/// Whether a constant may be a time relative to now, such as `'now'` or `'tomorrow 10:00'`.
pub(crate) fn is_relative_time(constant: &str) -> bool {
    constant.len() <= TIME_BYTES_MAX && has_relative_time(constant.as_bytes())
}

/// The longest text that PostgreSQL takes for a time.
pub const TIME_BYTES_MAX: usize = 128;

/// Whether one of the words is in a value by which PostgreSQL names a time relative to now: `now`, `today`, `tomorrow`,
/// `yesterday`, however they are written.
#[must_use]
pub fn has_relative_time(value: &[u8]) -> bool {
    let relative = [&b"now"[..], b"today", b"tomorrow", b"yesterday"];
    let mut words = value.split(|byte| !byte.is_ascii_alphabetic());
    words.any(|word| relative.iter().any(|known| known.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted() {
        for list in [BY_SETTINGS, BY_SESSION, RUN_SQL, HARMLESS_EXTENSIONS] {
            assert!(list.is_sorted_by(|a, b| a < b));
        }
    }

    #[test]
    fn tells_times_relative_to_now() {
        for text in ["now", " NOW ", "today 10:00", "10:00 tomorrow", "yesterday"] {
            assert!(is_relative_time(text), "{text}");
        }
        for text in ["", "2025-01-01", "known", "nowhere", "infinity"] {
            assert!(!is_relative_time(text), "{text}");
        }
    }
}
