"""Bursts of known truth: who came back, how soon, and who did not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Phase, Recording, Series
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, the

PHASES = {"idle_before": "5s", "warmup": "10s", "soak": "120s", "idle_after": "5s"}
BURST_AT, OVER, END = 135.0, 145.0, 205.0


def bursting(until: float | None = None, **changes: Any) -> Recording:
    """A made run with a burst of 10 s and a minute of recovery; the burst itself is `changes`' affair."""
    burst = {"times": 5, "for": "10s", "recovery": "60s"}
    spec = scenario(criteria=LOOSE, phases=PHASES | {"burst": burst})
    made = side(spec, until=until, **changes)
    end = min(END, until or END)
    phases = [Phase("idle_before", 0, 5), Phase("warmup", 5, 15), Phase("soak", 15, min(BURST_AT, end))]
    phases += [Phase("burst", BURST_AT, min(OVER, end))] if end > BURST_AT else []
    phases += [Phase("recovery", OVER, end)] if end > OVER else []
    whole = recording(spec, made)
    return changed(whole, phases=(*phases, Phase("drain", end, end + 1)), duration=end + 7)


def judged(**changes: Any) -> Verdict:
    return judge(bursting(**changes))


def after(seconds: float, usual: float, then: float) -> Shape:
    """`usual`, and `then` from the burst until `seconds` after it."""
    return lambda t: np.where((t >= BURST_AT) & (t < OVER + seconds), then, usual)


def test_a_burst_that_costs_what_it_costs_is_no_fault_and_says_how_soon_it_was_over() -> None:
    verdict = judged(latency=after(12, 0.005, 0.8), failed_share=after(6, 0.0, 0.4))
    assert verdict.verdict == "pass", verdict.headline
    assert failing(verdict) == []
    (note,) = [n for n in verdict.notes if "burst" in n]
    assert "it was over within 12 s" in note
    assert verdict.candidate.latency["browse"].failed == 0  # the soak does not see it


@pytest.mark.parametrize(
    "changes,metric,said",
    [
        pytest.param({"latency": after(99, 0.005, 0.1)}, "latency.", "of browse is 1", id="slow"),
        pytest.param({"failed_share": after(99, 0.0, 0.05)}, "errors.", "of requests fail (0 % before", id="failing"),
    ],
)
def test_one_that_stays_worse_has_not_recovered(changes: dict[str, Any], metric: str, said: str) -> None:
    verdict = judged(**changes)
    assert verdict.verdict == "fail"
    found = the(verdict, "no_recovery")
    assert found.metric.startswith(metric)
    assert found.severity == "fail"
    assert said in found.title
    assert found.advice
    assert (found.start, found.end) == (BURST_AT, END)


def test_what_was_bad_before_the_burst_is_not_blamed_on_it() -> None:
    verdict = judged(failed_share=lambda t: np.full_like(t, 0.05), latency=lambda t: np.full_like(t, 0.3))
    assert "no_recovery" not in failing(verdict)


def test_a_hiccup_in_the_end_is_no_missing_recovery() -> None:
    verdict = judged(latency=lambda t: np.where((t > 186) & (t < 193), 0.5, 0.005))
    assert failing(verdict) == []


@pytest.mark.parametrize("until", [120.0, 140.0, 160.0])
def test_a_recovery_that_was_not_seen_to_its_end_is_no_pass(until: float) -> None:
    verdict = judged(until=until)
    assert verdict.verdict == "inconclusive"
    assert any("recovery from the burst was not" in r for r in verdict.reasons)


def test_what_the_burst_took_and_what_stayed_is_told_and_proves_nothing() -> None:
    held: dict[str, Shape] = {
        "process.threads": lambda t: np.where(t > BURST_AT + 2, 140.0, 4.0),
        "process.fds": lambda t: np.where(t > BURST_AT + 2, 60.0, 20.0),  # the generator's own connections
        "memory.anon": lambda t: np.where(t > BURST_AT + 2, 90 * MIB, 40 * MIB),
    }
    verdict = judged(series=held)
    assert verdict.verdict == "pass"
    notes = " ".join(verdict.notes)
    assert "threads: 4 before the burst, 140 at most, and 140 still in the end" in notes
    assert "heaps and pools often keep" in notes
    assert "file descriptors" not in notes


@pytest.mark.parametrize(
    "changes,result",
    [({"latency": after(99, 0.005, 0.1)}, "inconclusive"), ({"failed_share": after(99, 0.0, 0.9)}, "fail")],
)
def test_a_busy_host_excuses_slowness_and_not_that_most_requests_fail(changes: dict[str, Any], result: str) -> None:
    whole = bursting(**changes)
    t = np.arange(0.0, END, 1.0)
    busy = Series(t, np.where(t > OVER, 0.9, 0.1))
    verdict = judge(changed(whole, host={**whole.host, "host.cpu": busy}))
    assert verdict.verdict == result, verdict.headline
