"""What the daemon must not forget: its jobs, its tokens, who visits and who did what.

A job goes one way: queued, running, ended; back only to be resumed in the run file that it has.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from soak.core.errors import SoakError
from soak.daemon.job import UPLOADED, Job, JobState, Process, Request
from soak.daemon.statefile import opened

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
        self._db = opened(path)

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

    def last_judged(self, limit: int) -> list[Job]:
        """The last run of each scenario that ended with a verdict, newest first; without what callers brought along.

        One that could not begin says nothing of the target: what was held before it is held still. What callers bring
        could have the name of a scenario that somebody watches, or any number of names.
        """
        judged = f"verdict IS NOT NULL AND substr(scenario, 1, {len(UPLOADED)}) != '{UPLOADED}'"  # as its index has it
        return self._jobs(
            f"id IN (SELECT max(id) FROM job WHERE {judged} GROUP BY name) ORDER BY id DESC LIMIT ?", limit
        )

    def last_asked(self, by: str, key: str) -> Job | None:
        """The newest job that was asked for with a request key that begins so."""
        begins = "asked_by = ? AND substr(request_key, 1, length(?)) = ? ORDER BY id DESC LIMIT 1"
        return next(iter(self._jobs(begins, by, key, key)), None)

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
