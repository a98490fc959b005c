"""Writing a run file: one process creates it, the load master appends its intervals beside it.

WAL mode lets the two write and anyone read at the same time. A commit is acknowledged only once it is
in the log, so a process that dies takes nothing with it that it had called written.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any, Self

from soak.core.errors import RunFileError, WriteError
from soak.core.records import Event, Interval, Sample, Tally
from soak.runfile.rollup import pack_intervals, pack_samples
from soak.runfile.schema import APPLICATION_ID, TABLES, USER_VERSION

_BUSY_S = 30.0
_READERS_S = 15.0
"""How long readers are waited for at the end: a run of days is read in seconds."""
_LOOK_AGAIN_S = 0.05
_TALLY = f"INSERT OR IGNORE INTO tally VALUES (NULL{', ?' * 20})"
_INTERVAL = f"INSERT OR IGNORE INTO interval VALUES (NULL{', ?' * 10})"
_WINDOW = "INSERT INTO packed_window VALUES (NULL, ?, ?, ?, ?, ?)"
_SAMPLES = "INSERT INTO packed_samples VALUES (NULL, ?, ?, ?)"


class RunWriter:
    """An open run file. Use `create` for a new run, `resume` for one to go on with, `attach` beside either.

    Whoever creates or resumes a run owns its file until it is closed: the kernel knows, and forgets when it dies.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, owned: IO[bytes] | None = None) -> None:
        self.path = path
        self._db = connection
        self._owned = owned
        self._layouts: dict[tuple[str, tuple[str, ...]], int] = {}

    @classmethod
    def create(cls, path: Path, meta: Mapping[str, Any]) -> Self:
        """Make a new run file with its `meta` entries. Raises RunFileError when it exists already.

        It is made under another name and put in place when its head is whole: who is killed meanwhile leaves none.
        """
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            owned = draft.open("wb")
            fcntl.flock(owned, fcntl.LOCK_EX)
            with _writing(path), contextlib.closing(_connect(draft)) as db:
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {USER_VERSION}")
                db.executescript(f"BEGIN; {TABLES} COMMIT;")
                with db:
                    db.executemany("INSERT INTO meta VALUES (?, ?)", [(k, json.dumps(v)) for k, v in meta.items()])
            path.open("xb").close()  # the name is ours now, and so is what is put there
            _unlink_logs(path)  # of a file that was taken away: SQLite would play them back into this one
            draft.replace(path)
        except FileExistsError:
            raise RunFileError(f"{path}: exists already; a run is never written over") from None
        except OSError as error:
            raise RunFileError(f"{path}: cannot be written: {error.strerror}") from error
        finally:
            draft.unlink(missing_ok=True)
        writer = cls(path, _connect(path), owned)
        writer.live()
        return writer

    @classmethod
    def resume(cls, path: Path) -> Self:
        """Own a run file that its run has left, to go on with it. Raises RunFileError while that run goes on."""
        owned = path.open("rb")
        try:
            # flock(2), of which SQLite knows nothing: its own locks are those of fcntl(2), on other bytes
            fcntl.flock(owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owned.close()
            raise RunFileError(f"{path}: this run still goes on: its `soak run` lives") from None
        db = _connect(path)
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != USER_VERSION:
            db.close()
            owned.close()
            raise RunFileError(f"{path}: written by another soak (format {version}, this one writes {USER_VERSION})")
        writer = cls(path, db, owned)
        for number, source, names in db.execute("SELECT id, source, metrics FROM layout"):
            writer._layouts[source, tuple(json.loads(names))] = number
        return writer

    def live(self) -> None:
        """Let others write beside this again: a run that had ended keeps its file in one piece."""
        with _writing(self.path):
            self._db.execute("PRAGMA journal_mode = WAL")

    def discard(self) -> None:
        """Take the file away, with its logs: nothing was measured. It is still to be closed."""
        self.path.unlink(missing_ok=True)
        _unlink_logs(self.path)

    def workers(self, side: str) -> set[str]:
        """The names under which a side's workers have reported so far."""
        return {name for (name,) in self._db.execute("SELECT DISTINCT worker FROM tally WHERE side = ?", (side,))}

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Open a run file that exists, to append to it."""
        if not path.is_file():
            raise RunFileError(f"{path}: no such run file")
        return cls(path, _connect(path))

    def set_meta(self, key: str, value: Any) -> None:
        """Note a fact about the run, once; it is JSON inside."""
        with _writing(self.path), self._db:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))

    def add_event(self, event: Event) -> None:
        """Append an event."""
        with _writing(self.path), self._db:
            self._db.execute(
                "INSERT INTO event VALUES (NULL, ?, ?, ?, ?, ?)",
                (event.t, event.kind, event.side, event.text, json.dumps(dict(event.data))),
            )

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Append what the probes saw."""
        with _writing(self.path), self._db:
            for sample in samples:
                if sample.values:
                    names = tuple(sample.values)
                    data = struct.pack(f"<{len(names)}d", *sample.values.values())
                    self._db.execute(
                        "INSERT INTO sample VALUES (NULL, ?, ?, ?)",
                        (sample.t, self._layout(sample.source, names), data),
                    )

    def add_report(self, tally: Tally, intervals: Iterable[Interval]) -> None:
        """Append one worker's report for one stretch of time, whole or not at all.

        A report that was written already (same side, worker and sequence) is ignored: a worker sends
        again until it hears that its report is safe.
        """
        with _writing(self.path), self._db:
            if not self._db.execute(_TALLY, astuple(tally)).rowcount:
                return
            self._db.executemany(
                _INTERVAL,
                (
                    (i.side, i.worker, i.sequence, i.start, i.length, i.endpoint, i.outcome, i.clock,
                     i.histogram.clamped, i.histogram.encode())
                    for i in intervals
                ),
            )  # fmt: skip

    def add_artifact(self, t: float, kind: str, name: str, data: bytes) -> None:
        """Keep a file with the run: a log's end, a memory capture."""
        with _writing(self.path), self._db:
            self._db.execute("INSERT INTO artifact VALUES (NULL, ?, ?, ?, ?)", (t, kind, name, data))

    def roll_up(self, upto: float, window: float) -> None:
        """Pack every whole window that ended before `upto` (s): it takes the place of what it was made of.

        Only one may do so at a time. It can take seconds, in which others write on: what comes in late is packed next.
        """
        end = math.floor(upto / window + 1e-9) * window
        with _writing(self.path):
            intervals, samples = (
                int(self._db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])
                for table in ("interval", "sample")
            )
            packed = pack_intervals(self._db, end, window, intervals), pack_samples(self._db, end, samples)
            with self._db:
                self._db.executemany(_WINDOW, packed[0])
                self._db.executemany(_SAMPLES, packed[1])
                self._db.execute("DELETE FROM interval WHERE start < ? AND id <= ?", (end, intervals))
                self._db.execute("DELETE FROM sample WHERE t < ? AND id <= ?", (end, samples))

    def finish(self) -> None:
        """Fold the log into one plain file and close it.

        SQLite refuses that while anybody else has the file open. Readers are gone in a moment; should one stay, the log
        is left beside the file, and whoever reads that finds the same.
        """
        deadline = monotonic() + _READERS_S
        with _writing(self.path):
            self._db.execute(f"PRAGMA busy_timeout = {1000 * _LOOK_AGAIN_S:.0f}")
            while not self._folded() and monotonic() < deadline:
                sleep(_LOOK_AGAIN_S)
        self.close()

    def _folded(self) -> bool:
        """Whether the log could be folded in: nobody else has the file open."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def close(self) -> None:
        """Close this connection and own the file no longer; it stays live for others."""
        self._db.close()
        if self._owned is not None:
            self._owned.close()

    def _layout(self, source: str, names: tuple[str, ...]) -> int:
        known = self._layouts.get((source, names))
        if known is None:
            cursor = self._db.execute("INSERT INTO layout VALUES (NULL, ?, ?)", (source, json.dumps(names)))
            known = self._layouts[source, names] = cursor.lastrowid or 0
        return known


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Says in plain words that a file cannot be written any more: its disk is full, or gone."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise WriteError(
            f"{path}: cannot be written any more ({error}), so the run ends here; what is in it is whole. "
            f"When that is mended, `soak run --resume {path}` goes on with it"
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    # WAL with NORMAL survives the death of any process; only a power cut can cost the last commits
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA cache_size = -500")  # KiB; appending needs no more, and more fills for hours like a leak
    return db


def _unlink_logs(path: Path) -> None:
    for log in ("-wal", "-shm"):
        path.with_name(path.name + log).unlink(missing_ok=True)
