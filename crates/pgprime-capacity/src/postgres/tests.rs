//! Settings as a whole: what comes out for which machine, and how live values compare.

use super::*;

const MB: u64 = 1 << 20;
const GB: u64 = 1 << 30;

fn request(cores: u32, memory_bytes: u64, max_connections: u32) -> SettingsRequest {
    SettingsRequest {
        machine: Machine { cores, memory_bytes, storage: Storage::Ssd },
        workload: Workload::ServiceAndReports,
        max_connections,
        version_major: 15,
        preload_libraries: String::new(),
    }
}

fn lines(request: &SettingsRequest) -> Vec<String> {
    recommend(request).unwrap().iter().map(ToString::to_string).collect()
}

fn setting(request: &SettingsRequest, name: &str) -> Recommendation {
    let found = recommend(request).unwrap().into_iter().find(|setting| setting.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a_common_machine() {
    // 16 GB − 4 − 8 − 1 − 3 × 128 MB leave 2.625 GB; over 100 + 4 processes with a sort and a hash (1 + 2 times
    // work_mem) that is 8.6 MB.
    let expected = [
        "max_connections = 100",
        "superuser_reserved_connections = 3",
        "idle_in_transaction_session_timeout = 1min",
        "shared_buffers = 4GB",
        "huge_pages = try",
        "effective_cache_size = 12GB",
        "work_mem = 8MB",
        "maintenance_work_mem = 1GB",
        "autovacuum_work_mem = 128MB",
        "random_page_cost = 1.1",
        "effective_io_concurrency = 200",
        "maintenance_io_concurrency = 200",
        "wal_buffers = 16MB",
        "wal_compression = pglz",
        "min_wal_size = 1GB",
        "max_wal_size = 4GB",
        "checkpoint_timeout = 15min",
        "checkpoint_completion_target = 0.9",
        "max_worker_processes = 8",
        "max_parallel_workers = 4",
        "max_parallel_workers_per_gather = 4",
        "max_parallel_maintenance_workers = 4",
        "default_statistics_target = 100",
        "jit = off",
        "autovacuum = on",
        "autovacuum_max_workers = 3",
        "autovacuum_naptime = 30s",
        "autovacuum_vacuum_scale_factor = 0.05",
        "autovacuum_vacuum_insert_scale_factor = 0.05",
        "autovacuum_analyze_scale_factor = 0.02",
        "autovacuum_vacuum_cost_delay = 2ms",
        "autovacuum_vacuum_cost_limit = 1000",
        "shared_preload_libraries = 'pg_stat_statements'",
        "compute_query_id = auto",
        "pg_stat_statements.track = all",
        "pg_stat_statements.max = 10000",
        "track_io_timing = on",
        "log_checkpoints = on",
    ];
    assert_eq!(lines(&request(8, 16 * GB, 100)), expected);
}

#[test]
fn reasons_show_the_arithmetic() {
    let request = request(8, 16 * GB, 100);
    for (name, figures) in [
        ("work_mem", &["2.6 GiB", "100 connections", "4 parallel workers", "3 × work_mem", "8.6 MiB"][..]),
        ("shared_buffers", &["25 % of 16.0 GiB"]),
        ("huge_pages", &["8.0 MiB", "800 MiB", "2252"]),
        ("max_wal_size", &["2.4 MiB/s"]),
        ("autovacuum_vacuum_cost_limit", &["1000 / 20", "195 MiB/s"]),
        ("max_connections", &["12.5 for each core"]),
    ] {
        let reason = setting(&request, name).reason;
        for figure in figures {
            assert!(reason.contains(figure), "{name}: {figure} not in: {reason}");
        }
    }
}

#[test]
fn too_many_connections_for_the_memory_are_named() {
    let small = setting(&request(2, 8 * GB, 1_000), "work_mem");
    assert_eq!(small.value, Value::Memory(4 * MB));
    assert!(small.reason.contains("11.7 GiB: fewer connections"), "{}", small.reason);
    let large = setting(&request(64, 512 * GB, 40), "work_mem");
    assert_eq!(large.value, Value::Memory(256 * MB));
    assert!(large.reason.contains("ALTER ROLE"), "{}", large.reason);
}

#[test]
fn every_setting_has_a_reason_and_is_listed_in_order() {
    for version_major in 13..=19 {
        for cores in [1, 2, 3, 8, 96, 8_192] {
            for memory_bytes in [256 * MB, GB, 7 * GB, 64 << 40] {
                let request = SettingsRequest { version_major, ..request(cores, memory_bytes, 200) };
                let settings = recommend(&request).unwrap();
                let position = |name| SETTING_NAMES.iter().position(|known| *known == name).unwrap();
                assert!(settings.is_sorted_by_key(|setting| position(setting.name)));
                assert!(settings.is_sorted_by_key(|setting| setting.section));
                for setting in &settings {
                    assert!(setting.reason.len() > 20, "{setting}: {}", setting.reason);
                    assert!(setting.accepted.admits(&setting.value, &setting.value), "{setting}");
                    assert!(setting.value != Value::Memory(0), "{setting}");
                }
            }
        }
    }
}

#[test]
fn versions_have_what_they_know() {
    let names = |version_major| -> Vec<&str> {
        let request = SettingsRequest { version_major, ..request(8, 16 * GB, 100) };
        recommend(&request).unwrap().iter().map(|setting| setting.name).collect()
    };
    for (name, since) in [("io_method", 18), ("io_workers", 18), ("compute_query_id", 14), ("jit", 13)] {
        for version in 13..=19 {
            assert_eq!(names(version).contains(&name), version >= since, "{name} in {version}");
        }
    }
    let restart = |version_major| {
        let request = SettingsRequest { version_major, ..request(8, 16 * GB, 100) };
        setting(&request, "autovacuum_max_workers").restart
    };
    assert!(restart(17) && !restart(18));
}

#[test]
fn libraries_that_are_loaded_stay() {
    for (live, expected) in [
        ("", "pg_stat_statements"),
        ("auto_explain", "auto_explain, pg_stat_statements"),
        ("pg_stat_statements,timescaledb", "pg_stat_statements,timescaledb"),
        ("$libdir/pg_stat_statements", "$libdir/pg_stat_statements"),
    ] {
        let request = SettingsRequest { preload_libraries: live.into(), ..request(4, GB, 50) };
        let value = setting(&request, "shared_preload_libraries").value;
        assert_eq!(value, Value::Text(expected.into()));
    }
}

#[test]
fn storage_decides_what_reading_costs() {
    for (storage, cost, concurrency, limit) in [
        (Storage::Nvme, "1.1", "256", "2000"),
        (Storage::Ssd, "1.1", "200", "1000"),
        (Storage::Network, "1.5", "200", "600"),
        (Storage::Hdd, "4", "2", "200"),
    ] {
        let mut request = request(4, GB, 50);
        request.machine.storage = storage;
        let text = |name| setting(&request, name).value.to_string();
        assert_eq!(text("random_page_cost"), cost);
        assert_eq!(text("effective_io_concurrency"), concurrency);
        assert_eq!(text("autovacuum_vacuum_cost_limit"), limit);
        assert_eq!(storage.to_string().parse::<Storage>(), Ok(storage));
    }
    let message = "floppy".parse::<Storage>().unwrap_err().to_string();
    assert!(message.contains("nvme, ssd, hdd or network"), "{message}");
}

#[test]
fn nonsense_is_refused_with_what_to_state() {
    let with_version = |version_major| SettingsRequest { version_major, ..request(4, GB, 50) };
    for (request, hint) in [
        (request(0, GB, 50), "how many cores"),
        (request(100_000, GB, 50), "1 to 8192"),
        (request(4, 16, 50), "in bytes"),
        (request(4, 255 * MB, 50), "keep PostgreSQL's defaults"),
        (request(4, u64::MAX, 50), "to 64 TiB"),
        (request(4, GB, 0), "keeps 3 for superusers"),
        (request(4, GB, 3), "state 4 to"),
        (request(4, GB, 1_000_000), "a pooler serves"),
        (with_version(12), "too old"),
    ] {
        let message = recommend(&request).unwrap_err().to_string();
        assert!(message.contains(hint), "{message}");
    }
}

fn live(name: &str, setting: &str, unit: Option<&str>) -> LiveSetting {
    LiveSetting {
        name: name.into(),
        setting: setting.into(),
        unit: unit.map(Into::into),
        source: "default".into(),
        context: if name == "shared_buffers" { "postmaster" } else { "user" }.into(),
        pending_restart: false,
    }
}

#[test]
fn live_values_are_compared_with_tolerance() {
    let settings = recommend(&request(8, 16 * GB, 100)).unwrap();
    for (name, value, unit, text, status) in [
        // 128 MB, 3.2 GB, 6.4 GB and 8 GB of 16 GB.
        ("shared_buffers", "16384", Some("8kB"), "128MB", Status::Differs),
        ("shared_buffers", "419431", Some("8kB"), "3355448kB", Status::Met),
        ("shared_buffers", "838860", Some("8kB"), "6710880kB", Status::Met),
        ("shared_buffers", "1048576", Some("8kB"), "8GB", Status::Differs),
        ("work_mem", "4096", Some("kB"), "4MB", Status::Met),
        ("work_mem", "65536", Some("kB"), "64MB", Status::Differs),
        ("autovacuum_work_mem", "-1", Some("kB"), "-1", Status::Differs),
        ("random_page_cost", "4", None, "4", Status::Differs),
        ("random_page_cost", "1", None, "1", Status::Met),
        ("checkpoint_timeout", "300", Some("s"), "5min", Status::Differs),
        ("checkpoint_timeout", "1800", Some("s"), "30min", Status::Met),
        ("wal_compression", "zstd", None, "zstd", Status::Met),
        ("wal_compression", "off", None, "off", Status::Differs),
        ("autovacuum_naptime", "60", Some("s"), "1min", Status::Differs),
        ("autovacuum_vacuum_cost_delay", "2", Some("ms"), "2ms", Status::Met),
        ("autovacuum_vacuum_cost_limit", "-1", None, "-1", Status::Differs),
        ("idle_in_transaction_session_timeout", "0", Some("ms"), "0", Status::Differs),
        ("shared_preload_libraries", "a, pg_stat_statements", None, "a, pg_stat_statements", Status::Met),
        ("shared_preload_libraries", "", None, "", Status::Differs),
        ("max_worker_processes", "64", None, "64", Status::Met),
        ("jit", "on", None, "on", Status::Differs),
    ] {
        let all = compare(&settings, &[live(name, value, unit)]);
        assert_eq!(all.len(), settings.len());
        let found = all.iter().find(|comparison| comparison.name == name).unwrap();
        assert_eq!((found.live.as_deref(), found.status), (Some(text), status), "{name} {value}");
        assert_eq!(found.restart_needed, status == Status::Differs && name == "shared_buffers", "{name}");
        let unknown = all.iter().filter(|comparison| comparison.status == Status::Unknown).count();
        assert_eq!(unknown, settings.len() - 1);
    }
}

#[test]
fn json_has_the_number_its_unit_and_the_text() {
    let setting = setting(&request(8, 16 * GB, 100), "shared_buffers");
    let json = serde_json::to_value(&setting).unwrap();
    let expected = serde_json::json!({"value": 4_294_967_296_u64, "unit": "bytes", "text": "4GB"});
    assert_eq!(json["value"], expected);
    assert_eq!(json["section"], "memory");
    assert_eq!(json["accepted"]["between"][0]["unit"], "bytes");
    assert_eq!(json["restart"], true);
}
