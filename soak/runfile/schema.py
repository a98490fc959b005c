"""The tables of a run file. Nothing is ever overwritten in them; a hole is an event, not a silence."""

from __future__ import annotations

APPLICATION_ID = 0x534F414B  # "SOAK" in ASCII: lets `file` and `soak runs` tell a run file from any SQLite file
USER_VERSION = 2
"""2 added `waited` and `free_slots` to a tally; files of 1 are read with their defaults."""
SUFFIX = ".soak"

TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE event (
    id INTEGER PRIMARY KEY, t REAL NOT NULL, kind TEXT NOT NULL, side TEXT,
    text TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TABLE interval (
    id INTEGER PRIMARY KEY, side TEXT NOT NULL, worker TEXT NOT NULL, sequence INTEGER NOT NULL,
    start REAL NOT NULL, length REAL NOT NULL, endpoint TEXT NOT NULL, outcome TEXT NOT NULL,
    clock TEXT NOT NULL, clamped INTEGER NOT NULL, histogram BLOB NOT NULL,
    UNIQUE (side, worker, sequence, endpoint, outcome, clock)
);
CREATE INDEX interval_start ON interval (start);
CREATE TABLE tally (
    id INTEGER PRIMARY KEY, side TEXT NOT NULL, worker TEXT NOT NULL, sequence INTEGER NOT NULL,
    start REAL NOT NULL, length REAL NOT NULL, scheduled INTEGER NOT NULL, done INTEGER NOT NULL,
    failed INTEGER NOT NULL, unserved INTEGER NOT NULL, lost INTEGER NOT NULL, no_slot INTEGER NOT NULL,
    lag_p99 REAL NOT NULL, lag_max REAL NOT NULL, wake_p99 REAL NOT NULL, wake_max REAL NOT NULL,
    cpu REAL NOT NULL, rss INTEGER NOT NULL, in_flight INTEGER NOT NULL,
    waited REAL NOT NULL, free_slots INTEGER NOT NULL,
    UNIQUE (side, worker, sequence)
);
CREATE TABLE layout (id INTEGER PRIMARY KEY, source TEXT NOT NULL, metrics TEXT NOT NULL);
CREATE TABLE sample (
    id INTEGER PRIMARY KEY, t REAL NOT NULL, layout INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE rollup (
    id INTEGER PRIMARY KEY, side TEXT NOT NULL, endpoint TEXT NOT NULL, outcome TEXT NOT NULL,
    clock TEXT NOT NULL, start REAL NOT NULL, length REAL NOT NULL, clamped INTEGER NOT NULL,
    histogram BLOB NOT NULL
);
CREATE TABLE artifact (
    id INTEGER PRIMARY KEY, t REAL NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL
);
"""
"""
`sample.data` is one little-endian float64 for each metric of its `layout` (a JSON list of names), so
that three days at one sample a second stay small and are read in one sweep. `interval.histogram` and
`rollup.histogram` are HdrHistogram V2 compressed bytes, in microseconds. Times are seconds since the
start of the run; `meta` holds JSON.
"""
