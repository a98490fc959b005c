"""Short ways from a shape to its verdict, for the tests of the judge."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from soak.core.histogram import Recorder
from soak.core.records import Event, Recording, SideRecording, Window
from soak.core.verdict import CriterionResult, Finding, Verdict
from soak.judge import judge
from soak.judge.side import Side
from tests.making import MIB, Shape, recording, scenario, side

LOOSE = [{"metric": "errors.ratio", "below": "50%"}]


def judged(criteria: list[dict[str, Any]] | None = None, events: tuple[Event, ...] = (), **changes: Any) -> Verdict:
    """The verdict on one made run; `changes` are those of `making.side`."""
    spec = scenario(criteria=criteria or LOOSE)
    return judge(recording(spec, side(spec, **changes), events=events))


def view(**changes: Any) -> Side:
    """A made run as the cause rules see it."""
    spec = scenario(criteria=LOOSE)
    whole = recording(spec, side(spec, **changes))
    assert whole.soak_span is not None
    return Side("candidate", whole, *whole.soak_span)


def the_criterion(criterion: dict[str, Any], **changes: Any) -> CriterionResult:
    """How one criterion came out."""
    return judged([criterion], **changes).criteria[0]


def failing(verdict: Verdict) -> list[str]:
    """Causes of the findings that fail the run."""
    return [f.cause for f in verdict.candidate.findings if f.severity == "fail"]


def the(verdict: Verdict, cause: str) -> Finding:
    """The one finding of that cause."""
    (finding,) = [f for f in verdict.candidate.findings if f.cause == cause]
    return finding


def memory(shape: Shape, seed: int = 7, sd: float = 0.1) -> dict[str, Shape]:
    """Series of memory in MiB by `shape`, with independent noise of `sd` MiB."""
    rng = np.random.default_rng(seed)
    return {name: (lambda t: (shape(t) + rng.normal(0, sd, len(t))) * MIB) for name in ("memory.rss", "memory.anon")}


def sawtooth(period: float, seed: int, size: float = 20.0) -> dict[str, Shape]:
    """Memory that climbs from 50 MiB by `size` MiB in `period` seconds, and is collected."""
    return memory(lambda t: 50 + size * ((t % period) / period), seed)


def timing_out(made: SideRecording, share: float, after: float = 1.0) -> SideRecording:
    """The same, with so many more requests that were given up after so many seconds in each interval."""
    windows = dict(made.windows)
    for clock in ("latency", "service"):
        cut = []
        for w in made.windows["browse", "ok", clock]:  # type: ignore[index]
            recorder = Recorder()
            for _ in range(math.ceil(share * w.histogram.total)):
                recorder.record(after)
            cut.append(Window(w.start, w.length, recorder.take()))
        windows["browse", "timeout", clock] = tuple(cut)  # type: ignore[index]
    return changed(made, windows=windows)  # type: ignore[no-any-return]


def changed(made: Any, **fields: Any) -> Any:
    """A copy of a Recording or SideRecording with other fields."""
    assert isinstance(made, (Recording, SideRecording))
    return type(made)(**({name: getattr(made, name) for name in type(made).__slots__} | fields))
