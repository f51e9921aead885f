use super::*;

#[test]
fn statements_are_loaded_created_and_counted() {
    let id = "database.pg_stat_statements";
    let item = found(id, |evidence| {
        unset(evidence, "pg_stat_statements.max");
        set(evidence, "shared_preload_libraries", "auto_explain");
        evidence.has_statements_extension = Ok(false);
    });
    expect(&item, Verdict::NotMet, "has not loaded");
    let sql =
        "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain', 'pg_stat_statements';\nCREATE EXTENSION";
    expect_fix(&item, FixKind::Sql, sql);
    assert!(item.needs_restart);
    let item = found(id, |evidence| {
        unset(evidence, "pg_stat_statements.max");
        unset(evidence, "shared_preload_libraries");
    });
    expect_fix(&item, FixKind::Advice, "add pg_stat_statements to shared_preload_libraries");
    let item = found(id, |evidence| {
        // A word in the configuration of a library that is not loaded.
        evidence.settings.iter_mut().filter(|setting| setting.name == "pg_stat_statements.max").for_each(
            |setting| {
                setting.context = "user".to_owned();
            },
        );
    });
    expect(&item, Verdict::NotMet, "has not loaded");
    let item = found(id, |evidence| evidence.has_statements_extension = Ok(false));
    expect_fix(&item, FixKind::Sql, "CREATE EXTENSION");
    assert!(!item.needs_restart);
    let item = found(id, |evidence| {
        evidence.has_statements_extension = Ok(false);
        evidence.server.in_recovery = true;
    });
    expect_fix(&item, FixKind::Advice, "on the primary: CREATE EXTENSION");
    let item = found(id, |evidence| set(evidence, "pg_stat_statements.track", "none"));
    expect_fix(
        &item,
        FixKind::Sql,
        "ALTER SYSTEM SET pg_stat_statements.track = 'top';\nSELECT pg_reload_conf();",
    );
}

#[test]
fn shares_of_memory() {
    for (id, name, pages, verdict) in [
        ("database.shared_buffers", "shared_buffers", "16384", Verdict::NotMet),
        // 20 % and 40 % of 16 GB are the borders.
        ("database.shared_buffers", "shared_buffers", "419431", Verdict::Met),
        ("database.shared_buffers", "shared_buffers", "419430", Verdict::NotMet),
        ("database.shared_buffers", "shared_buffers", "838860", Verdict::Met),
        ("database.shared_buffers", "shared_buffers", "838900", Verdict::NotMet),
        ("database.effective_cache_size", "effective_cache_size", "524288", Verdict::NotMet),
        ("database.effective_cache_size", "effective_cache_size", "1048576", Verdict::Met),
        ("database.effective_cache_size", "effective_cache_size", "1048575", Verdict::NotMet),
        ("database.effective_cache_size", "effective_cache_size", "1887430", Verdict::Met),
        ("database.effective_cache_size", "effective_cache_size", "1900000", Verdict::NotMet),
    ] {
        let item = found(id, |evidence| set(evidence, name, pages));
        assert_eq!(item.verdict, verdict, "{name} {pages}: {item:?}");
        assert_eq!(item.needs_restart, verdict == Verdict::NotMet && name == "shared_buffers", "{item:?}");
    }
    let item = found("database.shared_buffers", |evidence| set(evidence, "shared_buffers", "16384"));
    expect(&item, Verdict::NotMet, "128 MiB is 0.8 % of 16.0 GiB");
    expect_fix(&item, FixKind::Sql, "ALTER SYSTEM SET shared_buffers = '4GB';");
    let item = found("database.shared_buffers", |evidence| evidence.machine.memory_bytes = None);
    assert!(item.verdict == Verdict::CannotTell && item.why.contains("--memory"), "{item:?}");
    let item = found("database.shared_buffers", |evidence| unset(evidence, "shared_buffers"));
    assert_eq!(item.verdict, Verdict::CannotTell, "{item:?}");
}

#[test]
fn where_a_value_comes_from_decides_what_changes_it() {
    let beneath = |value: &'static str| Some(setting("random_page_cost", value, None));
    for (source, beneath, kind, said, fix) in [
        ("default", None, FixKind::Sql, "4 rather than 1.1", "ALTER SYSTEM SET random_page_cost = '1.1';"),
        // What is not known or will not do is replaced.
        (
            "database",
            None,
            FixKind::Sql,
            "in this database",
            "ALTER DATABASE \"app\" SET random_page_cost = '1.1';",
        ),
        (
            "database",
            beneath("4"),
            FixKind::Sql,
            "in this database",
            "ALTER DATABASE \"app\" SET random_page_cost",
        ),
        (
            "database",
            beneath("1.2"),
            FixKind::Sql,
            "in this database",
            "ALTER DATABASE \"app\" RESET random_page_cost;",
        ),
        ("global", beneath("1.2"), FixKind::Sql, "for all roles", "ALTER ROLE ALL RESET random_page_cost;"),
        (
            "user",
            None,
            FixKind::Sql,
            "for the role monitor",
            "ALTER ROLE \"monitor\" SET random_page_cost = '1.1';",
        ),
        (
            "database user",
            None,
            FixKind::Sql,
            "for the role monitor in this database",
            "ALTER ROLE \"monitor\" IN DATABASE \"app\" SET random_page_cost = '1.1';",
        ),
        ("command line", None, FixKind::Advice, "4 rather than 1.1", "set by its command line"),
    ] {
        let item = found("database.random_page_cost", |evidence| {
            set(evidence, "random_page_cost", "4");
            evidence.settings.iter_mut().for_each(|setting| setting.source = source.to_owned());
            evidence.beneath.extend(beneath);
        });
        expect(&item, Verdict::NotMet, said);
        let text = &item.fix.as_ref().expect("there is one").text;
        assert!(item.fix.as_ref().is_some_and(|fix| fix.kind == kind), "{item:?}");
        assert!(text.replace('"', "").contains(&fix.replace('"', "")), "{item:?}");
        assert_eq!(text.contains("pg_reload_conf"), source == "default", "{item:?}");
    }
    let item = found("database.shared_buffers", |evidence| {
        set(evidence, "shared_buffers", "16384");
        evidence.settings.iter_mut().for_each(|setting| setting.pending_restart = true);
    });
    expect_fix(&item, FixKind::Advice, "restart the server");
    assert!(item.needs_restart);
}

fn of_role(name: &str, value: &str, unit: Option<&str>, in_database: bool) -> RoleSetting {
    let source = if in_database { "database user" } else { "user" };
    let live = LiveSetting { source: source.to_owned(), ..setting(name, value, unit) };
    RoleSetting { role: "reports".to_owned(), in_database, live }
}

#[test]
fn what_roles_have_of_their_own_is_judged_and_named() {
    let own = |id: &str, own: RoleSetting| found(id, |evidence| evidence.role_settings.push(own));
    let item = own("database.parallel_query", of_role("max_parallel_workers_per_gather", "0", None, false));
    expect(&item, Verdict::NotMet, "max_parallel_workers_per_gather is 0 rather than 4 for the role reports");
    expect_fix(&item, FixKind::Sql, "RESET max_parallel_workers_per_gather;");
    assert!(!item.fix.as_ref().is_some_and(|fix| fix.text.contains("pg_reload_conf")), "{item:?}");
    let item = own("database.parallel_query", of_role("max_parallel_workers_per_gather", "1", None, true));
    expect(&item, Verdict::Met, "the role reports has max_parallel_workers_per_gather 1");
    let item =
        own("database.effective_cache_size", of_role("effective_cache_size", "1000", Some("8kB"), true));
    expect(&item, Verdict::NotMet, "for the role reports in this database");
    // Much work_mem for a role of reports is what is recommended.
    let item = own("database.work_mem", of_role("work_mem", "1048576", Some("kB"), false));
    expect(&item, Verdict::Met, "the role reports has work_mem 1.0 GiB");
}

fn sorting(temp_bytes: f64, exec_ms: f64) -> Statement {
    Statement {
        text: "SELECT * FROM orders ORDER BY $1".to_owned(),
        kind: StatementKind::Read,
        calls: 10.0,
        exec_ms,
        rows: 10.0,
        temp_bytes,
        ..Statement::default()
    }
}

#[test]
fn work_mem_is_too_large_for_the_memory_or_too_small_for_statements() {
    let id = "database.work_mem";
    let item = found(id, |evidence| set(evidence, "work_mem", "262144"));
    expect(&item, Verdict::NotMet, "256 MiB for each sort and hash of up to 100 sessions");
    expect_fix(&item, FixKind::Sql, "ALTER SYSTEM SET work_mem = ");
    let mb = 1_048_576.0;
    for (work_mem, spilled, exec_ms, verdict) in [
        ("4096", 0.0, 500.0, Verdict::Met),
        ("4096", 9.9 * mb, 500.0, Verdict::Met),
        ("4096", 10.1 * mb, 500.0, Verdict::NotMet),
        // It takes too little of the time to matter.
        ("4096", 100.0 * mb, 5.0, Verdict::Met),
        ("8192", 100.0 * mb, 500.0, Verdict::NotMet),
    ] {
        let item = found(id, |evidence| {
            set(evidence, "work_mem", work_mem);
            add(evidence, sorting(spilled, exec_ms));
        });
        assert_eq!(item.verdict, verdict, "{work_mem} {spilled}: {item:?}");
    }
    let item = found(id, |evidence| {
        evidence.settings.retain(|setting| setting.name != "work_mem");
        evidence.settings.push(setting("work_mem", "8192", Some("kB")));
        add(evidence, sorting(100.0 * mb, 500.0));
    });
    expect_fix(&item, FixKind::Advice, "SET LOCAL work_mem = '31MB'");
    for (files, verdict) in [(0, Verdict::Met), (1, Verdict::CannotTell)] {
        let item = found(id, |evidence| {
            set(evidence, "work_mem", "1024");
            evidence.workload = Err(missing());
            evidence.counters = Ok(Counters { temp_files: files, ..Counters::default() });
        });
        assert_eq!(item.verdict, verdict, "{item:?}");
    }
}

#[test]
fn parallel_query_and_storage() {
    let item =
        found("database.parallel_query", |evidence| set(evidence, "max_parallel_workers_per_gather", "0"));
    expect(&item, Verdict::NotMet, "max_parallel_workers_per_gather is 0 rather than 4");
    let item = found("database.parallel_query", |evidence| set(evidence, "max_worker_processes", "4"));
    assert!(item.verdict == Verdict::NotMet && item.needs_restart, "{item:?}");
    let item = found("database.parallel_query", |evidence| evidence.machine.cores = None);
    assert!(item.verdict == Verdict::CannotTell && item.why.contains("--cores"), "{item:?}");
    for (storage, cost, verdict) in [
        (Some(Storage::Ssd), "4", Verdict::NotMet),
        (Some(Storage::Ssd), "1.5", Verdict::Met),
        (Some(Storage::Ssd), "1.6", Verdict::NotMet),
        (Some(Storage::Hdd), "4", Verdict::Met),
        (Some(Storage::Hdd), "1.1", Verdict::NotMet),
        (Some(Storage::Network), "2.5", Verdict::Met),
        (None, "1.1", Verdict::CannotTell),
    ] {
        let item = found("database.random_page_cost", |evidence| {
            evidence.machine.storage = storage;
            set(evidence, "random_page_cost", cost);
        });
        assert_eq!(item.verdict, verdict, "{storage:?} {cost}: {item:?}");
    }
}

#[test]
fn autovacuum_is_on_eager_and_keeps_up() {
    let id = "database.autovacuum";
    for name in ["autovacuum", "track_counts"] {
        let item = found(id, |evidence| set(evidence, name, "off"));
        expect_fix(&item, FixKind::Sql, &format!("ALTER SYSTEM SET {name} = 'on';"));
    }
    let item = found(id, |evidence| set(evidence, "autovacuum_vacuum_scale_factor", "0.2"));
    expect(
        &item,
        Verdict::NotMet,
        "autovacuum_vacuum_scale_factor is 0.2 rather than 0.05; none of 1 table is behind",
    );
    let item = found(id, |evidence| set(evidence, "autovacuum_vacuum_cost_limit", "-1"));
    assert_eq!(item.verdict, Verdict::NotMet, "{item:?}");
    let item = found(id, |evidence| {
        set(evidence, "autovacuum_vacuum_cost_limit", "-1");
        evidence.machine = Hardware::default();
    });
    assert_eq!(item.verdict, Verdict::Met, "which limit fits depends on the storage: {item:?}");
    let table =
        |change: fn(&mut Table)| found(id, |evidence| evidence.tables.iter_mut().flatten().for_each(change));
    expect(&table(|table| table.dead_rows = 100_099), Verdict::Met, "none of 1 table");
    let item = table(|table| table.dead_rows = 100_100);
    expect(&item, Verdict::NotMet, "behind with public.orders with 100,100 dead rows");
    expect_fix(&item, FixKind::Sql, "VACUUM (ANALYZE) public.orders;");
    let item = table(|table| table.is_off = true);
    expect_fix(&item, FixKind::Sql, "ALTER TABLE public.orders RESET (autovacuum_enabled);");
    expect(
        &found(id, |evidence| evidence.tables = Err(missing())),
        Verdict::CannotTell,
        "this cannot be seen",
    );
}

#[test]
fn connections_suit_pools_and_cores() {
    let id = "database.max_connections";
    let pool = |size: u64| {
        found(id, |evidence| {
            let pooling = evidence.pooling.iter_mut().flatten();
            pooling.flat_map(|pooling| &mut pooling.report.pools).for_each(|pool| pool.size_max = Some(size));
        })
    };
    expect(&pool(97), Verdict::Met, "open 97 of 97 at most");
    let item = pool(98);
    expect(&item, Verdict::NotMet, "may open 98 connections, the database has 97");
    expect_fix(&item, FixKind::Setting, "max_db_connections = 77");
    let used = |total: u64| found(id, |evidence| evidence.sessions.total = total);
    expect(&used(77), Verdict::Met, "100, 77 of them in use");
    expect(&used(78), Verdict::NotMet, "78 of 97 connections are in use");
    for (max, cores, verdict) in [
        ("300", Some(2), Verdict::Met),
        ("301", Some(2), Verdict::NotMet),
        ("512", Some(16), Verdict::Met),
        ("513", Some(16), Verdict::NotMet),
        ("513", None, Verdict::CannotTell),
    ] {
        let item = found(id, |evidence| {
            set(evidence, "max_connections", max);
            evidence.machine.cores = cores;
        });
        assert_eq!(item.verdict, verdict, "{max} {cores:?}: {item:?}");
    }
}

#[test]
fn checkpoints_come_by_the_clock() {
    for (timed, requested, verdict) in
        [(0, 9, Verdict::Met), (7, 3, Verdict::Met), (6, 4, Verdict::NotMet), (0, 10, Verdict::NotMet)]
    {
        let item = found("database.checkpoints", |evidence| {
            let counters = Counters {
                checkpoints_timed: timed,
                checkpoints_requested: requested,
                checkpoints_counted_s: Some(0.0),
                ..Counters::default()
            };
            evidence.counters = Ok(counters);
        });
        assert_eq!(item.verdict, verdict, "{item:?}");
    }
    let since = |evidence: &mut Evidence, counted_s: Option<f64>| {
        let counters = Counters { checkpoints_requested: 50, loaded_s: 600.0, ..Counters::default() };
        evidence.counters = Ok(Counters { checkpoints_counted_s: counted_s, ..counters });
    };
    let forced = |evidence: &mut Evidence| since(evidence, Some(500.0));
    expect_fix(&found("database.checkpoints", forced), FixKind::Advice, "double max_wal_size");
    // Those before the settings were changed would tell of others.
    for counted_s in [None, Some(700.0)] {
        let item = found("database.checkpoints", |evidence| since(evidence, counted_s));
        expect(&item, Verdict::CannotTell, "forced: 50 of 50 checkpoints");
        expect_fix(&item, FixKind::Sql, "SELECT pg_stat_reset_shared('bgwriter');");
    }
    let item = found("database.checkpoints", |evidence| {
        forced(evidence);
        set(evidence, "max_wal_size", "1024");
    });
    expect_fix(&item, FixKind::Sql, "ALTER SYSTEM SET max_wal_size = '4GB';\nSELECT pg_reload_conf();");
}
