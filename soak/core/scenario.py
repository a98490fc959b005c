"""The Scenario: what a soak will do and what it is judged by; pydantic models of the YAML contract.

Unknown keys are refused: one that is silently ignored would let a run pass a criterion nobody checked.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from soak.core.alerting import AlertTo
from soak.core.criterion import Criterion
from soak.core.load import Load
from soak.core.model import Model, Rate
from soak.core.pattern import Burst, Curve, curve_of
from soak.core.phases import Phases
from soak.core.probing import ATTACH_WARMUP_S, Probe
from soak.core.target import AnyReference, EarlierRuns, Reference, Target, size_fault

DRAIN_MARGIN = 2.0
"""Seconds that drain waits beyond the request timeout, for the last answers to be recorded."""


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
            if side is not None and side.size is not None and (fault := size_fault(side)):
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
        here = self.target.watched and self.target.observer is None
        if self.probe.attach is not None and (self.phases.warmup_s < ATTACH_WARMUP_S or not here):
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
    def longest_s(self) -> float:
        """All phases and the longest drain, in seconds."""
        return self.phases.idle_before + self.load_s + self.drain_s + self.phases.idle_after

    @property
    def highest_rate(self) -> float | None:
        """Requests a second to each side, on average where load is highest; None where nothing bounds them.

        Users without a rate send as fast as they are answered.
        """
        load, burst = self.load, self.phases.burst
        rates = [load.rate, load.pattern.highest if load.pattern is not None else None]
        usual = max((rate for rate in rates if rate is not None), default=None)
        if usual is None or load.locustfile is not None or (load.pattern is not None and load.pattern.file is not None):
            return None
        highest = max(usual, (burst.rate or usual * (burst.times or 1.0)) if burst is not None else 0.0)
        return highest * sum(share for share, _ in load.calls)

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
