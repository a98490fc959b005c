"""A table of numbers (CSV, TSV, semicolons) as series: a column each, a row a moment."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from soak.core.errors import SoakError
from soak.core.records import Floats, Series

_TIMES = ("time", "timestamp", "ts", "t", "date", "datetime", "elapsed", "seconds")
"""What a first column is called that tells when, and is no series; seconds may stand behind it, as in `t_s`."""
_ROWS = ("", "index")
"""What one is called that counts rows, and is neither; `""` is what pandas writes over its index."""
_GAPS = ("", "nan", "na", "n/a", "null", "none", "-")
_DELIMITERS = ",;\t|"
_EPOCHS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""A time from the first number on is an epoch in nano-, micro- or milliseconds: by what it is divided."""


@dataclass(frozen=True, slots=True)
class Table:
    """Series by name, in the order of the columns. `timed` says whether times are seconds, or rows counted from 0."""

    series: dict[str, Series]
    timed: bool
    notes: tuple[str, ...]


def from_table(path: Path, columns: Sequence[str] = (), time: str | None = None, every: float | None = None) -> Table:
    """Read a table with a header, or of bare numbers; `-` is standard input.

    `columns` are the ones that are wanted (all of them otherwise), `time` the one that tells when, `every` the
    seconds from row to row where none does. Raises SoakError with file and line.
    """
    rows = _rows(path)
    if not rows:
        raise SoakError(f"{path}: empty")
    number, first = rows[0]
    bare = all(_number(cell) is not None or cell.strip().lower() in _GAPS for cell in first)
    names = [str(i + 1) for i in range(len(first))] if bare else [cell.strip() for cell in first]
    _refuse_doubles(path, number, names)
    body = rows if bare else rows[1:]
    if not body:
        raise SoakError(f"{path}: a header and no rows")
    for line, row in body:
        if len(row) != len(names):
            raise SoakError(f"{path}:{line}: {len(row)} cells, where the first row has {len(names)}")
    clock = _clock(path, names, time, bare)
    if clock is None:
        t = np.arange(float(len(body))) * (every or 1.0)
    else:
        t = _moments(path, names[clock], [(line, row[clock]) for line, row in body])
    series, notes = {}, []
    for wanted in columns:
        if wanted not in names or names.index(wanted) == clock:
            known = ", ".join(n for i, n in enumerate(names) if i != clock)
            raise SoakError(f"{path}: no column {wanted!r}; there are {known[:200]}")
    for i, name in enumerate(names):
        if i == clock or (columns and name not in columns):
            continue
        values = [_value(row[i]) for _, row in body]
        bad = next((k for k, value in enumerate(values) if value is None), None)
        if bad is not None:
            line, row = body[bad]
            if name in columns or any(value is not None and math.isfinite(value) for value in values):
                raise SoakError(f"{path}:{line}: column {name!r}: {row[i].strip()[:40]!r} is no number")
            notes.append(f"column {name!r} holds no numbers and is left out")
            continue
        series[name] = Series(t, np.array(values, dtype=np.float64))
    if not series:
        raise SoakError(f"{path}: no column of numbers")
    timed = every is not None or (clock is not None and (time is not None or names[clock].lower() not in _ROWS))
    return Table(series, timed, tuple(notes))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, with the line each ends in."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SoakError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SoakError(f"{path}: not a text in UTF-8") from None
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(_DELIMITERS, key=head.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise SoakError(f"{path}:{reader.line_num}: {error}") from None


def _refuse_doubles(path: Path, line: int, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise SoakError(f"{path}:{line}: two columns are named {name!r}")
        seen.add(name)


def _clock(path: Path, names: list[str], time: str | None, bare: bool) -> int | None:
    if time is not None:
        if time not in names:
            raise SoakError(f"{path}: no column {time!r} to tell the time")
        return names.index(time)
    first = names[0].lower()
    known = first in _ROWS or first.removesuffix("_s").removesuffix("_seconds") in _TIMES
    return 0 if known and not bare and len(names) > 1 else None


def _moments(path: Path, name: str, cells: list[tuple[int, str]]) -> Floats:
    """Seconds, ascending."""
    moments: list[float] = []
    for line, cell in cells:
        moment = _number(cell)
        if moment is None:
            moment = _date(cell)
        if moment is None or not math.isfinite(moment):
            raise SoakError(f"{path}:{line}: column {name!r}: {cell.strip()[:40]!r} is no time")
        moments.append(moment)
    largest = max(map(abs, moments))
    scale = next((unit for least, unit in _EPOCHS if largest >= least), 1.0)
    for (line, _), before, after in zip(cells[1:], moments, moments[1:], strict=False):
        if after <= before:
            raise SoakError(f"{path}:{line}: column {name!r}: time stands still or goes back here")
    return np.array(moments) / scale


def _value(cell: str) -> float | None:
    """A number, NaN for a gap, None for anything else."""
    return math.nan if cell.strip().lower() in _GAPS else _number(cell)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _date(cell: str) -> float | None:
    try:
        moment = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
