"""How the rate of arrivals changes over time.

A pattern is a curve of arrivals a second. Its integral tells how many arrivals are expected by a moment;
the inverse of that integral turns a process of unit rate into one that follows the curve (time change of
a Poisson process: Çinlar, Introduction to Stochastic Processes, 1975, section 4.7). So every pattern keeps
the seed's promise: the same arrivals for whoever asks.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from soak.core.model import Duration, Model, Rate, RateOrZero

Floats = npt.NDArray[np.float64]
MAX_TRACE = 20_000_000
"""Arrivals of a trace; each generator process holds all of them, 8 bytes each."""


class RateStep(Model):
    """A stretch of constant rate."""

    rate: Annotated[RateOrZero, Field(description="arrivals a second")]
    length: Annotated[Duration, Field(alias="for", description="how long it lasts")]

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.length <= 0:
            raise ValueError("for: expected more than 0 s")
        return self


_KEYS: dict[str, tuple[set[str], set[str]]] = {
    "steps": ({"steps"}, {"repeat"}),
    "ramp": ({"start", "end", "over"}, set()),
    "daily": ({"peak"}, {"period", "peak_at"}),
    "bursts": ({"peak", "every", "length"}, set()),
    "trace": ({"file"}, {"speed"}),
}
"""By kind: the keys it needs, and those it may have."""
_WRITTEN = {"start": "from", "end": "to", "length": "for"}


class Pattern(Model):
    """How the rate changes from the start of load on.

    steps: one rate after the other, the last one held, or all of them repeated. ramp: a straight line, then
    its end held. daily: a sine around `load.rate` that is at `peak` at `peak_at`. bursts: `load.rate`, and
    `peak` for a while at the end of every stretch of `every`. trace: recorded arrival times, in seconds, one a line,
    ascending, played again when they run out.
    """

    kind: Annotated[Literal["steps", "ramp", "daily", "bursts", "trace"], Field(description="which curve")]
    steps: Annotated[list[RateStep] | None, Field(min_length=1, description="steps: one after the other")] = None
    repeat: Annotated[bool | None, Field(description="steps: begin again after the last one")] = None
    start: Annotated[RateOrZero | None, Field(alias="from", description="ramp: rate at the start")] = None
    end: Annotated[RateOrZero | None, Field(alias="to", description="ramp: rate at the end and from then on")] = None
    over: Annotated[Duration | None, Field(description="ramp: how long it takes")] = None
    peak: Annotated[Rate | None, Field(description="daily, bursts: the highest rate")] = None
    period: Annotated[Duration | None, Field(description="daily: default 24h")] = None
    peak_at: Annotated[
        Duration | None, Field(description="daily: when the peak comes, default a quarter of the period")
    ] = None
    every: Annotated[Duration | None, Field(description="bursts: from one to the next")] = None
    length: Annotated[Duration | None, Field(alias="for", description="bursts: how long one lasts")] = None
    file: Annotated[str | None, Field(description="trace: file of arrival times in s, .gz too")] = None
    speed: Annotated[float | None, Field(gt=0, le=1000, description="trace: 2 plays it twice as fast")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needed, allowed = _KEYS[self.kind]
        for key in type(self).model_fields:
            written, given = _WRITTEN.get(key, key), getattr(self, key) is not None
            if key in needed and not given:
                raise ValueError(f"{written}: a pattern of kind {self.kind} needs it")
            if given and key not in needed | allowed | {"kind"}:
                raise ValueError(f"{written}: does not go with kind {self.kind}")
        for key in ("over", "period", "every", "length"):
            if getattr(self, key) is not None and getattr(self, key) <= 0:
                raise ValueError(f"{_WRITTEN.get(key, key)}: expected more than 0 s")
        if self.every is not None and self.length is not None and self.length >= self.every:
            raise ValueError("for: expected less than `every`")
        if self.steps is not None and not any(step.rate for step in self.steps):
            raise ValueError("steps: expected a rate above 0/s in one of them")
        if self.kind == "ramp" and not (self.start or self.end):
            raise ValueError("to: expected a ramp from or to a rate above 0/s")
        return self

    @property
    def needs_rate(self) -> bool:
        """Whether it goes around `load.rate`; the other kinds say all rates themselves."""
        return self.kind in ("daily", "bursts")

    @property
    def highest(self) -> float | None:
        """The highest rate that it says itself (1/s); None of a trace, whose file says it."""
        rates = [self.start, self.end, self.peak, *(step.rate for step in self.steps or [])]
        return max((rate for rate in rates if rate is not None), default=None)


class Curve(Protocol):
    """Arrivals a second over time, and its integral. All times in seconds since the start of load."""

    def expected(self, t: float) -> float:
        """Arrivals expected by `t`: the integral of the rate."""
        ...

    def when(self, units: Floats) -> Floats:
        """The moments by which `units` arrivals are expected: the inverse of `expected`, ascending as they are.

        Infinite where the curve never gets there.
        """
        ...


class Segments:
    """Straight pieces: `lengths` (s) and the rates at both ends of each; then the last rate, or all again."""

    def __init__(self, lengths: list[float], starts: list[float], ends: list[float], repeat: bool) -> None:
        self._from = np.array(starts)
        self._slope = (np.array(ends) - self._from) / np.array(lengths)
        self._t = np.concatenate([[0.0], np.cumsum(lengths)])
        self._sum = np.concatenate([[0.0], np.cumsum((self._from + np.array(ends)) / 2 * np.array(lengths))])
        self._last = ends[-1]
        self._repeat = repeat

    def expected(self, t: float) -> float:
        """See Curve."""
        length, total = float(self._t[-1]), float(self._sum[-1])
        if t <= 0:
            return 0.0
        rounds = math.floor(t / length) if self._repeat else 0
        inside = t - rounds * length
        if not self._repeat and inside >= length:
            return total + self._last * (inside - length)
        i = min(int(np.searchsorted(self._t, inside, "right")) - 1, len(self._from) - 1)
        x = inside - float(self._t[i])
        return rounds * total + float(self._sum[i] + self._from[i] * x + self._slope[i] * x * x / 2)

    def when(self, units: Floats) -> Floats:
        """See Curve."""
        length, total = float(self._t[-1]), float(self._sum[-1])
        rounds = np.floor(units / total) if self._repeat else np.zeros_like(units)
        inside = units - rounds * total
        i = np.clip(np.searchsorted(self._sum, inside, "right") - 1, 0, len(self._from) - 1)
        more, rate, slope = inside - self._sum[i], self._from[i], self._slope[i]
        # u = r x + s x^2 / 2 for x, in the form that is exact for small slopes
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * more, 0.0))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = np.where((more > 0) & (rate + root > 0), 2 * more / (rate + root), 0.0)
            beyond = length + (inside - total) / self._last if self._last > 0 else np.inf
        t = np.minimum(self._t[i] + x, self._t[i + 1]) + rounds * length
        return t if self._repeat else np.where(inside < total, t, beyond)


class Sine:
    """`mean` + (`peak` - `mean`) cos(2 pi (t - peak_at) / period)."""

    def __init__(self, mean: float, peak: float, period: float, peak_at: float) -> None:
        self._mean, self._omega = mean, 2 * math.pi / period
        self._swing = (peak - mean) / self._omega
        self._shift = self._omega * peak_at

    def expected(self, t: float) -> float:
        """See Curve."""
        return float(self._sum(np.array([max(t, 0.0)]))[0])

    def when(self, units: Floats) -> Floats:
        """See Curve. By bisection: the sum lies within two swings of a straight line."""
        low = np.maximum((units - 2 * self._swing) / self._mean, 0.0)
        high = (units + 2 * self._swing) / self._mean
        for _ in range(64):
            middle = (low + high) / 2
            below = self._sum(middle) < units
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found: Floats = (low + high) / 2
        return found

    def _sum(self, t: Floats) -> Floats:
        total: Floats = self._mean * t + self._swing * (np.sin(self._omega * t - self._shift) + math.sin(self._shift))
        return total


class Trace:
    """Recorded arrivals: the n-th comes when it came then. After the last one comes the first again."""

    def __init__(self, times: Floats, speed: float) -> None:
        self._t = (times - times[0]) / speed
        gaps = float(self._t[-1]) / max(1, len(times) - 1)
        self._length = float(self._t[-1]) + (gaps or 1.0)

    def expected(self, t: float) -> float:
        """See Curve."""
        rounds = math.floor(t / self._length)
        return rounds * len(self._t) + int(np.searchsorted(self._t, t - rounds * self._length))

    def when(self, units: Floats) -> Floats:
        """See Curve; `units` are whole numbers of arrivals, the first is 0."""
        n = units.astype(np.int64)
        found: Floats = self._t[n % len(self._t)] + (n // len(self._t)) * self._length
        return found


class Burst:
    """A curve with one stretch in it, of `length` s from `start` on, at `rate` (1/s) or `times` what it would be there.

    Before and after it, everything comes when it would have come without it.
    """

    def __init__(self, usual: Curve, start: float, length: float, rate: float | None, times: float) -> None:
        self._usual, self._start, self._end, self._rate, self._times = usual, start, start + length, rate, times
        self._before = usual.expected(start)
        self._replaced = usual.expected(self._end) - self._before
        self._total = rate * length if rate is not None else times * self._replaced

    def expected(self, t: float) -> float:
        """See Curve."""
        if t < self._start:
            return self._usual.expected(t)
        if t >= self._end:
            return self._usual.expected(t) - self._replaced + self._total
        if self._rate is not None:
            return self._before + self._rate * (t - self._start)
        return self._before + self._times * (self._usual.expected(t) - self._before)

    def when(self, units: Floats) -> Floats:
        """See Curve."""
        inside = units - self._before
        if self._rate is not None:
            within = self._start + inside / self._rate
        else:
            within = self._usual.when(self._before + np.maximum(inside, 0.0) / self._times)
        # rounding must not let one stretch reach into the next: times are ascending
        before = np.minimum(self._usual.when(units), self._start)
        within = np.clip(within, self._start, self._end)
        after = np.maximum(self._usual.when(np.maximum(units - self._total + self._replaced, 0.0)), self._end)
        return np.where(inside < 0, before, np.where(inside < self._total, within, after))


def curve_of(rate: float | None, pattern: Pattern | None, folder: Path) -> Curve:
    """The curve of `load.rate` and `load.pattern`; a trace is read from `folder`. Raises ValueError, OSError."""
    if pattern is None:
        assert rate is not None
        return Segments([1.0], [rate], [rate], repeat=False)
    if pattern.steps is not None:
        rates = [step.rate for step in pattern.steps]
        return Segments([step.length for step in pattern.steps], rates, rates, bool(pattern.repeat))
    if pattern.over is not None and pattern.start is not None and pattern.end is not None:
        return Segments([pattern.over], [pattern.start], [pattern.end], repeat=False)
    if pattern.file is not None:
        return Trace(read_trace(folder / pattern.file), pattern.speed or 1.0)
    assert rate is not None
    assert pattern.peak is not None
    if pattern.every is not None and pattern.length is not None:
        rates = [rate, pattern.peak]
        return Segments([pattern.every - pattern.length, pattern.length], rates, rates, repeat=True)
    period = pattern.period or 86_400.0
    return Sine(rate, pattern.peak, period, pattern.peak_at if pattern.peak_at is not None else period / 4)


def read_trace(path: Path) -> Floats:
    """Arrival times in seconds, one a line, ascending; blank lines and `#` comments are passed over.

    Raises ValueError with the line that is wrong, OSError when it cannot be read.
    """
    times: list[float] = []
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            try:
                t = float(text)
            except ValueError:
                t = math.nan
            if not math.isfinite(t):
                raise ValueError(f"line {number}: expected a time in seconds, got {text[:40]!r}")
            if times and t < times[-1]:
                raise ValueError(f"line {number}: {text[:40]} is earlier than the line before it")
            times.append(t)
            if len(times) > MAX_TRACE:
                raise ValueError(f"more than {MAX_TRACE:,} arrivals; cut it to a shorter time")
    if not times:
        raise ValueError("no arrival times in it")
    return np.array(times)
