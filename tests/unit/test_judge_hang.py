"""Targets that live and answer nothing, and others that only look like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.histogram import Recorder
from soak.core.records import Event, Recording, SideRecording, Window
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import Shape, recording, scenario, side
from tests.unit.judging import changed, failing, the

TIMEOUT = 4.0
LOAD = {"rate": "100/s", "timeout": "4s", "requests": [{"name": "browse", "get": "/"}]}
STRICT = [{"metric": "errors.ratio", "below": "1%"}, {"metric": "latency.p99", "below": "50ms"}]


def timing_out(made: SideRecording, *, failing_fast: bool = False) -> SideRecording:
    """The same side, but what failed in it ran into its timeout (or was refused at once)."""
    windows = {key: value for key, value in made.windows.items() if key[1] != "failed"}
    for clock in ("latency", "service"):
        late = []
        for window in made.windows.get(("browse", "failed", clock), ()):  # type: ignore[call-overload]
            recorder = Recorder()
            for _ in range(window.histogram.total):
                recorder.record(0.001 if failing_fast else TIMEOUT)
            late.append(Window(window.start, window.length, recorder.take()))
        windows["browse", "failed" if failing_fast else "timeout", clock] = tuple(late)  # type: ignore[index]
    return changed(made, windows=windows)  # type: ignore[no-any-return]


def hanging(
    start: float = 60.0, end: float = 1e9, events: tuple[Event, ...] = (), fast: bool = False, **changes: Any
) -> Recording:
    """A run of 120 s of soak, from 15 s on, in which nothing is answered from `start` to `end`."""
    spec = scenario(criteria=STRICT, load=LOAD)
    dead: Shape = lambda t: ((t >= start) & (t < end)).astype(float)  # noqa: E731
    made = timing_out(side(spec, **{"failed_share": dead} | changes), failing_fast=fast)
    return recording(spec, made, events=events)


def judged(*args: Any, **changes: Any) -> Verdict:
    return judge(hanging(*args, **changes))


def cores(before: float, after: float, at: float = 60.0) -> Shape:
    return lambda t: np.cumsum(np.where(t > at, after, before))


def test_one_that_never_answers_again_hangs_and_that_comes_first() -> None:
    verdict = judged()
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    assert failing(verdict) == ["hang"], "its errors and latencies are not told once more"
    found = the(verdict, "hang")
    assert (found.start, found.end) == (60.0, 135.0)
    assert verdict.headline.startswith(
        "FAIL: it hangs: no answer from 45 s into the soak on, for 1 min 15 s, to the end"
    )
    assert "7500 arrivals in a row" in found.evidence[0]
    assert found.advice


@pytest.mark.parametrize(
    "series,said",
    [
        ({"process.cpu_seconds": cores(0.3, 0.001)}, "its CPU is idle (0.001 cores; 0.3 before): it waits, for a lock"),
        ({"process.cpu_seconds": cores(0.3, 1.0)}, "its CPU is busy (1 cores; 0.3 before): an endless loop"),
        ({"process.cpu_seconds": cores(0.5, 0.2)}, "it takes requests, and does not finish them"),
        (
            {"process.threads_stuck": lambda t: np.where(t > 60, 3.0, 0.0)},
            "3 threads are stuck in the kernel (state D)",
        ),
        (
            {"process.threads_stopped": lambda t: np.where(t > 60, 2.0, 0.0)},
            "2 threads are stopped (state T)",
        ),
    ],
)
def test_what_it_does_meanwhile_is_told(series: dict[str, Shape], said: str) -> None:
    evidence = "\n".join(the(judged(series=series), "hang").evidence)
    assert said in evidence
    assert "it lives: processes: 1, threads: 4" in evidence


def test_one_that_came_back_hung_nevertheless() -> None:
    verdict = judged(60.0, 80.0)
    assert failing(verdict) == ["hang"]
    assert the(verdict, "hang").title == "it hung: no answer for 20 s from 45 s into the soak on"


def test_a_hang_that_began_in_the_warm_up_is_found() -> None:
    verdict = judged(12.0)
    assert failing(verdict) == ["hang"]
    assert "from 3 s before the soak on" in verdict.headline


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(hanging(60.0, 67.0), id="a stall shorter than two timeouts"),
        pytest.param(hanging(60.0, fast=True), id="errors that come at once are answers"),
        pytest.param(hanging(60.0, lag_max=2.0), id="a generator in trouble"),
        pytest.param(hanging(0.0), id="it never answered"),
        pytest.param(
            hanging(60.0, events=(Event(60.5, "target_exit", "candidate", "exited with code 3", {"code": 3}),)),
            id="it died",
        ),
        pytest.param(
            hanging(failed_share=lambda t: np.where(t >= 60.0, 0.98, 0.0)), id="some answers still come: overload"
        ),
    ],
)
def test_what_is_no_hang(run: Recording) -> None:
    assert "hang" not in failing(judge(run))


def test_what_was_wrong_before_it_hung_is_still_told() -> None:
    slower: Shape = lambda t: 0.005 * (1 + t / 40)  # noqa: E731
    assert failing(judged(100.0, latency=slower)) == ["hang", "superlinear_cost"]
