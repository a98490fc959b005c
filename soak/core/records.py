"""What a run consists of, once measured: the nouns that load and probe write and everybody else reads.

All times are seconds since the start of the run on the monotonic clock; only `Recording.started` is
wall-clock time, so a clock that steps cannot bend a run. While nobody conducts a run, its clock stands still.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from soak.core.histogram import Histogram
from soak.core.scenario import Scenario

Floats = npt.NDArray[np.float64]
Outcome = Literal["ok", "failed", "timeout"]
"""`failed` was answered, or refused, with an error; `timeout` never came, and would have taken longer than recorded."""
Clock = Literal["latency", "service", "journey"]
"""`latency` runs from the intended start of an arrival, `service` from the actual send; `journey` is that of a
whole journey, from its intended start to its last answer without the pauses that its visitor made."""
TASK = "(task)"
"""Stands among the endpoints for arrivals of a locustfile whose task raised an exception."""
UNSERVED = "(unserved)"
"""Stands there for its arrivals that found no free slot: what they would have asked, nobody knows."""
PhaseName = Literal["idle_before", "warmup", "soak", "burst", "recovery", "drain", "idle_after"]


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of the run. `end` is None while it lasts."""

    name: PhaseName
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Interval:
    """The latencies of one endpoint that one worker recorded in one stretch of time."""

    side: str
    worker: str
    sequence: int
    start: float
    length: float
    endpoint: str
    outcome: Outcome
    clock: Clock
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class Tally:
    """One worker's account and health for one stretch of time.

    Arrivals: `scheduled` fell due, `done` and `failed` were answered, `unserved` waited longer than the
    request timeout for a free slot and were given up, `lost` were sent but never came back before the
    drain ended. `no_slot` of them found no slot free when they fell due. Health: how late the event
    loop and the wake-ups were (seconds), cores used, resident bytes, requests in flight at the end; the share of
    the time that it waited for a core, or had one that a hypervisor took (0 to 1, of files of format 1: 0), and the
    fewest slots that were free.
    """

    side: str
    worker: str
    sequence: int
    start: float
    length: float
    scheduled: int
    done: int
    failed: int
    unserved: int
    lost: int
    no_slot: int
    lag_p99: float
    lag_max: float
    wake_p99: float
    wake_max: float
    cpu: float
    rss: int
    in_flight: int
    waited: float = 0.0
    free_slots: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What a probe saw at one moment: values by metric name, in base units; a missing one is absent.

    `source` is a side ("candidate": the process tree together), a side and a process
    ("candidate/4711@8842": pid and start time), or a machine: "host" is that of the candidate,
    "host.reference" that of a reference with an observer, "host.load" that of soak when the candidate has
    an observer. Counters (`process.cpu_seconds`, `process.minor_faults`, ...) are cumulative as the kernel gives them.
    """

    t: float
    source: str
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened once: a phase, an exit, a restart, a worker lost, a gap.

    `kind` is one of: phase, resumed (see `Gap`), target_exit, process_started, process_exit, restart,
    oom_kill, worker_lost, worker_joined, worker_refused, split, stall, generator_error, interrupted, error_sample,
    schedule, clock_step, suspended, observer_lost, observer_back, observer_restarted, observer_gap, door, door_lost,
    door_back, torn, note; artefact (`bytes` and `files` of what is installed); budget (its time was up);
    stopped_early (the verdict was certain: `rule`, `look`, `upto` in s, `reasons`, and `saved`, the load in s that
    was left out); agent (one has answered), agent_missing (none answers in a Python target), attach (a debugger,
    before and after), inspection (a close look: what it found, and `from` and `to` in s), trim (`before` and `after`
    in bytes); alert_sent, alert_delayed and alert_lost (what became of an alert at a receiver: `receiver`,
    `fingerprint`, `status`, `tries`, and all of an `alert` that goes on).
    """

    t: float
    kind: str
    side: str | None = None
    text: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch [start, end) that is missing of a run that was cut off and resumed, as its `resumed` event says it.

    `away` is the wall-clock time (s) that passed besides, while the run's clock stood still. `anew` are the sides whose
    target is another process since; the others' went on. `why` says how the run had ended.
    """

    start: float
    end: float
    away: float
    anew: frozenset[str]
    why: str

    @classmethod
    def of(cls, event: Event) -> Gap:
        """The gap that a `resumed` event tells."""
        start, end, away = (float(str(event.data[key])) for key in ("from", "to", "away"))
        anew = event.data["anew"]
        assert isinstance(anew, list)
        return cls(start, end, away, frozenset(map(str, anew)), str(event.data["why"]))


@dataclass(frozen=True, slots=True)
class Series:
    """A metric over time: `t` seconds since the start of the run, ascending, and `v` in base units."""

    t: Floats
    v: Floats

    def between(self, start: float, end: float) -> Series:
        """The part with start <= t < end."""
        a, b = np.searchsorted(self.t, [start, end])
        return Series(self.t[a:b], self.v[a:b])

    def __len__(self) -> int:
        return len(self.t)


@dataclass(frozen=True, slots=True)
class Window:
    """Merged latencies of all workers for one stretch of time."""

    start: float
    length: float
    histogram: Histogram


WindowKey = tuple[str, Outcome, Clock]
"""(endpoint, outcome, clock)"""


@dataclass(frozen=True, slots=True)
class SideRecording:
    """All that was seen of one side. `processes` has the series of each process by `pid@start`."""

    windows: Mapping[WindowKey, tuple[Window, ...]]
    tallies: tuple[Tally, ...]
    series: Mapping[str, Series]
    processes: Mapping[str, Mapping[str, Series]]
    scheduled: int | None
    """Arrivals that the schedule itself holds, counted apart from the workers; None while it is not known."""

    @property
    def endpoints(self) -> list[str]:
        """Names of all endpoints, sorted."""
        return sorted({endpoint for endpoint, _, clock in self.windows if clock != "journey"})

    @property
    def journeys(self) -> list[str]:
        """Names of all journeys, sorted."""
        return sorted({name for name, _, clock in self.windows if clock == "journey"})

    def merged(self, clock: Clock, outcome: Outcome, endpoint: str | None, start: float, end: float) -> list[Window]:
        """Windows that begin within [start, end), of one endpoint or of all endpoints merged by time."""
        by_start: dict[float, list[Window]] = {}
        for (name, kept, kind), windows in self.windows.items():
            if kept == outcome and kind == clock and endpoint in (None, name):
                for w in windows:
                    if start <= w.start < end:
                        by_start.setdefault(w.start, []).append(w)
        return [
            Window(s, max(w.length for w in ws), Histogram.merge(w.histogram for w in ws))
            for s, ws in sorted(by_start.items())
        ]


@dataclass(frozen=True, slots=True)
class Recording:
    """A whole run as it was read from its run file; all that the judge may know."""

    run: str
    scenario: Scenario
    started: float
    phases: tuple[Phase, ...]
    duration: float
    finished: bool
    sides: Mapping[str, SideRecording]
    host: Mapping[str, Series]
    events: tuple[Event, ...]
    provenance: Mapping[str, object]

    def phase(self, name: PhaseName) -> Phase | None:
        """The phase of that name, if it was begun."""
        return next((p for p in self.phases if p.name == name), None)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is missing of it because it was cut off, in order."""
        return tuple(Gap.of(e) for e in self.events if e.kind == "resumed")

    def wall(self, t: float) -> float:
        """The wall-clock time (s since 1970) of a moment, by the clock as it was when the run began."""
        return self.started + t + sum(gap.away for gap in self.gaps if t >= gap.end)

    @property
    def load_start(self) -> float | None:
        """When the first arrival could fall due (s); None before it."""
        return min((p.start for p in self.phases if p.name in ("warmup", "soak")), default=None)

    @property
    def soak_span(self) -> tuple[float, float] | None:
        """Start and end of the soak phase so far in seconds; None before it begins."""
        phase = self.phase("soak")
        return (phase.start, phase.end if phase.end is not None else self.duration) if phase else None
