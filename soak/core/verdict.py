"""The verdict and its parts, and their JSON form `soak.verdict/1`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from soak.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_INVALID, EXIT_PASS

Result = Literal["pass", "fail", "inconclusive", "invalid"]
RESULTS: tuple[Result, ...] = get_args(Result)
Severity = Literal["fail", "warning", "info"]
"""A finding of severity `fail` fails the run by itself; the others explain."""
Confidence = Literal["high", "medium", "low"]
"""How sure the cause of a finding is. That there is something to find is as sure as its interval says."""

SCHEMA = "soak.verdict/1"
EXIT_CODES: Mapping[str, int] = {
    "pass": EXIT_PASS,
    "fail": EXIT_FAIL,
    "inconclusive": EXIT_INCONCLUSIVE,
    "invalid": EXIT_INVALID,
}


def exit_code_of(verdict: Result, interrupted: bool) -> int:
    """How a program that has this verdict ends."""
    return EXIT_INTERRUPTED if interrupted else EXIT_CODES[verdict]


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """How one criterion came out. Values in base units of `unit` (s, bytes, ratio, 1/s, count)."""

    metric: str
    endpoint: str | None
    result: Result
    value: float | None
    low: float | None
    high: float | None
    limit: float
    unit: str
    reason: str
    text: str
    """The criterion as it was written, in one line."""


Change = Literal["worse", "better", "same", "unclear"]
"""What a comparison tells: `same` only when a change that matters would have been seen."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One metric of the candidate against the reference's, values in base units of `unit`.

    `ratio` of candidate to reference has an interval [low, high] (95 %, or surer in a run that may end early), from `n`
    pairs of windows (or of runs); None where there was too little, and `reason` says of what. `p` is two-sided, of a
    ratio of 1, for this metric alone.
    """

    metric: str
    endpoint: str | None
    candidate: float | None
    reference: float | None
    unit: str
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    change: Change
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, with its evidence and the next step.

    `rate` with interval [low, high] is in `rate_unit` (for example bytes/h, or `exponent`: of
    cost by size); `eta_s` is the time left
    to a limit in seconds from the end of the soak, [eta_low_s, eta_high_s] its interval. `start` and
    `end` place it on the time axis of the run.
    """

    cause: str
    metric: str
    endpoint: str | None
    severity: Severity
    title: str
    rate: float | None = None
    rate_unit: str | None = None
    low: float | None = None
    high: float | None = None
    eta_s: float | None = None
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    eta_limit: str | None = None
    cost: str | None = None
    evidence: tuple[str, ...] = ()
    advice: str = ""
    start: float | None = None
    end: float | None = None
    confidence: Confidence | None = None
    location: str | None = None
    """The place in the target's code, as `file:line (function)`."""
    follows: tuple[Finding, ...] = ()
    """Findings that are told as its evidence: what is left of them should it fail nothing itself. Never reported."""


@dataclass(frozen=True, slots=True)
class Validity:
    """Whether the measurement can be trusted: the account of arrivals and the generator's health."""

    scheduled: int
    done: int
    failed: int
    unserved: int
    lost: int
    intervals: int
    invalid_intervals: int
    reasons: tuple[str, ...]

    @property
    def balanced(self) -> bool:
        """scheduled = done + failed + unserved + lost."""
        return self.scheduled == self.done + self.failed + self.unserved + self.lost


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Percentiles of one endpoint or journey over the soak phase, in milliseconds.

    They are taken of all answers and timeouts, and of failed answers too where those were the slower ones,
    so that failing never makes a percentile better. Those named in `censored` lie among the timeouts: the
    true value is that or more. `count` excludes failures; `timeouts` are among `failed`.
    """

    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    p999_ms: float | None
    p9999_ms: float | None
    max_ms: float | None
    count: int
    failed: int
    timeouts: int = 0
    censored: tuple[str, ...] = ()


Why = Literal["grows", "stepped", "below", "settled", "noise", "levelling", "early", "late", "cycles", "many", "short"]


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """What is held of one series. Growth is over its span (s), relative to its level, with a 95 % interval.

    `why` is the reason, of a doubt too. `p` is the p-value of the hypothesis that it does not grow. `onset` is when
    growth began, or a step was (s, on the clock of the series). `longer` is how much longer (in spans) it would have
    to be seen to settle a doubt, if that can be said. `eta` is when a stated limit is reached: at the earliest, by
    the trend and at the latest, in seconds from the end (None: never).
    """

    verdict: Result
    growth: float | None
    low: float | None
    high: float | None
    shape: Literal["flat", "linear", "decelerating", "step", "unknown"]
    why: Why
    start: float = 0.0
    span: float = 0.0
    p: float = 1.0
    onset: float | None = None
    longer: float | None = None
    eta: tuple[float | None, float | None, float | None] = (None, None, None)


@dataclass(frozen=True, slots=True)
class SideVerdict:
    """What was found on one side."""

    findings: tuple[Finding, ...]
    validity: Validity
    latency: Mapping[str, Percentiles]
    service: Mapping[str, Percentiles]


@dataclass(frozen=True, slots=True)
class StoppedEarly:
    """That the run was ended because its verdict was certain.

    `at_s` is when, in seconds of soak, and `saved_s` the load that was left out. `look` is the number of the look of
    `looks` that decided it, at the two-sided `level`; both are None where no statistics were needed. `reasons` are
    those that it was ended for.
    """

    rule: Literal["fail", "pass"]
    at_s: float
    saved_s: float
    look: int | None
    looks: int
    level: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: pass, fail, inconclusive or invalid, and why."""

    run: str
    scenario: str
    verdict: Result
    headline: str
    """One sentence a person on call can act on."""
    reasons: tuple[str, ...]
    interrupted: bool
    soak_s: float
    criteria: tuple[CriterionResult, ...]
    candidate: SideVerdict
    reference: SideVerdict | None = None
    comparison: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = field(default=())
    stopped_early: StoppedEarly | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of the contract."""
        return exit_code_of(self.verdict, self.interrupted)

    def to_json(self) -> dict[str, Any]:
        """The `soak.verdict/1` document; NaN and infinity become null."""
        side = _side(self.candidate)
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "run": self.run,
            "scenario": self.scenario,
            "verdict": self.verdict,
            "headline": self.headline,
            "reasons": list(self.reasons),
            "interrupted": self.interrupted,
            "soak_s": self.soak_s,
            "criteria": [asdict(c) for c in self.criteria],
            **side,
            "reference": _side(self.reference) if self.reference else None,
            "comparison": [asdict(c) for c in self.comparison],
            "notes": list(self.notes),
            "stopped_early": asdict(self.stopped_early) if self.stopped_early else None,
        }
        clean: dict[str, Any] = finite(document)
        return clean


def _side(side: SideVerdict) -> dict[str, Any]:
    return {
        "findings": [{k: v for k, v in asdict(f).items() if k != "follows"} for f in side.findings],
        "validity": asdict(side.validity) | {"balanced": side.validity.balanced},
        "latency": {name: asdict(p) for name, p in side.latency.items()},
        "service": {name: asdict(p) for name, p in side.service.items()},
    }


def finite(value: Any) -> Any:
    """Plain data in which what is infinite or no number is null, as JSON wants it."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
