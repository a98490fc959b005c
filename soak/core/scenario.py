"""The Scenario: what a soak will do and what it is judged by; pydantic models of the YAML contract.

Unknown keys are refused: one that is silently ignored would let a run pass a criterion nobody checked.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from soak.core.alerting import AlertTo
from soak.core.criterion import Criterion
from soak.core.load import Load
from soak.core.metrics import METRICS
from soak.core.model import Duration, Model, Rate
from soak.core.pattern import Burst, Curve, curve_of
from soak.core.scrape import Scrape

DRAIN_MARGIN = 2.0
"""Seconds that drain waits beyond the request timeout, for the last answers to be recorded."""


class Command(Model):
    """A target that soak starts itself and whose end it therefore sees."""

    command: Annotated[str, Field(min_length=1, description="program and arguments, no shell; {python} is soak's own")]
    cwd: Annotated[str, Field(description="working folder, relative to the scenario file")] = "."
    env: Annotated[dict[str, str], Field(default_factory=dict, description="added to the environment")]
    ready: Annotated[Duration, Field(description="longest wait until it accepts connections")] = 30.0
    agent: Annotated[bool, Field(description="look into it from inside, if it is Python")] = True


class Tls(Model):
    """How an https target is trusted. Files are PEM, relative to the scenario file."""

    verify: Annotated[bool, Field(description="check its certificate and name")] = True
    ca: Annotated[str | None, Field(description="trust these authorities instead of the system's")] = None
    cert: Annotated[str | None, Field(description="client certificate")] = None
    key: Annotated[str | None, Field(description="its private key")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("expected cert and key together")
        if self.ca is not None and not self.verify:
            raise ValueError("ca: without `verify` nothing is checked against it")
        return self


OBSERVER_TOKEN = "SOAK_OBSERVER_TOKEN"
"""The environment variable that holds the token of an observer, unless the scenario names another one."""


class Observer(Model):
    """Who watches the process of a target on another machine: `soak observe` runs there."""

    url: Annotated[str, Field(description="where it serves: https://HOST:9645")]
    token: Annotated[str | None, Field(description="${NAME}: the variable that holds its token")] = None
    ca: Annotated[str | None, Field(description="PEM: trust these authorities instead of the system's")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            parts = urlsplit(self.url)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole or re.search(r"\s", self.url):
            raise ValueError(f"url: expected https://HOST:PORT or http://..., got {self.url!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"url: expected a base URL without user, query and fragment, got {self.url!r}")
        if self.token is not None and not re.fullmatch(r"\$\{[A-Za-z_]\w*\}", self.token):
            raise ValueError("token: expected ${NAME}, an environment variable: a token stands in no scenario")
        if self.ca is not None and parts.scheme != "https":
            raise ValueError("ca: only an https observer has it")
        return self

    @property
    def host(self) -> str:
        """The machine that it watches."""
        return urlsplit(self.url).hostname or ""

    @property
    def variable(self) -> str:
        """The environment variable that holds its token."""
        return self.token[2:-1] if self.token is not None else OBSERVER_TOKEN


def _observer(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class Target(Model):
    """Where load goes, and which process is watched there."""

    url: Annotated[str, Field(description="base URL: http, https, or tcp for a locustfile of another protocol")]
    process: Annotated[Command | None, Field(description="start this program and watch it")] = None
    pid: Annotated[int | None, Field(gt=0, description="watch this running process")] = None
    port: Annotated[int | None, Field(gt=0, lt=65536, description="watch whoever listens on this port")] = None
    name: Annotated[str | None, Field(min_length=1, description="watch the one process of this name")] = None
    tls: Annotated[Tls | None, Field(description="how an https target is trusted; default: as the system does")] = None
    observer: Annotated[
        Observer | None, BeforeValidator(_observer), Field(description="watched by `soak observe` on its own machine")
    ] = None
    scrape: Annotated[Scrape | None, Field(description="a door where it tells of its allocator and runtime")] = None
    size: Annotated[
        str | None,
        Field(
            description="cost is held against this: a metric, or a name on the prometheus page; default: requests done"
        ),
    ] = None
    artefact: Annotated[
        str | None, Field(min_length=1, description="file or folder that is installed: its size is artefact.size")
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("tls: only an https target has it")
        try:
            parts = urlsplit(self.url)
            whole = parts.scheme in ("http", "https", "tcp") and parts.hostname and parts.port != 0
        except ValueError:  # a port beyond 65535, or half an IPv6 address
            whole = False
        if not whole or re.search(r"\s", self.url):
            raise ValueError(f"url: expected http://HOST:PORT, https://... or tcp://..., got {self.url!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"url: expected a base URL without user, query and fragment, got {self.url!r}")
        if parts.scheme == "tcp" and parts.port is None:
            raise ValueError(f"url: expected tcp://HOST:PORT, got {self.url!r}")
        ways = [k for k in ("process", "pid", "port", "name") if getattr(self, k) is not None]
        if ways and self.observer is not None:
            raise ValueError(f"{ways[0]}: with an observer, `soak observe` is told there which process it is")
        if len(ways) > 1:
            raise ValueError(f"expected one of process, pid, port and name, got {' and '.join(ways)}")
        return self

    @property
    def host(self) -> str:
        """The host name or address that load goes to."""
        return urlsplit(self.url).hostname or ""

    @property
    def tcp_port(self) -> int:
        """The port that load goes to."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def machine(self) -> str | None:
        """The machine that it is observed on; None when that is the one soak runs on."""
        return self.observer.host if self.observer is not None else None

    @property
    def page_size(self) -> str | None:
        """The name on its page of metrics that tells its size; None if nothing there does."""
        return self.size if self.size is not None and self.size not in METRICS else None

    @property
    def watched(self) -> bool:
        """Whether a process is watched at all."""
        return any(v is not None for v in (self.process, self.pid, self.port, self.name, self.observer))


class Reference(Target):
    """A trusted target soaked beside the candidate under the same arrivals."""


class EarlierRuns(Model):
    """Run files of a trusted version, soaked before under the same load."""

    run: Annotated[list[str] | str, Field(min_length=1, description="a run file, or several: relative to this file")]

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, data: object) -> object:
        if isinstance(data, dict) and (others := sorted(str(k) for k in data if k != "run")):
            raise ValueError(
                f"{others[0]}: does not go with run: the reference is either soaked beside the candidate, or was before"
            )
        return data

    @property
    def files(self) -> list[str]:
        """The run files as they are written."""
        return [self.run] if isinstance(self.run, str) else list(self.run)


BESIDE, EARLIER = "<beside>", "<earlier>"
"""Tags of the two kinds of reference; no key of a scenario looks like that."""


def _kind_of_reference(value: object) -> str:
    earlier = isinstance(value, EarlierRuns) or (isinstance(value, dict) and "run" in value)
    return EARLIER if earlier else BESIDE


AnyReference = Annotated[
    Annotated[Reference, Tag(BESIDE)] | Annotated[EarlierRuns, Tag(EARLIER)], Discriminator(_kind_of_reference)
]


MIN_RECOVERY = 5.0
"""Seconds: in less, nothing can be seen to come back and stay."""


class BurstPhase(Model):
    """More load for a while when the soak is over, then the usual load again: does the target recover?"""

    rate: Annotated[Rate | None, Field(description="arrivals a second in the burst")] = None
    times: Annotated[float | None, Field(gt=1, le=1000, description="or so many times the usual rate")] = None
    length: Annotated[Duration, Field(alias="for", description="how long the burst lasts")]
    recovery: Annotated[Duration, Field(description="how long the usual rate goes on after it; its end is judged")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rate is None) == (self.times is None):
            raise ValueError("expected either `rate` or `times`")
        if self.length < 1:
            raise ValueError("for: expected at least 1 s")
        if self.recovery < MIN_RECOVERY:
            raise ValueError(f"recovery: expected at least {MIN_RECOVERY:g} s")
        return self


class Phases(Model):
    """How long each phase lasts; only the soak phase is judged for drift."""

    idle_before: Annotated[Duration, Field(description="at rest before the load: what is used without it")] = 0.0
    warmup: Annotated[
        Duration | None, Field(description="load that is not judged; default: a tenth of the soak, up to 5m")
    ] = None
    soak: Annotated[Duration, Field(description="what is judged, at least 1s")]
    burst: Annotated[BurstPhase | None, Field(description="after the soak: a burst, and the recovery from it")] = None
    idle_after: Annotated[Duration, Field(description="at rest after the load: what is given back")] = 0.0
    whole: Annotated[
        Duration | None,
        Field(description="this soak is a part of one of that length, as `--budget` makes it; default: all of it"),
    ] = None

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.soak < 1:
            raise ValueError("soak: expected at least 1 s")
        if self.whole is not None and self.whole < self.soak:
            raise ValueError("whole: expected no less than the soak, which is a part of it")
        return self

    @property
    def whole_s(self) -> float:
        """How long the soak should be (s), of which this one may be a part."""
        return self.whole if self.whole is not None else self.soak

    @property
    def warmup_s(self) -> float:
        """The warm-up in seconds, default filled in."""
        return self.warmup if self.warmup is not None else min(self.soak / 10, 300.0)


Debugger = Literal["gdb", "lldb"]
ATTACH_WARMUP_S = 15.0


class Allocations(Model):
    """Windows in which memray tracks every allocation of a Python target."""

    every: Annotated[Duration | None, Field(description="how often, besides early and late in the soak")] = None
    for_: Annotated[Duration | None, Field(alias="for", description="how long; default: a 60th of the soak, <= 5s")] = (
        None
    )
    objects: Annotated[bool, Field(description="Python's small objects too: costs twice the CPU meanwhile")] = True

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.for_ is not None and not 0.2 <= self.for_ <= 60:
            raise ValueError("for: expected 200ms to 60s")
        if self.every is not None and self.every < 10 * (self.for_ or 1.0):
            raise ValueError("every: expected ten times what a window takes, at least 10s")
        return self


class Probe(Model):
    """How often the target's process is looked at, and how closely."""

    every: Annotated[Duration, Field(description="how often to look from outside, 100ms to 60s")] = 1.0
    allocator: Annotated[Duration | None, Field(description="from inside; default: a 120th of the soak, 1s to 10s")] = (
        None
    )
    allocations: Annotated[Allocations | bool, Field(description="false: memray is never used")] = True
    trim: Annotated[bool, Field(description="at the very end, have glibc give back what is free, to see how much")] = (
        False
    )

    attach: Annotated[
        Debugger | None,
        Field(description="brings the agent into a running Python, which it stops for 1-3 s"),
    ] = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not 0.1 <= self.every <= 60:
            raise ValueError("every: expected 100ms to 60s")
        if self.allocator is not None and not 0.5 <= self.allocator <= 600:
            raise ValueError("allocator: expected 500ms to 10m")
        return self

    @property
    def window(self) -> Allocations | None:
        """The allocation windows; None when there are none."""
        if isinstance(self.allocations, Allocations):
            return self.allocations
        return Allocations() if self.allocations else None


def _size_fault(target: Target) -> str:
    """Why nothing will tell the size of a target; empty when something does."""
    size = target.size or ""
    page = target.scrape is not None and target.scrape.prometheus is not None
    if size in METRICS:
        spec = METRICS[size]
        if spec.room not in ("memory", "process", "redis", "go", "jvm"):
            return f"{size} says nothing of how much data there is; expected one such as redis.keys or memory.live"
        return "" if target.watched or target.scrape is not None else f"{size} needs a process to watch, or a door"
    if not re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*", size):
        return f"expected a metric such as redis.keys, or a name on a page of Prometheus, got {size[:60]!r}"
    return "" if page else f"{size} is no metric of soak; to read it from a page, add scrape.prometheus"


_PRICE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([^\W\d_]{1,8}|[$€£¥])\s*/\s*core-hour\s*$")


def _price(value: object) -> object:
    """An amount, and the word of its currency."""
    if value is None:
        return value
    found = _PRICE.match(value) if isinstance(value, str) and len(value) <= 64 else None
    if found is None:
        raise ValueError(f"expected a price such as 0.05 USD/core-hour, got {str(value)[:64]!r}")
    return float(found[1]), found[2]


class Cost(Model):
    """The scale at which a regression is paid for: what each instance serves, how many, and what a core costs."""

    rate: Annotated[Rate, Field(description="requests a second that each instance serves in production")]
    instances: Annotated[int, Field(ge=1, le=10_000_000, description="how many there are")] = 1
    price: Annotated[
        tuple[float, str] | None,
        BeforeValidator(_price),
        WithJsonSchema({"type": "string", "description": "of one core for an hour: 0.05 USD/core-hour"}),
    ] = None


class Scenario(Model):
    """One soak, whole: target, load, phases, probe, reference, criteria."""

    name: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="what its runs and their files are called")
    ]
    target: Annotated[Target, Field(description="where load goes, and which process is watched")]
    load: Annotated[Load, Field(description="who sends how much of what")]
    phases: Annotated[Phases, Field(description="how long each phase lasts")]
    probe: Annotated[Probe, Field(description="how often the process is looked at, and how closely")] = Probe()
    reference: Annotated[
        AnyReference | None, Field(description="a trusted version to compare with: soaked beside it, or {run: FILE}")
    ] = None
    criteria: Annotated[list[Criterion], Field(min_length=1, description="what decides the run, stated up front")]
    stop_early: Annotated[
        Literal["fail", "pass", "both"] | None,
        Field(description="end the run when this verdict is certain; default: never"),
    ] = None
    cost: Annotated[Cost | None, Field(description="what a regression costs at this scale")] = None
    alerts: Annotated[
        list[AlertTo], Field(default_factory=list, max_length=16, description="who is told of findings while it runs")
    ]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """All faults at once, a line each: whoever mends a scenario wants to mend it once."""
        faults = []
        endpoints = set(self.load.per_arrival)
        for i, criterion in enumerate(self.criteria):
            if endpoints and criterion.endpoint is not None and criterion.endpoint not in endpoints:
                known = ", ".join(sorted(endpoints)[:12])
                faults.append(f"criteria[{i}].endpoint: no request is named {criterion.endpoint!r}; there are {known}")
            if criterion.spec.room == "service" and criterion.endpoint in {j.name for j in self.load.journeys or []}:
                faults.append(f"criteria[{i}].metric: a journey has latency, but no service time of its own")
            if criterion.over is not None and criterion.over > self.phases.whole_s:
                faults.append(f"criteria[{i}].over: longer than the soak phase")
            told = self.target.scrape is not None and criterion.spec.room in ("memory", "process")
            if criterion.spec.room in ("memory", "stack", "process", "cpu") and not self.target.watched and not told:
                faults.append(
                    f"criteria[{i}].metric: {criterion.metric} needs a process to watch: "
                    "add process, pid, port, name or observer to the target"
                )
            faults += self._not_measured(f"criteria[{i}]", criterion)
            if criterion.spec.room in ("redis", "go", "jvm") and self.target.scrape is None:
                faults.append(f"criteria[{i}].metric: {criterion.metric} needs a door: add scrape to the target")
        for key, side in (("target", self.target), ("reference", self.beside)):
            if side is not None and side.size is not None and (fault := _size_fault(side)):
                faults.append(f"{key}.size: {fault}")
        if (burst := self.phases.burst) is not None:
            if not self.load.open_model:
                faults.append(
                    "phases.burst: users of the closed model pace themselves and cannot be made to come more often; "
                    "say load.rate instead of load.users"
                )
            elif burst.rate is not None and self.load.rate is not None and burst.rate <= self.load.rate:
                faults.append("phases.burst.rate: expected more than load.rate")
            if self.stop_early in ("pass", "both"):
                faults.append("stop_early: a pass is not certain before the recovery from the burst; say `fail`")
        if self.probe.attach is not None and (self.phases.warmup_s < ATTACH_WARMUP_S or not self.target.watched):
            faults.append(
                f"probe.attach: needs a process to watch here and a warm-up of {ATTACH_WARMUP_S:.0f}s or more: the "
                "debugger gets in where the process allocates, so under load"
            )
        for key, side in (("target", self.target), ("reference", self.beside)):
            if side is not None and side.url.startswith("tcp") and self.load.locustfile is None:
                faults.append(f"{key}.url: a tcp:// target needs load.locustfile: soak itself speaks HTTP")
        if self.beside is not None and self.beside.url.rstrip("/") == self.target.url.rstrip("/"):
            faults.append("reference.url: the same as target.url: both sides would be one program")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _not_measured(self, key: str, criterion: Criterion) -> list[str]:
        """Why a criterion has nothing to be judged by: no reference, no artefact, no time at rest."""
        faults = []
        if criterion.against_reference and self.reference is None:
            faults.append(f"{key}.{criterion.kind}: a ratio needs a reference to compare with: add `reference`")
        compared = self.sides if criterion.against_reference else {"candidate": self.target}
        for side, target in compared.items():
            name = "target" if side == "candidate" else side
            if criterion.metric == "artefact.size" and target.artefact is None:
                faults.append(f"{key}.metric: artefact.size needs a file or folder: add artefact to the {name}")
            needs_process = criterion.spec.room in ("memory", "cpu", "allocations")
            told = target.scrape is not None and criterion.spec.room == "memory"
            if side == "reference" and needs_process and not target.watched and not told:
                faults.append(
                    f"{key}.metric: {criterion.metric} needs a process to watch on both sides: "
                    "add process, pid, port, name or observer to the reference"
                )
        if criterion.metric == "memory.idle" and not self.phases.idle_before:
            faults.append(f"{key}.metric: memory.idle is measured before the load: add phases.idle_before")
        return faults

    @property
    def sides(self) -> dict[str, Target]:
        """What is soaked, by side: the candidate, and the reference if there is one."""
        return {"candidate": self.target} | ({"reference": self.beside} if self.beside else {})

    @property
    def beside(self) -> Reference | None:
        """The reference that is soaked beside the candidate."""
        return self.reference if isinstance(self.reference, Reference) else None

    @property
    def earlier(self) -> EarlierRuns | None:
        """The earlier runs that are the reference."""
        return self.reference if isinstance(self.reference, EarlierRuns) else None

    @property
    def soak_end_s(self) -> float:
        """When the soak phase ends, in seconds since the start of load."""
        return self.phases.warmup_s + self.phases.soak

    def soak_ends(self, begin: float) -> float:
        """When the soak phase ends if load starts at `begin`; the same number, to the bit, for everyone who asks."""
        return round(begin + self.soak_end_s, 6)

    @property
    def load_s(self) -> float:
        """Seconds during which arrivals are scheduled: warm-up, soak, and burst and recovery if there are any."""
        burst = self.phases.burst
        return self.soak_end_s + (burst.length + burst.recovery if burst is not None else 0.0)

    def curve(self, folder: Path) -> Curve:
        """Arrivals over time in an open model, the burst included; a trace is read from `folder`.

        Raises OSError and ValueError when it cannot be.
        """
        usual, burst = curve_of(self.load.rate, self.load.pattern, folder), self.phases.burst
        if burst is None:
            return usual
        return Burst(usual, self.soak_end_s, burst.length, burst.rate, burst.times or 1.0)

    def expected(self, start: float, end: float, folder: Path) -> float | None:
        """Arrivals expected from `start` to `end` (s since the start of load); None if the target decides it.

        A trace is read from `folder`. Raises OSError and ValueError when it cannot be.
        """
        if not self.load.open_model:
            return None
        curve = self.curve(folder)
        return curve.expected(end) - curve.expected(start)

    @property
    def drain_s(self) -> float:
        """Longest drain in seconds: every request in flight has answered or timed out by then.

        A journey that is under way goes on to its end, pauses included.
        """
        return self.load.timeout + self.load.thinking[1] + DRAIN_MARGIN

    @property
    def allocator_s(self) -> float:
        """Seconds between two looks at the allocator from inside."""
        return self.probe.allocator or min(10.0, max(1.0, self.phases.soak / 120))

    @property
    def inspection_s(self) -> float:
        """Seconds of each part of a costly look: allocations, and where time goes."""
        window = self.probe.window
        return window.for_ if window and window.for_ else min(5.0, max(0.5, self.phases.soak / 60))

    @property
    def interval_s(self) -> float:
        """Length of a recording interval in seconds: 1 s for short runs, 10 s from two hours on.

        Two dozen of them fit into a recovery: when it was over is told by them.
        """
        burst = self.phases.burst
        finest = min(self.phases.soak / 720, burst.recovery / 24) if burst is not None else self.phases.soak / 720
        return min(10.0, max(1.0, float(round(finest))))
