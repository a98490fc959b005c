"""What the daemon must not forget: its jobs, its tokens and who did what. One SQLite file.

Every change is one transaction that is on the disk before it is acknowledged (WAL, synchronous=FULL), so that the file
is whole whenever the daemon is killed. A job goes one way: queued, running, ended; back only to be
resumed in the run file that it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from soak.core.errors import SoakError
from soak.daemon.job import UPLOADED, Job, JobState, Process, Request

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
)
"""Each brings a state of the version before it one further; what is here is never changed, only added to."""

AUDIT_KEPT = 100_000


class SameKeyError(SoakError):
    """A request key was used again for something else."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who may come in: the digest of a secret, and what it allows."""

    name: str
    role: str
    digest: bytes
    made_at: float


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the audit log."""

    id: int
    at: float
    who: str
    address: str
    action: str
    job: int | None
    detail: str


class State:
    """The state in a file; made when it is not there. Used by one thread at a time. Raises SoakError."""

    def __init__(self, path: Path) -> None:
        self._db = _open(path)

    def close(self) -> None:
        """Leave one plain file behind."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # jobs

    def add(self, request: Request, now: float) -> tuple[Job, bool]:
        """Queue what was asked for: the job, and whether it is new. Raises SameKeyError."""
        with self._transaction():
            if request.key is not None:
                before = self.asked(request.asked_by, request.key)
                if before is not None and _wish(before.request) != _wish(request):
                    raise SameKeyError(f"the request key {request.key!r} was used for another request")
                if before is not None:
                    return before, False
            added = self._db.execute(
                "INSERT INTO job (scenario, name, targets, asked_by, priority, request_key, against, "
                "asked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (request.scenario, request.name, json.dumps(request.targets), request.asked_by, request.priority,
                 request.key, request.against, now),
            )  # fmt: skip
            return self._jobs("id = ?", added.lastrowid)[0], True

    def job(self, number: int) -> Job | None:
        """One job."""
        return next(iter(self._jobs("id = ?", number)), None)

    def asked(self, by: str, key: str) -> Job | None:
        """The job that a request with this key asked for before."""
        return next(iter(self._jobs("asked_by = ? AND request_key = ?", by, key)), None)

    def open_jobs(self) -> list[Job]:
        """Whatever has not ended, oldest first."""
        return self._jobs("state IN ('queued', 'running') ORDER BY id")

    def page(
        self, limit: int, before: int | None = None, state: JobState | None = None, name: str | None = None
    ) -> list[Job]:
        """At most `limit` jobs with a smaller number than `before`, newest first."""
        where, values = ["1"], list[Any]()
        for clause, value in (("id < ?", before), ("state = ?", state), ("name = ?", name)):
            if value is not None:
                where.append(clause)
                values.append(value)
        return self._jobs(f"{' AND '.join(where)} ORDER BY id DESC LIMIT ?", *values, limit)

    def retarget(self, number: int, targets: tuple[str, ...]) -> bool:
        """A queued job loads something else than when it was asked for."""
        return self._change(number, "queued", targets=json.dumps(targets))

    def begin(
        self, number: int, run_file: Path, now: float, load: str | None = None, baseline: int | None = None
    ) -> bool:
        """A queued job is about to be started; said before it is, so that no kill leaves a run that nobody knows of."""
        return self._change(number, "queued", state="running", started_at=now, run_file=str(run_file), load=load,
                            baseline=baseline)  # fmt: skip

    def note_process(self, number: int, process: Process) -> bool:
        """Which process does it."""
        return self._change(number, "running", boot=process.boot, pid=process.pid, process_started=process.started)

    def requeue(self, number: int) -> bool:
        """It was about to be started and never was."""
        return self._change(number, "running", state="queued", started_at=None, run_file=None, load=None,
                            baseline=None)  # fmt: skip

    def cut_off(self, number: int, why: str) -> bool:
        """Its process is gone before its time: it is to go on in its run file."""
        return self._change(number, "running", state="queued", boot=None, pid=None, process_started=None, reason=why)

    def take_up(self, number: int, why: str) -> bool:
        """One that ended before its time is to go on after all."""
        return self._change(number, "ended", state="queued", boot=None, pid=None, process_started=None, stop_at=None,
                            ended_at=None, verdict=None, exit_code=None, resumable=0, reason=why)  # fmt: skip

    def begin_again(self, number: int) -> bool:
        """It is about to go on in its run file."""
        changed = self._db.execute(
            "UPDATE job SET state = 'running', resumed = resumed + 1, reason = NULL WHERE id = ? AND state = 'queued'",
            (number,),
        )
        return changed.rowcount > 0

    def note_stop(self, number: int, now: float) -> bool:
        """Somebody asked for its end; False when somebody did before."""
        changed = self._db.execute(
            "UPDATE job SET stop_at = ? WHERE id = ? AND state != 'ended' AND stop_at IS NULL", (now, number)
        )
        return changed.rowcount > 0

    def end(
        self, number: int, verdict: str | None, exit_code: int, reason: str, now: float, *, resumable: bool = False
    ) -> bool:
        """It is over; False when it was before."""
        changed = self._db.execute(
            "UPDATE job SET state = 'ended', verdict = ?, exit_code = ?, reason = ?, ended_at = ?, resumable = ? "
            "WHERE id = ? AND state != 'ended'",
            (verdict, exit_code, reason, now, int(resumable), number),
        )
        return changed.rowcount > 0

    def pin(self, number: int, pinned: bool) -> None:
        """Keep its run file whatever retention says, or no longer."""
        self._db.execute("UPDATE job SET pinned = ? WHERE id = ?", (int(pinned), number))

    def passed(self, request: Request, load: str) -> list[Job]:
        """The last runs of its scenario under this load that passed, newest first.

        What callers bring along has only its own: else one could make the run that the team's are compared with.
        """
        same = ("scenario = ?", request.scenario) if request.uploaded else ("scenario NOT LIKE ?", f"{UPLOADED}%")
        return self._jobs(
            f"verdict = 'pass' AND name = ? AND load = ? AND {same[0]} ORDER BY id DESC LIMIT 20",
            request.name, load, same[1],
        )  # fmt: skip

    def with_files(self) -> list[Job]:
        """Whatever has a run file, oldest first."""
        return self._jobs("run_file IS NOT NULL ORDER BY id")

    def forget_file(self, number: int) -> None:
        """Its run file is no longer there."""
        self._db.execute("UPDATE job SET run_file = NULL, resumable = 0 WHERE id = ?", (number,))

    def seen_since(self, name: str, rule: str, now: float) -> float:
        """Since when a schedule is known as it is: what was due before is not made up for."""
        self._db.execute(
            "INSERT INTO schedule VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE "
            "SET rule = excluded.rule, seen_at = excluded.seen_at "
            "WHERE rule != excluded.rule OR seen_at > excluded.seen_at",  # a clock that was ahead was set right
            (name, rule, now),
        )
        since: float = self._db.execute("SELECT seen_at FROM schedule WHERE name = ?", (name,)).fetchone()[0]
        return since

    # tokens

    def tokens(self) -> list[Token]:
        """All of them, by name."""
        return [Token(*row) for row in self._db.execute("SELECT name, role, digest, made_at FROM token ORDER BY name")]

    def add_token(self, token: Token) -> None:
        """Let one more in. Raises SoakError when the name is taken."""
        try:
            self._db.execute("INSERT INTO token VALUES (?, ?, ?, ?)",
                             (token.name, token.role, token.digest, token.made_at))  # fmt: skip
        except sqlite3.IntegrityError:
            raise SoakError(f"there is a token {token.name!r} already: remove it first") from None

    def remove_token(self, name: str) -> bool:
        """Let one no longer in; False when there is none of that name."""
        return self._db.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount > 0

    # visits: a browser that showed a token

    def add_visit(self, digest: bytes, token: bytes, until: float, now: float) -> None:
        """Let a browser in without its token (a digest) until then; those that are over are forgotten."""
        self._db.execute("DELETE FROM visit WHERE until <= ?", (now,))
        self._db.execute("INSERT INTO visit VALUES (?, ?, ?)", (digest, token, until))

    def visit(self, digest: bytes, now: float) -> Token | None:
        """The token that a browser showed, while the visit lasts and the token is there."""
        row = self._db.execute(
            "SELECT t.name, t.role, t.digest, t.made_at FROM visit v JOIN token t ON t.digest = v.token "
            "WHERE v.digest = ? AND v.until > ?",
            (digest, now),
        ).fetchone()
        return Token(*row) if row is not None else None

    def end_visit(self, digest: bytes) -> None:
        """It is over."""
        self._db.execute("DELETE FROM visit WHERE digest = ?", (digest,))

    # audit

    def note(self, now: float, who: str, address: str, action: str, job: int | None, detail: str) -> None:
        """Write down who did what; the newest AUDIT_KEPT lines are kept."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO audit (at, who, address, action, job, detail) VALUES (?, ?, ?, ?, ?, ?)",
                (now, who, address, action, job, detail),
            )
            self._db.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (AUDIT_KEPT,))

    def deeds(self, limit: int, before: int | None = None) -> list[Deed]:
        """At most `limit` lines of the audit log, newest first."""
        rows = self._db.execute(
            "SELECT id, at, who, address, action, job, detail FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?",
            (before if before is not None else 2**62, limit),
        )
        return [Deed(*row) for row in rows]

    def _change(self, number: int, expected: JobState, **values: Any) -> bool:
        columns = ", ".join(f"{name} = ?" for name in values)
        changed = self._db.execute(
            f"UPDATE job SET {columns} WHERE id = ? AND state = ?", (*values.values(), number, expected)
        )
        return changed.rowcount > 0

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        return [_job(dict(row)) for row in self._db.execute(f"SELECT * FROM job WHERE {where}", values)]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


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
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SoakError(f"{path}: another `soak serve` uses this state") from None
    finally:
        os.close(handle)


def _open(path: Path, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
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


def _wish(request: Request) -> tuple[str, int, str | None]:
    """What was asked for; what the scenario holds may have changed since."""
    return request.scenario, request.priority, request.against


def _job(row: dict[str, Any]) -> Job:
    request = Request(
        scenario=row["scenario"],
        name=row["name"],
        targets=tuple(json.loads(row["targets"])),
        asked_by=row["asked_by"],
        priority=row["priority"],
        key=row["request_key"],
        against=row["against"],
    )
    known = row["pid"] is not None
    return Job(
        id=row["id"],
        state=row["state"],
        request=request,
        asked_at=row["asked_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        run_file=Path(row["run_file"]) if row["run_file"] else None,
        process=Process(row["boot"], row["pid"], row["process_started"]) if known else None,
        stop_at=row["stop_at"],
        verdict=row["verdict"],
        exit_code=row["exit_code"],
        reason=row["reason"],
        pinned=bool(row["pinned"]),
        load=row["load"],
        baseline=row["baseline"],
        resumed=row["resumed"],
        resumable=bool(row["resumable"]),
    )
