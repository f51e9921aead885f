-- Statements by interval. All moments are microseconds since 1970; all counters are those of the interval.

-- A server whose statements are counted, as it was connected to.
CREATE TABLE source (
    id INTEGER PRIMARY KEY,
    system TEXT NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (system, label)
);

-- Each text once, by its SHA-256.
CREATE TABLE text (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    text TEXT NOT NULL
);

CREATE TABLE statement (
    id INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES source,
    user_oid INTEGER NOT NULL,
    database_oid INTEGER NOT NULL,
    query_id INTEGER NOT NULL,
    toplevel INTEGER NOT NULL,
    role TEXT,
    database TEXT,
    text_id INTEGER REFERENCES text,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (source_id, query_id, user_oid, database_oid, toplevel)
);
CREATE INDEX statement_text ON statement (text_id);

-- What was last read of a source: the next interval begins there.
CREATE TABLE baseline (
    source_id INTEGER PRIMARY KEY REFERENCES source,
    taken_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    reset_at INTEGER,
    deallocations INTEGER,
    role TEXT NOT NULL,
    sees_all INTEGER NOT NULL
);
CREATE TABLE baseline_entry (
    statement_id INTEGER PRIMARY KEY REFERENCES statement,
    source_id INTEGER NOT NULL REFERENCES source,
    stats_since INTEGER,
    minmax_since INTEGER,
    min_ms REAL NOT NULL,
    max_ms REAL NOT NULL,
    calls REAL NOT NULL,
    plans REAL NOT NULL,
    plan_ms REAL NOT NULL,
    exec_ms REAL NOT NULL,
    exec_ms_squares REAL NOT NULL,
    rows REAL NOT NULL,
    shared_hit_blocks REAL NOT NULL,
    shared_read_blocks REAL NOT NULL,
    shared_dirtied_blocks REAL NOT NULL,
    shared_written_blocks REAL NOT NULL,
    local_hit_blocks REAL NOT NULL,
    local_read_blocks REAL NOT NULL,
    local_dirtied_blocks REAL NOT NULL,
    local_written_blocks REAL NOT NULL,
    temp_read_blocks REAL NOT NULL,
    temp_written_blocks REAL NOT NULL,
    read_ms REAL NOT NULL,
    write_ms REAL NOT NULL,
    temp_read_ms REAL NOT NULL,
    temp_write_ms REAL NOT NULL,
    wal_records REAL NOT NULL,
    wal_page_images REAL NOT NULL,
    wal_bytes REAL NOT NULL,
    jit_functions REAL NOT NULL,
    jit_ms REAL NOT NULL,
    parallel_workers_planned REAL NOT NULL,
    parallel_workers_launched REAL NOT NULL
);
CREATE INDEX baseline_entry_source ON baseline_entry (source_id);

-- When a source was watched, and what happened to its counters meanwhile. A row has the length of its level at most,
-- unless it was recorded as one longer interval.
CREATE TABLE coverage (
    source_id INTEGER NOT NULL REFERENCES source,
    level INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    recordings INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    resets INTEGER NOT NULL,
    evictions INTEGER NOT NULL,
    vanished INTEGER NOT NULL,
    begun_anew INTEGER NOT NULL,
    PRIMARY KEY (source_id, level, slot)
) WITHOUT ROWID;

CREATE TABLE usage (
    statement_id INTEGER NOT NULL REFERENCES statement,
    level INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    min_seen_ms REAL,
    min_bound_ms REAL NOT NULL,
    max_seen_ms REAL,
    max_bound_ms REAL NOT NULL,
    calls REAL NOT NULL,
    plans REAL NOT NULL,
    plan_ms REAL NOT NULL,
    exec_ms REAL NOT NULL,
    exec_ms_squares REAL NOT NULL,
    rows REAL NOT NULL,
    shared_hit_blocks REAL NOT NULL,
    shared_read_blocks REAL NOT NULL,
    shared_dirtied_blocks REAL NOT NULL,
    shared_written_blocks REAL NOT NULL,
    local_hit_blocks REAL NOT NULL,
    local_read_blocks REAL NOT NULL,
    local_dirtied_blocks REAL NOT NULL,
    local_written_blocks REAL NOT NULL,
    temp_read_blocks REAL NOT NULL,
    temp_written_blocks REAL NOT NULL,
    read_ms REAL NOT NULL,
    write_ms REAL NOT NULL,
    temp_read_ms REAL NOT NULL,
    temp_write_ms REAL NOT NULL,
    wal_records REAL NOT NULL,
    wal_page_images REAL NOT NULL,
    wal_bytes REAL NOT NULL,
    jit_functions REAL NOT NULL,
    jit_ms REAL NOT NULL,
    parallel_workers_planned REAL NOT NULL,
    parallel_workers_launched REAL NOT NULL,
    PRIMARY KEY (statement_id, level, slot)
) WITHOUT ROWID;
CREATE INDEX usage_slot ON usage (level, slot);
