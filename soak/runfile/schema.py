"""The tables of a run file. No measurement is ever overwritten in them; a hole is an event, not a silence."""

from __future__ import annotations

APPLICATION_ID = 0x534F414B  # "SOAK" in ASCII: lets `file` and `soak runs` tell a run file from any SQLite file
USER_VERSION = 3
"""2 added `waited` and `free_slots` to a tally; files of 1 are read with their defaults. 3 packs what is old
(`packed_window`, `packed_samples`); before, merged windows were kept in a table `rollup`, a row for each
histogram, beside all intervals."""
SUFFIX = ".soak"
STANDING = "standing"
"""The fact in `meta` that changes while a run goes on: how it stood at the last look. Lists do without it."""

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
CREATE TABLE packed_window (
    id INTEGER PRIMARY KEY, side TEXT NOT NULL, start REAL NOT NULL, length REAL NOT NULL,
    parts TEXT NOT NULL, histograms BLOB NOT NULL
);
CREATE TABLE packed_samples (
    id INTEGER PRIMARY KEY, layout INTEGER NOT NULL, count INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE TABLE artifact (
    id INTEGER PRIMARY KEY, t REAL NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL
);
"""
"""
`sample.data` is one little-endian float64 for each metric of its `layout` (a JSON list of names).
`interval.histogram` is an HdrHistogram V2 payload (its specification's zlib stream), in microseconds. Times
are seconds since the start of the run; `meta` holds JSON.

What is old is packed, and leaves `interval` and `sample`. `packed_window.histograms` is a bzip2 stream of HdrHistogram
V2 payloads, one after the other, as `parts` lists them: endpoint, outcome, clock, how many were
clamped, bytes. `packed_samples.data` is a zlib stream of a table of float64, a column for the times and one for
each metric of the layout; of each column first all lowest bytes, then all second ones, and so on.
"""
