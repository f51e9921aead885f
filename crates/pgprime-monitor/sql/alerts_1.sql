-- Where alerts stand and what channels still have to hear, by key; and alerts that were.

CREATE TABLE state (
    key TEXT PRIMARY KEY,
    json TEXT NOT NULL
) WITHOUT ROWID;

-- Microseconds.
CREATE TABLE alert (
    id TEXT PRIMARY KEY,
    since INTEGER NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX alert_since ON alert (since);
