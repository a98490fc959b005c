"""The file of the daemon's state: its tables, who opens it, and who has it for itself.

Every change is one transaction that is on the disk before it is acknowledged (WAL, synchronous=FULL), so that the file
is whole whenever the daemon is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from soak.core.errors import SoakError

APPLICATION_ID = 0x534F4144  # "SOAD" in ASCII: neither a run file nor any SQLite file is taken for it
MIGRATIONS = (
    """
    CREATE TABLE job (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'ended')),
        scenario TEXT NOT NULL, name TEXT NOT NULL, targets TEXT NOT NULL,
        asked_by TEXT NOT NULL, priority INTEGER NOT NULL, request_key TEXT, asked_at REAL NOT NULL,
        started_at REAL, ended_at REAL, run_file TEXT,
        boot TEXT, pid INTEGER, process_started INTEGER, stop_at REAL,
        verdict TEXT, exit_code INTEGER, reason TEXT,
        pinned INTEGER NOT NULL DEFAULT 0, baseline INTEGER REFERENCES job (id),
        UNIQUE (asked_by, request_key)
    );
    CREATE INDEX job_state ON job (state, id);
    CREATE INDEX job_name ON job (name, id);
    CREATE TABLE token (
        name TEXT PRIMARY KEY, role TEXT NOT NULL CHECK (role IN ('read', 'run', 'admin')),
        digest BLOB NOT NULL UNIQUE, made_at REAL NOT NULL
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL, who TEXT NOT NULL, address TEXT NOT NULL,
        action TEXT NOT NULL, job INTEGER, detail TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE job ADD COLUMN against TEXT;
    ALTER TABLE job ADD COLUMN load TEXT;
    CREATE INDEX job_passed ON job (name, load, id) WHERE verdict = 'pass';
    CREATE TABLE schedule (name TEXT PRIMARY KEY, rule TEXT NOT NULL, seen_at REAL NOT NULL);
    """,
    """
    ALTER TABLE job ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE job ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;
    """,
    """
    CREATE TABLE visit (digest BLOB PRIMARY KEY, token BLOB NOT NULL, until REAL NOT NULL);
    """,
    """
    CREATE INDEX job_judged ON job (name, id) WHERE verdict IS NOT NULL AND substr(scenario, 1, 7) != 'sha256:';
    """,
)
"""Each brings a state of the version before it one further; what is here is never changed, only added to."""


def opened(path: Path, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """The state in a file, which is made when it is not there and brought to the last version. Raises SoakError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # the log beside it gets the same mode
        db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        version = db.execute("PRAGMA user_version").fetchone()[0]
        application = db.execute("PRAGMA application_id").fetchone()[0]
        filled = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application not in (0, APPLICATION_ID) or (application == 0 and filled):
            raise SoakError(f"{path}: some other SQLite file, not the state of `soak serve`")
        if version > len(migrations):
            raise SoakError(
                f"{path}: written by a newer soak (state {version}, this one reads up to {len(migrations)})"
            )
        if (fault := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise SoakError(f"{path}: the state is damaged ({fault.splitlines()[-1]}); move it away")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        for number, script in enumerate(migrations[version:], version + 1):
            marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number};"
            db.executescript(f"BEGIN IMMEDIATE; {script} {marks} COMMIT;")
    except OSError as error:
        raise SoakError(f"{path}: cannot be written: {error.strerror}") from None
    except sqlite3.DatabaseError as error:
        raise SoakError(f"{path}: cannot be used as the state of `soak serve`: {error}") from None
    return db


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the state for one daemon only: two would start every job twice. Raises SoakError.

    The kernel lets go of it when the daemon ends, however it does.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise SoakError(f"{lock}: cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SoakError(f"{path}: another `soak serve` uses this state") from None
        yield
    finally:
        os.close(handle)
