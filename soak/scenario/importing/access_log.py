"""Access logs in the common and combined formats of nginx and Apache, as gigabytes of lines in one pass."""

from __future__ import annotations

import gzip
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import numpy as np

from soak.core.errors import Problem, ScenarioError
from soak.scenario.importing.compose import Import, compose
from soak.scenario.importing.seen import Seen

_LINE = re.compile(r'\S+ \S+ .*?\[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) ')
_REQUEST = re.compile(r"([A-Z]+) (\S+)(?: HTTP/[0-9.]+)?")
_BIN_S = 600
_DAY_S = 86_400.0
_ENOUGH_OF_A_DAY = 0.75
_FAIR_SHARE = 0.3
_LEAST_SWING = 0.1


def from_access_logs(paths: Iterable[Path], url: str, trace: Path | None = None) -> str:
    """The scenario of some access logs (`-` is standard input, `.gz` is unpacked), arrival times written to `trace`.

    Raises ScenarioError when nothing in them is a request.
    """
    seen, bins, names = Seen(), Counter[int](), []
    lines, bad, example, times = 0, 0, "", _Times()
    out = trace.open("x", encoding="utf-8") if trace is not None else None
    for path in paths:
        names.append(str(path))
        for number, line in enumerate(_lines(path), 1):
            lines += 1
            found = _parse(line)
            if found is None:
                bad += 1
                example = example or f"{path}:{number}: {line.strip()[:60]}"
                continue
            when, method, target, status = found
            times.add(when)
            bins[int(when) // _BIN_S] += 1
            seen.add(method, target, status)
            if out is not None:
                out.write(f"{times.ordered(when):.3f}\n")
    if out is not None:
        out.close()
    source = f"{', '.join(names)}: {seen.total:,} requests in {lines:,} lines"
    if not seen.total:
        raise ScenarioError(", ".join(names), [Problem(f"no line is one of an access log; the first: {example!r}")])
    about = Import(source, url, seen.total / max(1.0, times.last - times.first))
    if bad:
        about.notes.append(f"{bad:,} lines are not requests and are passed over, the first: {example!r}")
    about.pattern = _daily(bins, about)
    return compose(about, seen)


class _Times:
    """First and last of the times; a log is nearly in order, since lines are written when answers end."""

    def __init__(self) -> None:
        self.first, self.last = np.inf, -np.inf
        self._written = 0.0

    def add(self, t: float) -> None:
        self.first, self.last = min(self.first, t), max(self.last, t)

    def ordered(self, t: float) -> float:
        """Seconds since the first, never earlier than the one before."""
        self._written = max(self._written, t - self.first)
        return self._written


def _parse(line: str) -> tuple[float, str, str, int] | None:
    """Time (s since 1970), method, target and status of a line; None when it is no request."""
    match = _LINE.match(line)
    request = _REQUEST.fullmatch(match[2]) if match else None
    when = _time(match[1]) if match else None
    if match is None or request is None or when is None:
        return None
    target = request[2]
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)  # absolute form (RFC 9112, section 3.2.2)
        except ValueError:
            return None
        if not parts.scheme or not parts.netloc:
            return None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return when, request[1], target, int(match[3])


@lru_cache(maxsize=1024)
def _time(text: str) -> float | None:
    try:
        return datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return None


def _lines(path: Path) -> Iterator[str]:
    if str(path) == "-":
        yield from sys.stdin
        return
    try:
        with _open(path) as lines:
            yield from lines
    except (OSError, EOFError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(str(path), [Problem(f"cannot be read: {reason}")]) from None


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", errors="replace")
    return path.open(encoding="utf-8", errors="replace")


def _daily(bins: Counter[int], about: Import) -> dict[str, str] | None:
    """A sine of a day fitted to the rates by least squares, if the log covers most of a day and it tells much."""
    first, last = min(bins), max(bins)
    whole = range(first + 1, last)  # the first and last are cut off by the log's ends
    if len(whole) * _BIN_S < _ENOUGH_OF_A_DAY * _DAY_S:
        return None
    rates = np.array([bins[b] / _BIN_S for b in whole])
    angle = 2 * np.pi * np.array([b * _BIN_S for b in whole]) / _DAY_S
    design = np.column_stack([np.ones(len(rates)), np.cos(angle), np.sin(angle)])
    (mean, cosine, sine), *_ = np.linalg.lstsq(design, rates, rcond=None)
    swing = float(np.hypot(cosine, sine))
    unexplained = float(np.var(rates - design @ np.array([mean, cosine, sine])))
    told = 1 - unexplained / float(np.var(rates)) if np.var(rates) > 0 else 0.0
    if mean <= 0 or told < _FAIR_SHARE or swing < _LEAST_SWING * mean:
        return None
    about.rate = float(mean)
    hour = float(np.arctan2(sine, cosine)) % (2 * np.pi) / (2 * np.pi) * 24
    about.notes.append(
        f"the rate has its peak at {int(hour):02d}:{int(hour % 1 * 60):02d} UTC; a sine of a day tells "
        f"{100 * told:.0f} % of how it varies. peak_at counts from the start of load"
    )
    return {"kind": "daily", "peak": f"{min(2 * mean, mean + swing):.3g}/s", "period": "24h", "peak_at": "6h"}
