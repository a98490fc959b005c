"""What a person sees while a soak runs: a live bar on a terminal, plain lines everywhere else."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from soak.core import units
from soak.core.records import Event
from soak.core.units import Dimension
from soak.core.verdict import Finding
from soak.runfile import read_recent

_LINE_EVERY_S = 15.0
_REFRESH_S = 1.0
_RECENT_S = 20.0
MOST_SAID = 20
"""Events of one kind that are said in one hour of a run."""
_QUIET = ("phase", "schedule", "process_started", "process_exit", "interrupted", "agent", "inspection", "trim")
"""Events that are written down and not said."""
_PHASES = {"idle_before": "idle", "warmup": "warm-up", "idle_after": "idle"}
"""Phases that go by another name here."""


@dataclass(frozen=True, slots=True)
class SideStatus:
    """The last seconds of one side: rate (1/s), failures (1/s), percentiles and resident memory."""

    rate: float | None = None
    failures: float | None = None
    p50: float | None = None
    p99: float | None = None
    p999: float | None = None
    rss: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of a run: the phase, how far the whole run is (s), and each side."""

    phase: str
    elapsed: float
    total: float
    sides: dict[str, SideStatus] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def lately(run_file: Path, side: str, now: float, rss: float | None) -> SideStatus:
    """How a side does at `now` (s of the run), by the last seconds of its run file."""
    recent = read_recent(run_file, side, now - _RECENT_S)
    p50, p99, p999 = recent.latency.percentiles([50, 99, 99.9])
    seconds = recent.seconds or math.nan
    return SideStatus(recent.done / seconds, recent.failed / seconds, p50, p99, p999, rss)


class View(Protocol):
    """Anything that can show a run."""

    def begin(self, title: str) -> None:
        """The run starts."""

    def wants(self, phase: str, elapsed: float) -> bool:
        """Whether it is time to show something: a status is not for nothing."""

    def show(self, status: Status) -> None:
        """The run goes on."""

    def say(self, line: str) -> None:
        """Something happened that must stay on the screen."""

    def end(self) -> None:
        """The run is over; leave the terminal as it was."""


class Crier:
    """Says aloud what happens; of one kind so much in an hour, since a log is read by people. The run file has all."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._said = Counter[tuple[str, int]]()

    def tell(self, event: Event) -> None:
        """Say it, unless it is only to be written down."""
        if event.kind in _QUIET:
            return
        hour = event.kind, int(event.t // 3600)
        self._said[hour] += 1
        word = event.kind.replace("_", " ")
        if self._said[hour] <= MOST_SAID:
            self._view.say(f"{word}: {event.text}")
        elif self._said[hour] == MOST_SAID + 1:
            self._view.say(f"{word}: more of them within this hour are in the run file only")


def view_for(stream: TextIO) -> View:
    """A live view on a terminal, plain lines otherwise; no run ends because nobody can see it any more."""
    shown = cast(TextIO, _Bystander(stream))
    return LiveView(shown) if stream.isatty() else PlainView(shown)


class _Bystander:
    """A stream that may be full, or closed at its other end, and then is written to in vain."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class PlainView:
    """One line when the phase changes and one every 15 s: fit for a CI log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._phase = ""
        self._last = 0.0

    def begin(self, title: str) -> None:
        """Name the run."""
        self.say(title)

    def wants(self, phase: str, elapsed: float) -> bool:
        """On a new phase, and every 15 s."""
        return phase != self._phase or elapsed - self._last >= _LINE_EVERY_S

    def show(self, status: Status) -> None:
        """One line."""
        self._phase, self._last = status.phase, status.elapsed
        head = f"{_PHASES.get(status.phase, status.phase):8} {_left(status):>10} left"
        self.say("  ".join([head, *(_one_line(side, s, status) for side, s in status.sides.items())]))

    def say(self, line: str) -> None:
        """One line."""
        self._stream.write(line + "\n")
        self._stream.flush()

    def end(self) -> None:
        """Nothing to put back."""


class LiveView:
    """A bar with the phase and the time left, a row for each side, and the findings so far."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, force_terminal=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._title = ""
        self._last = -_REFRESH_S

    def begin(self, title: str) -> None:
        """Take over the lower lines of the terminal."""
        self._title = title
        self._live.start()

    def wants(self, phase: str, elapsed: float) -> bool:  # noqa: ARG002
        """Once a second."""
        return elapsed - self._last >= _REFRESH_S

    def show(self, status: Status) -> None:
        """Draw anew."""
        self._last = status.elapsed
        self._live.update(self._render(status), refresh=True)

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._console.print(Text(line))

    def end(self) -> None:
        """Give the terminal back."""
        self._live.stop()

    def _render(self, status: Status) -> Group:
        head = Table.grid(padding=(0, 2))
        head.add_row(
            Text(self._title, style="bold"),
            Text(_PHASES.get(status.phase, status.phase), style="cyan"),
            ProgressBar(total=status.total, completed=min(status.elapsed, status.total), width=30),
            Text(f"{_left(status)} left"),
        )
        table = Table(box=None, padding=(0, 2), header_style="dim")
        table.add_column("")
        for name in ("rate", "failed", "p50", "p99", "p999", "memory"):
            table.add_column(name, justify="right")
        for side, s in status.sides.items():
            table.add_row(
                side,
                _or_dash(s.rate, "rate"),
                _or_dash(s.failures, "rate"),
                *(_or_dash(v, "time") for v in (s.p50, s.p99, s.p999)),
                _or_dash(s.rss, "bytes"),
            )
        lines = [Text(f"so far: {f.title}", style=_STYLE[f.severity]) for f in status.findings]
        return Group(head, table, *lines)


_STYLE = {"fail": "red", "warning": "yellow", "info": "dim"}


def _left(status: Status) -> str:
    return units.duration(max(0.0, round(status.total - status.elapsed)))


def _or_dash(value: float | None, dimension: Dimension) -> str:
    return "-" if value is None or math.isnan(value) else units.show(value, dimension)


def _one_line(side: str, s: SideStatus, status: Status) -> str:
    parts = [f"rss {_or_dash(s.rss, 'bytes')}"]
    if s.rate is not None and not math.isnan(s.rate):  # before there is load there is nothing to say of it
        failed = [f"{_or_dash(s.failures, 'rate')} failed"] if s.failures else []
        times = [f"{name} {_or_dash(v, 'time')}" for name, v in (("p50", s.p50), ("p99", s.p99), ("p999", s.p999))]
        parts = [_or_dash(s.rate, "rate"), *failed, *times, *parts]
    return (f"{side}: " if len(status.sides) > 1 else "") + " ".join(parts)
