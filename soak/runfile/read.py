"""Reading a run file: live, finished, or torn; whatever can be read is read.

A file that was cut off (a full disk, a copy of half a file) is read table by table up to the first
broken page; what is missing then shows as a `torn` event, so that the judge fails closed.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from soak.core.errors import RunFileError
from soak.core.histogram import Histogram
from soak.core.records import (
    Event,
    Phase,
    Recording,
    Series,
    SideRecording,
    Tally,
    Window,
    WindowKey,
)
from soak.core.scenario import Scenario
from soak.runfile.rollup import Floats, unpack_samples, unpack_window
from soak.runfile.schema import APPLICATION_ID, STANDING, USER_VERSION

_HISTOGRAM_COLUMNS = "side, endpoint, outcome, clock, start, length, clamped, histogram"


def read(path: Path) -> Recording:
    """The run in `path`. Raises RunFileError when it is no run file or not even its head can be read."""
    with contextlib.closing(open_file(path)) as db:
        return Reader(path, db).recording()


def read_meta(path: Path) -> dict[str, Any]:
    """Only the facts about the run in `path`: quick, for lists. Raises RunFileError."""
    with contextlib.closing(open_file(path)) as db:
        return _meta(path, db)


def read_standing(path: Path) -> tuple[float, dict[str, Any]] | None:
    """How a run stood at its last look or its end: when (s since 1970), and a `soak.verdict/1` document; None before.

    Raises RunFileError.
    """
    with contextlib.closing(open_file(path)) as db:
        try:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (STANDING,)).fetchone()
            found = json.loads(row[0]) if row is not None else None
        except (sqlite3.DatabaseError, ValueError) as error:
            raise RunFileError(f"{path}: the head of the run file is damaged: {error}") from error
    return (float(found["judged"]), found["verdict"]) if found is not None else None


def read_artifacts(path: Path, kind: str) -> dict[str, bytes]:
    """The files kept with the run, of one kind, by name."""
    with contextlib.closing(open_file(path)) as db:
        reader = Reader(path, db)
        return dict(reader.rows(f"SELECT name, data FROM artifact WHERE kind = '{kind}' ORDER BY id"))


@dataclass(frozen=True, slots=True)
class Recent:
    """The last stretch of a live run, of one side: merged latencies from the intended start, and counts."""

    latency: Histogram
    done: int
    failed: int
    seconds: float


def read_recent(path: Path, side: str, since: float) -> Recent:
    """What was reported by `side` from `since` (s) on; cheap, for a live display."""
    with contextlib.closing(open_file(path)) as db:
        merged = Histogram.merge(
            Histogram.decode(blob)
            for (blob,) in db.execute(
                "SELECT histogram FROM interval WHERE start >= ? AND side = ? AND outcome = 'ok' AND clock = 'latency'",
                (since, side),
            )
        )
        done, failed, first, last = db.execute(
            "SELECT sum(done), sum(failed + unserved), min(start), max(start + length) FROM tally "
            "WHERE start >= ? AND side = ?",
            (since, side),
        ).fetchone()
    return Recent(merged, done or 0, failed or 0, (last - first) if last is not None else 0.0)


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to a run file, to read from. Raises RunFileError when it is none."""
    if not path.is_file():
        raise RunFileError(f"{path}: no such run file")
    for mode in ("mode=ro", "mode=rw", "immutable=1"):  # a log left by a killed run may need rw to be read
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=30)
        try:
            db.execute("PRAGMA writable_schema = ON")  # SQLite then opens a file shorter than its header says
            application = db.execute("PRAGMA application_id").fetchone()[0]
            db.execute("SELECT key FROM meta LIMIT 1").fetchone()
        except sqlite3.DatabaseError as error:
            db.close()
            reason = str(error)
            continue
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            reason = "some other SQLite file"
        elif version > USER_VERSION:
            reason = f"written by a newer soak (format {version}, this one reads up to {USER_VERSION})"
        else:
            return db
        db.close()
        break
    raise RunFileError(f"{path}: not a readable run file: {reason}")


def _meta(path: Path, db: sqlite3.Connection) -> dict[str, Any]:
    try:
        rows = db.execute("SELECT key, value FROM meta WHERE key != ?", (STANDING,))
        return {key: json.loads(value) for key, value in rows}
    except (sqlite3.DatabaseError, ValueError) as error:
        raise RunFileError(f"{path}: the head of the run file is damaged: {error}") from error


class Reader:
    """One pass over an open run file; remembers where it was torn."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self.db = db
        self.version = db.execute("PRAGMA user_version").fetchone()[0]
        self.torn = _missing(path)
        db.execute("BEGIN")  # one moment for all tables: a live run rolls up between two queries

    def rows(self, query: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, up to the first page that cannot be read.

        No column asked for is ever NULL: one that is was read from beyond the tear, as zeros.
        """
        table = query.partition(" FROM ")[2].split()[0]
        try:
            for row in self.db.execute(query):
                if None in row:
                    self.torn.append(f"{table}: rows beyond the tear")
                    return
                yield row
        except sqlite3.DatabaseError as error:
            self.torn.append(f"{table}: {error}")

    def recording(self) -> Recording:
        """The run as far as it can be read. Raises RunFileError when not even its head can be."""
        meta = _meta(self.path, self.db)
        try:
            scenario = Scenario.model_validate(meta["scenario"])
            run, started = str(meta["run"]), float(meta["started"])
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise RunFileError(f"{self.path}: the head of the run file is damaged: {error}") from error
        events, tallies = self.events(), self.tallies()
        windows = self._windows()
        series = self._series()
        last = [e.t for e in events] + [y.start + y.length for y in tallies]
        last += [float(s.t[-1]) for by_metric in series.values() for s in by_metric.values() if len(s)]
        duration = max(last, default=0.0)
        if self.torn:
            text = "the run file is torn; what follows the tear is lost: " + "; ".join(self.torn[:5])
            events.append(Event(duration, "torn", None, text))
        scheduled = _scheduled(events)
        return Recording(
            run=run,
            scenario=scenario,
            started=started,
            phases=_phases(events),
            duration=duration,
            finished=bool(meta.get("finished")) and not self.torn,
            sides={
                side: SideRecording(
                    windows={k: tuple(v) for k, v in windows.get(side, {}).items()},
                    tallies=tuple(y for y in tallies if y.side == side),
                    series=series.get(side, {}),
                    processes={
                        name.partition("/")[2]: found for name, found in series.items() if name.startswith(side + "/")
                    },
                    scheduled=scheduled.get(side),
                )
                for side in scenario.sides
            },
            host=series.get("host", {}),
            events=tuple(events),
            provenance=meta.get("provenance", {}),
        )

    def events(self) -> list[Event]:
        """All events, in order."""
        return [
            Event(t, kind, side or None, text, json.loads(data))
            for t, kind, side, text, data in self.rows(
                "SELECT t, kind, coalesce(side, ''), text, data FROM event ORDER BY id"
            )
        ]

    def tallies(self) -> list[Tally]:
        """All accounts, in order."""
        return [account(*row[1:]) for row in self.rows("SELECT * FROM tally ORDER BY id")]

    def _windows(self) -> dict[str, dict[WindowKey, list[Window]]]:
        """Packed windows and what is not packed yet, of all workers, merged by their start."""
        parts: dict[tuple[str, WindowKey, float], list[Window]] = {}
        for side, key, window in self._pieces():
            parts.setdefault((side, key, window.start), []).append(window)
        found: dict[str, dict[WindowKey, list[Window]]] = {}
        for (side, key, start), ws in sorted(parts.items()):
            whole = Window(start, max(w.length for w in ws), Histogram.merge(w.histogram for w in ws))
            found.setdefault(side, {}).setdefault(key, []).append(whole)
        return found

    def _pieces(self) -> Iterator[tuple[str, WindowKey, Window]]:
        rows: list[tuple[Any, ...]] = []
        first = 0.0
        if self.version < 3:
            rows += self.rows(f"SELECT {_HISTOGRAM_COLUMNS} FROM rollup ORDER BY id")
            first = max((row[4] + row[5] for row in rows), default=0.0)
        else:
            yield from self.packed()
        rows += self.rows(f"SELECT {_HISTOGRAM_COLUMNS} FROM interval WHERE start >= {first!r} ORDER BY id")
        for side, endpoint, outcome, clock, start, length, clamped, blob in rows:
            with self._noting(f"a window at {start:g} s"):
                yield side, (endpoint, outcome, clock), Window(start, length, Histogram.decode(blob, clamped))

    def packed(self, after: int = 0) -> Iterator[tuple[str, WindowKey, Window]]:
        """What is packed in rows later than `after`: side, key and window."""
        for _, side, start, length, parts, blob in self.rows(
            f"SELECT id, side, start, length, parts, histograms FROM packed_window WHERE id > {after} ORDER BY id"
        ):
            with self._noting(f"a window at {start:g} s"):
                for endpoint, outcome, clock, histogram in unpack_window(parts, blob):
                    yield side, (endpoint, outcome, clock), Window(start, length, histogram)  # type: ignore[misc]

    @contextlib.contextmanager
    def _noting(self, what: str) -> Iterator[None]:
        """Note what cannot be decoded, and go on: its overflow page lay beyond the tear and reads as zeros."""
        try:
            yield
        except ValueError as error:
            self.torn.append(f"{what}: {error}")

    def _series(self) -> dict[str, dict[str, Series]]:
        layouts = {
            number: (source, json.loads(metrics))
            for number, source, metrics in self.rows("SELECT id, source, metrics FROM layout ORDER BY id")
        }
        parts: dict[str, dict[str, list[Series]]] = {}
        for number, table in self.tables({number: len(metrics) for number, (_, metrics) in layouts.items()}):
            source, metrics = layouts[number]
            for row, metric in enumerate(metrics, 1):  # all metrics of a layout share its times
                parts.setdefault(source, {}).setdefault(metric, []).append(Series(table[0], table[row]))
        return {
            source: {metric: _joined(pieces) for metric, pieces in by_metric.items()}
            for source, by_metric in parts.items()
        }

    def tables(self, widths: dict[int, int]) -> Iterator[tuple[int, Floats]]:
        """Of each layout all samples by time: a row of times, and one for each of its metrics.

        They are written into one table that is made beforehand: a day of a busy host is held once, not twice.
        """
        packed: dict[int, int] = {}
        if self.version >= 3:
            for layout, count in self.rows("SELECT layout, count FROM packed_samples ORDER BY id"):
                packed[layout] = packed.get(layout, 0) + count
        fresh = self.fresh()
        tables = {
            number: np.empty((1 + width, packed.get(number, 0) + (fresh[number].shape[1] if number in fresh else 0)))
            for number, width in widths.items()
        }
        filled = dict.fromkeys(widths, 0)
        if self.version >= 3:
            for layout, count, data in self.rows("SELECT layout, count, data FROM packed_samples ORDER BY id"):
                with self._noting("samples"):
                    t, values = unpack_samples(count, data)
                    if layout in tables and filled[layout] + count <= tables[layout].shape[1]:
                        at = slice(filled[layout], filled[layout] + count)
                        tables[layout][0, at], tables[layout][1:, at] = t, values.T
                        filled[layout] = at.stop
        for number, table in tables.items():
            whole = filled[number]
            if number in fresh:
                whole += fresh[number].shape[1]
                table[:, filled[number] : whole] = fresh[number]
            if whole:
                yield number, _ascending(table[:, :whole])

    def fresh(self) -> dict[int, Floats]:
        """The samples that are not packed yet, as a table of each layout."""
        times: dict[int, list[float]] = {}
        blobs: dict[int, list[bytes]] = {}
        for t, layout, data in self.rows("SELECT t, layout, data FROM sample ORDER BY id"):
            times.setdefault(layout, []).append(t)
            blobs.setdefault(layout, []).append(data)
        return {
            layout: np.vstack([t, np.frombuffer(b"".join(blobs[layout]), "<f8").reshape(len(t), -1).T])
            for layout, t in times.items()
        }


def account(side: str, worker: str, *rest: Any) -> Tally:
    """An account as it is kept: the names of side and worker, which stand in each, are held once."""
    return Tally(sys.intern(side), sys.intern(worker), *rest)


def _missing(path: Path) -> list[str]:
    """What the file lacks by its own head (https://www.sqlite.org/fileformat.html, section 1.3).

    Beside a write-ahead log the head may be ahead of the file: the log holds the rest.
    """
    if path.with_name(path.name + "-wal").exists():
        return []
    with path.open("rb") as file:
        head = file.read(100)
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    short = (65536 if page == 1 else page) * pages - path.stat().st_size
    return [f"{short} bytes are missing at its end"] if short > 0 else []


def _ascending(table: Floats) -> Floats:
    return table[:, np.argsort(table[0], kind="stable")] if np.any(np.diff(table[0]) < 0) else table


def _joined(pieces: list[Series]) -> Series:
    """One series of what several layouts have of it."""
    if len(pieces) == 1:
        return pieces[0]
    t = np.concatenate([p.t for p in pieces])
    order = np.argsort(t, kind="stable")
    return Series(t[order], np.concatenate([p.v for p in pieces])[order])


def _phases(events: list[Event]) -> tuple[Phase, ...]:
    """Phases from their events: each begins with its own and ends with the next one, or `end`.

    What was begun after the moment from which a resumed run goes on is undone: a drain, for the load was not over. One
    that goes on is one phase, with the gap in it.
    """
    marks: list[tuple[str, float]] = []
    for e in events:
        if e.kind == "phase" and (not marks or marks[-1][0] != e.data.get("name")):
            marks.append((str(e.data.get("name")), e.t))
        elif e.kind == "resumed":
            marks = [mark for mark in marks if mark[1] < float(str(e.data["from"]))]
    phases = []
    for i, (name, start) in enumerate(marks):
        if name != "end":
            end = marks[i + 1][1] if i + 1 < len(marks) else None
            phases.append(Phase(name, start, end))  # type: ignore[arg-type]
    return tuple(phases)


def _scheduled(events: list[Event]) -> dict[str | None, int]:
    """Arrivals of each side's schedule, by its accounts: one for each time that the run was begun or resumed."""
    found: dict[str | None, int] = {}
    for e in events:
        arrivals = e.data.get("arrivals")
        if e.kind == "schedule" and isinstance(arrivals, (int, float)):
            found[e.side] = found.get(e.side, 0) + int(arrivals)
    return found
