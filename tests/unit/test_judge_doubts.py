from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import SideRecording
from soak.judge import judge
from tests.making import recording, scenario, side
from tests.unit.judging import changed, judged

HOLDS_LITTLE = {"metric": "memory.rss", "growth_below": "1 GiB"}


def failing_from(share: float) -> SideRecording:
    return side(scenario(), failed_share=lambda t: np.full_like(t, share))


def test_a_target_that_answers_nothing_as_it_should_was_not_soaked() -> None:
    verdict = judged([HOLDS_LITTLE], failed_share=np.ones_like)
    assert verdict.verdict == "inconclusive"
    assert "no request of the soak was answered as it should be" in verdict.headline


def test_a_soak_without_an_arrival_says_nothing_of_the_target_at_work() -> None:
    spec = scenario(criteria=[HOLDS_LITTLE])
    made = side(spec)
    idle = tuple(changed_tally(y) for y in made.tallies)
    verdict = judge(recording(spec, changed(made, windows={}, tallies=idle, scheduled=0)))
    assert verdict.verdict == "inconclusive"


def changed_tally(y: object) -> object:
    fields = {name: getattr(y, name) for name in type(y).__slots__}  # type: ignore[attr-defined]
    return type(y)(**(fields | {"scheduled": 0, "done": 0}))


@pytest.mark.parametrize(
    "bad,load,verdict",
    [
        pytest.param(500, {}, "inconclusive", id="never answered"),
        pytest.param(9, {}, "pass", id="too few to say so"),
        pytest.param(500, {"load": {"rate": "100/s", "locustfile": "shop.py::Shop"}}, "pass", id="a locustfile's own"),
    ],
)
def test_an_endpoint_that_is_never_answered_was_not_soaked(bad: int, load: dict[str, Any], verdict: str) -> None:
    spec = scenario(criteria=[HOLDS_LITTLE], **load)
    made = side(spec)
    failed = failing_from(1.0).windows["browse", "failed", "latency"]
    soak = [w for w in failed if w.start >= 15][: -(-bad // 100)]
    part = [changed_window(w, min(100, bad)) for w in soak]
    windows = dict(made.windows) | {("buy", "failed", clock): tuple(part) for clock in ("latency", "service")}
    found = judge(recording(spec, changed(made, windows=windows)))
    assert found.verdict == verdict
    assert any("requests of buy" in r for r in found.reasons) == (verdict == "inconclusive")


def changed_window(window: object, most: int) -> object:
    h = window.histogram  # type: ignore[attr-defined]
    kept = np.minimum(np.cumsum(h.counts), most)
    counts = np.diff(np.concatenate([[0], kept]))
    fields = {name: getattr(window, name) for name in type(window).__slots__}  # type: ignore[attr-defined]
    return type(window)(**(fields | {"histogram": type(h)(h.index[counts > 0], counts[counts > 0])}))


def test_some_failures_do_not_keep_a_run_from_passing() -> None:
    assert judged([HOLDS_LITTLE], failed_share=lambda t: np.full_like(t, 0.3)).verdict == "pass"


def test_a_reference_that_answers_nothing_is_no_yardstick_of_what_it_holds() -> None:
    spec = scenario(
        criteria=[{"metric": "memory.rss", "ratio_below": 1.5}],
        reference={"url": "http://127.0.0.1:8001", "process": {"command": "server"}},
    )
    verdict = judge(recording(spec, side(spec), failing_from(1.0)))
    assert verdict.verdict == "inconclusive"
    assert "no yardstick" in verdict.criteria[0].reason
