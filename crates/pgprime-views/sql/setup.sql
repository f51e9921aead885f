-- What pgprime keeps in a database whose materialized views it looks after. Run by `pgprime views apply` where its role
-- may; else by an administrator, who then grants that role:
--   GRANT USAGE ON SCHEMA pgprime TO role;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgprime TO role;
--   GRANT USAGE, CREATE ON SCHEMA pgprime_build TO role;
CREATE SCHEMA IF NOT EXISTS pgprime;
-- Where changed definitions are built before they are swapped in; empty between.
CREATE SCHEMA IF NOT EXISTS pgprime_build;

CREATE TABLE IF NOT EXISTS pgprime.view_states (
    view         text PRIMARY KEY,
    view_oid     oid NOT NULL,
    -- Set while a refresh is under way; left behind by one that was killed.
    attempt_at   timestamptz,
    refreshed_at timestamptz,
    unchanged_at timestamptz,
    duration_ms  double precision,
    failures     integer NOT NULL DEFAULT 0,
    failed_at    timestamptz,
    error        text,
    -- What the statistics said of the tables below the view before its last refresh.
    base         jsonb,
    refreshes    bigint NOT NULL DEFAULT 0,
    skips        bigint NOT NULL DEFAULT 0,
    spent_ms     double precision NOT NULL DEFAULT 0,
    -- Scans of the view when counting began, and those by refreshes since.
    scans_first  bigint NOT NULL DEFAULT 0,
    scans_own    bigint NOT NULL DEFAULT 0
);

CREATE TABLE IF NOT EXISTS pgprime.view_refreshes (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view          text NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    ok            boolean NOT NULL,
    reason        text NOT NULL,
    is_concurrent boolean NOT NULL,
    error         text,
    view_rows     bigint,
    bytes         bigint,
    rows_changed  bigint,
    base_changes  bigint
);

CREATE INDEX IF NOT EXISTS view_refreshes_view_index ON pgprime.view_refreshes (view, id);
