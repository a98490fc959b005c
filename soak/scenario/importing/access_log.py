"""Access logs in the common and combined formats of nginx and Apache, as gigabytes of lines in one pass."""

from __future__ import annotations

import gzip
import io
import re
import sys
import zlib
from array import array
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

import numpy as np

from soak.core.errors import Problem, ScenarioError
from soak.core.pattern import MAX_TRACE
from soak.scenario.importing.compose import Import, compose, rounded
from soak.scenario.importing.seen import Seen

# every repeat has an end, or ends at a character it cannot hold: no line takes more than linear time
_LINE = re.compile(
    r'\S+ \S+ [^\[]*\[([^\]]{1,40})\] "([A-Z]{1,20}) ([^\s"\\]*(?:\\.[^\s"\\]*)*)(?: HTTP/[0-9.]+)?" (\d{3}) '
)
_ESCAPED = re.compile(r'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
_LONGEST = 65_536
_HOUR_S = 3600
_BIN_S = 600
_DAY_S = 86_400.0
_ENOUGH_OF_A_DAY = 0.75
_FAIR_SHARE = 0.3
_LEAST_SWING = 0.1
_BODILY = ("POST", "PUT", "PATCH")


def from_access_logs(paths: Iterable[Path], url: str, trace: Path | None = None) -> str:
    """The scenario of some access logs, in any order (`-` is standard input, `.gz` is unpacked).

    With `trace`, arrival times are written there: seconds from the first, one a line, ascending. Raises ScenarioError
    when nothing in them is a request, FileExistsError when `trace` is there already.
    """
    if trace is not None and trace.exists():
        raise FileExistsError(17, "File exists", str(trace))
    seen, arrivals, names = Seen(), Arrivals(), []
    lines, bad, example = 0, 0, ""
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
            arrivals.add(when)
            seen.add(method, target, status)
    source = f"{', '.join(names)}: {seen.total:,} requests in {lines:,} lines"
    if not seen.total:
        raise ScenarioError(", ".join(names), [Problem(f"no line is one of an access log; the first: {example!r}")])
    seen.collapse()
    about = Import(source, url, seen.total / max(1.0, arrivals.last - arrivals.first))
    if bad:
        about.notes.append(f"{bad:,} lines are not requests and are passed over, the first: {example!r}")
    if bodily := sum(e.count for (method, _, _), e in seen.endpoints.items() if method in _BODILY):
        about.notes.append(f"a log has no bodies: add json, form or body to what {bodily:,} POST, PUT and PATCH sent")
    about.pattern = _daily(arrivals, about)
    if trace is not None:
        about.trace = str(trace)
        about.notes.append("a log has whole seconds: in the trace, all arrivals of a second come at its start")
        if seen.total > MAX_TRACE:
            about.notes.append(f"a trace of more than {MAX_TRACE:,} arrivals is refused: cut it to a shorter time")
    try:
        text = compose(about, seen)
    except ValueError as error:
        raise ScenarioError(", ".join(names), [Problem(str(error))]) from None
    if trace is not None:
        with trace.open("x", encoding="ascii") as out:
            out.writelines(f"{second}\n" * count for second, count in arrivals.seconds())
    return text


class Arrivals:
    """How many requests came in each second: all that a log says of it. 14 kB for each hour that has any."""

    def __init__(self) -> None:
        self._hours: dict[int, array[int]] = {}
        self.first, self.last = sys.maxsize, 0

    def add(self, when: int) -> None:
        """Note one at `when` (s since 1970)."""
        hour, second = divmod(when, _HOUR_S)
        counts = self._hours.get(hour)
        if counts is None:
            counts = self._hours[hour] = array("I", bytes(4 * _HOUR_S))
        counts[second] += 1
        if when < self.first:
            self.first = when
        if when > self.last:
            self.last = when

    def seconds(self) -> Iterator[tuple[int, int]]:
        """Every second that has any, from the first one on (0), and how many."""
        for hour in sorted(self._hours):
            start = hour * _HOUR_S - self.first
            yield from ((start + i, count) for i, count in enumerate(self._hours[hour]) if count)

    def bins(self, length: int) -> dict[int, int]:
        """Arrivals by stretches of `length` seconds, a divisor of an hour; those without any are not there."""
        parts = _HOUR_S // length
        return {
            hour * parts + i: sum(counts[i * length : (i + 1) * length])
            for hour, counts in self._hours.items()
            for i in range(parts)
        }


def _parse(line: str) -> tuple[int, str, str, int] | None:
    """Time (s since 1970), method, target and status of a line; None when it is no request."""
    match = _LINE.match(line)
    if match is None:
        return None
    stamp, method, target, status = match.groups()
    when = _time(stamp)
    if when is None:
        return None
    if "\\" in target:  # as nginx and Apache write what is no plain ASCII
        target = _ESCAPED.sub(lambda m: f"%{m[1]}" if m[1] else f"%{ord(m[2]):02X}", target)
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)  # absolute form (RFC 9112, section 3.2.2)
        except ValueError:
            return None
        if target == "*" or not parts.scheme or not parts.netloc:
            return None
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return when, method, target, int(status)


@lru_cache(maxsize=1024)
def _time(text: str) -> int | None:
    try:
        when = int(datetime.strptime(text, "%d/%b/%Y:%H:%M:%S %z").timestamp())
    except (ValueError, OverflowError):
        return None
    return when if when >= 0 else None


def _lines(path: Path) -> Iterator[str]:
    try:
        with _open(path) as file:
            while piece := file.readline(_LONGEST):
                line = piece.decode("utf-8", "replace")
                while len(piece) == _LONGEST and not piece.endswith(b"\n"):  # the rest of a line that is none
                    piece = file.readline(_LONGEST)
                yield line
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ScenarioError(str(path), [Problem(f"cannot be read: {reason}")]) from None


def _open(path: Path) -> BinaryIO:
    file = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    buffered = io.BufferedReader(cast(io.RawIOBase, file), 1 << 16)
    packed = buffered.peek(2)[:2] == b"\x1f\x8b"
    return cast(BinaryIO, io.BufferedReader(gzip.GzipFile(fileobj=buffered), 1 << 16) if packed else buffered)


def _daily(arrivals: Arrivals, about: Import) -> dict[str, str] | None:
    """A sine of a day fitted to the rates by least squares, if the log covers most of a day and it tells much."""
    bins = arrivals.bins(_BIN_S)
    whole = range(arrivals.first // _BIN_S + 1, arrivals.last // _BIN_S)  # the log's ends cut off the first and last
    if len(whole) * _BIN_S < _ENOUGH_OF_A_DAY * _DAY_S:
        return None
    rates = np.array([bins.get(b, 0) / _BIN_S for b in whole])
    angle = 2 * np.pi * np.array([b * _BIN_S for b in whole]) / _DAY_S
    design = np.column_stack([np.ones(len(rates)), np.cos(angle), np.sin(angle)])
    (mean, cosine, sine), *_ = np.linalg.lstsq(design, rates, rcond=None)
    swing = float(np.hypot(cosine, sine))
    unexplained = float(np.var(rates - design @ np.array([mean, cosine, sine])))
    told = 1 - unexplained / float(np.var(rates)) if np.var(rates) > 0 else 0.0
    if mean <= 0 or told < _FAIR_SHARE or swing < _LEAST_SWING * mean:
        return None
    about.rate = rounded(float(mean))
    hour = float(np.arctan2(sine, cosine)) % (2 * np.pi) / (2 * np.pi) * 24
    about.notes.append(
        f"the rate has its peak at {int(hour):02d}:{int(hour % 1 * 60):02d} UTC; a sine of a day tells "
        f"{100 * told:.0f} % of how it varies. peak_at counts from the start of load"
    )
    # below twice the mean, since the rate is written with three digits
    return {
        "kind": "daily",
        "peak": f"{about.rate + min(swing, 0.98 * about.rate):.6g}/s",
        "period": "24h",
        "peak_at": "6h",
    }
