-- Series of figures. `recent` has a row for each round; a sealed hour becomes one row for each series and tier.

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    unit TEXT NOT NULL,
    family TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL
);

-- Seconds; pairs of series and value.
CREATE TABLE recent (
    at INTEGER PRIMARY KEY,
    figures BLOB NOT NULL
);

-- The key holds tier, hour or day, and series: a series' chunks are found by arithmetic, a tier's oldest come first.
CREATE TABLE chunk (
    key INTEGER PRIMARY KEY,
    points BLOB NOT NULL
);
