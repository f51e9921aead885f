-- Any other number over time, by its name and labels.

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    labels TEXT NOT NULL,
    UNIQUE (name, labels)
);

CREATE TABLE point (
    series_id INTEGER NOT NULL REFERENCES series,
    level INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    end_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    sum REAL NOT NULL,
    min REAL NOT NULL,
    max REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (series_id, level, slot)
) WITHOUT ROWID;
CREATE INDEX point_slot ON point (level, slot);
