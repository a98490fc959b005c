"""A run in a few numbers: one level a metric, to be held against those of other runs; and how much runs differ.

A run file that is compared with keeps these numbers of the others, so that it says the same when they are gone.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from soak.core import units
from soak.core.metrics import METRICS
from soak.core.scenario import Scenario

_LENGTH_SHARE = 0.05
_LENGTH_SLACK_S = 1.0
"""Lengths that differ by no more than that share, or by so little, are the same."""

NOISE_SCHEMA = "soak.noise/1"

ASSUMED: Mapping[str, float] = {
    "latency": 0.05,
    "service": 0.05,
    "cpu": 0.03,
    "throughput": 0.02,
    "errors": 0.25,
    "memory": 0.02,
    "allocations": 0.02,
    "artefact": 0.0,
}
"""Standard deviation from run to run of the same program, as a share of its level, by room: assumed, not measured.

`soak compare SCENARIO --calibrate` measures it on the host that it is for.
"""


@dataclass(frozen=True, slots=True)
class Level:
    """One metric of a run in base units; `censored` when requests were given up there: the true one is that or more."""

    metric: str
    endpoint: str | None
    value: float
    censored: bool = False


@dataclass(frozen=True, slots=True)
class Failures:
    """Requests of an endpoint (None: of all) that failed, of how many."""

    endpoint: str | None
    bad: int
    total: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A run as others are compared with it. `load` stands for the traffic; `unfit` says why nothing can be held
    against it, empty if it can; `started` is wall-clock time (s since 1970), `soak_s` and `warmup_s` how long it really
    soaked and warmed up (s)."""

    run: str
    load: str
    started: float
    soak_s: float
    levels: tuple[Level, ...]
    failures: tuple[Failures, ...]
    unfit: str = ""
    warmup_s: float = 0.0

    def measured(self, metric: str, endpoint: str | None) -> Level | None:
        """What it has of a metric; None when it was not measured."""
        return next((x for x in self.levels if (x.metric, x.endpoint) == (metric, endpoint)), None)

    def level(self, metric: str, endpoint: str | None) -> float | None:
        """Its value of a metric; None when it was not measured."""
        found = self.measured(metric, endpoint)
        return found.value if found is not None else None

    def failed(self, endpoint: str | None) -> Failures | None:
        """Its failures of an endpoint; None when it had no request."""
        return next((x for x in self.failures if x.endpoint == endpoint), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` gave. Raises KeyError and TypeError when it is something else."""
        levels = tuple(Level(**x) for x in data["levels"])
        failures = tuple(Failures(**x) for x in data["failures"])
        return cls(**{**data, "levels": levels, "failures": failures})


@dataclass(frozen=True, slots=True)
class Spread:
    """The standard deviation of a metric's logarithm from run to run, from `freedom` degrees (0: assumed)."""

    metric: str
    endpoint: str | None
    sd: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Noise:
    """How much runs of one program differ under one load; empty, it is assumed by room."""

    load: str = ""
    spreads: tuple[Spread, ...] = ()

    def of(self, metric: str, endpoint: str | None) -> Spread:
        """That of one metric, measured or assumed."""
        found = next((s for s in self.spreads if (s.metric, s.endpoint) == (metric, endpoint)), None)
        return found or Spread(metric, endpoint, ASSUMED.get(METRICS[metric].room, 0.05), 0)

    def to_json(self) -> dict[str, Any]:
        """The `soak.noise/1` document."""
        return {"schema": NOISE_SCHEMA, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read the document. Raises KeyError, TypeError and ValueError when it is something else."""
        if data["schema"] != NOISE_SCHEMA:
            raise ValueError(f"not a {NOISE_SCHEMA} document")
        spreads = tuple(Spread(**s) for s in data["spreads"])
        if not all(s.sd >= 0 and math.isfinite(s.sd) for s in spreads):
            raise ValueError("a spread is not a number of at least 0")
        return cls(str(data["load"]), spreads)


def load_digest(scenario: Scenario) -> str:
    """Stands for what was asked of a target, however it was generated: runs under another load are not compared."""
    kept = scenario.load.model_dump(mode="json", by_alias=True, exclude={"workers", "precision"})
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def apart(ours: tuple[float, float], theirs: tuple[float, float]) -> str:
    """Why runs of such lengths (s), soak and warm-up, tell nothing of each other; empty if they do.

    What fills, leaks or warms up is at another level after another time: that is no difference of the programs.
    """
    for what, a, b in zip(("soaked", "warmed up"), ours, theirs, strict=True):
        if abs(a - b) > max(_LENGTH_SLACK_S, _LENGTH_SHARE * max(a, b)):
            return f"one {what} for {units.duration(round(a))}, the other for {units.duration(round(b))}"
    return ""
