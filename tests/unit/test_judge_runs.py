"""Whole runs against whole runs: the noise is that between runs, and what it hides is not claimed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from soak.core.summary import ASSUMED, Failures, Level, Noise, Spread, Summary
from soak.core.verdict import Verdict
from soak.judge import EARLIER, judge, summarise
from soak.judge.runs import against_pairs, against_runs, measured_in, smallest, spread_of
from tests.making import recording, scenario, side
from tests.unit.judging import changed, the


def one(value: float, run: str = "r", bad: int = 0) -> Summary:
    levels = (Level("latency.p50", "browse", value), Level("memory.rss", None, 50e6 * value))
    return Summary(run, "load", 0.0, 60.0, levels, (Failures(None, bad, 6000), Failures("browse", bad, 6000)))


def pairs(ratio: float, sd: float, k: int, seed: int) -> list[tuple[Summary, Summary]]:
    rng = np.random.default_rng(seed)
    return [(one(ratio * math.exp(rng.normal(0, sd))), one(math.exp(rng.normal(0, sd)))) for _ in range(k)]


def earlier(values: list[float], **changes: Any) -> Verdict:
    """A candidate of 5 ms against earlier runs of so many seconds."""
    spec = scenario(reference={"run": ["old.soak"]}, criteria=[{"metric": "latency.p50", "ratio_below": 1.1}])
    made = recording(spec, side(spec, seed=1, **changes))
    ours = summarise(made, "")
    runs = [
        replace(ours, run=f"old-{i}", levels=tuple(replace(x, value=x.value * v) for x in ours.levels))
        for i, v in enumerate(values)
    ]
    kept = {"runs": [s.to_json() for s in runs], "noise": Noise().to_json()}
    return judge(changed(made, provenance={EARLIER: json.loads(json.dumps(kept))}))


def test_one_earlier_run_has_assumed_noise_and_says_so() -> None:
    verdict = earlier([1.0])
    (result,) = verdict.criteria
    assert result.result == "inconclusive"
    assert result.high == pytest.approx(math.exp(1.96 * ASSUMED["latency"] * math.sqrt(2)), rel=1e-3)
    assert any("is assumed" in note for note in verdict.notes)


def test_a_large_loss_against_one_earlier_run_fails() -> None:
    verdict = earlier([0.7])
    assert verdict.criteria[0].result == "fail"
    assert the(verdict, "latency_regression").severity == "fail"


def test_the_spread_of_several_is_their_noise() -> None:
    assert earlier([1.0, 1.004, 0.996, 1.002]).criteria[0].result == "pass"
    assert earlier([1.0, 1.2, 0.8, 1.1]).criteria[0].result == "inconclusive"


@pytest.mark.parametrize(
    "kept", [None, {}, {"runs": [{"run": "x"}], "noise": {}}, {"runs": [], "noise": Noise().to_json()}]
)
def test_what_it_was_compared_with_missing_fails_closed(kept: Any) -> None:
    spec = scenario(reference={"run": "old.soak"}, criteria=[{"metric": "latency.p50", "ratio_below": 9}])
    verdict = judge(changed(recording(spec), provenance={EARLIER: kept} if kept is not None else {}))
    assert verdict.verdict == "inconclusive"
    assert "no data is no pass" in verdict.criteria[0].reason


def test_measured_noise_takes_the_place_of_the_assumed_one() -> None:
    calm = Noise("load", (Spread("latency.p50", "browse", 0.001, 10),))
    found = against_runs("latency.p50", "browse", one(1.02), [one(1.0)], calm).ratio
    assert found is not None
    assert found.low > 1
    usual = against_runs("latency.p50", "browse", one(1.02), [one(1.0)], Noise()).ratio
    assert usual is not None
    assert usual.low < 1


def test_pairs_of_the_same_program_are_seldom_told_apart() -> None:
    false = 0
    for seed in range(300):
        found = against_pairs("latency.p50", "browse", pairs(1.0, 0.03, 5, seed)).ratio
        assert found is not None
        false += found.p < 0.05
    assert false <= 24  # 15 expected


def test_eight_pairs_see_what_they_say_they_see() -> None:
    """The change that is called visible with a power of 90 % is seen about so often."""
    sizes = [smallest(against_pairs("latency.p50", "browse", pairs(1, 0.03, 8, s)), 8, 1) for s in range(200)]
    size = float(np.mean([s for s in sizes if s is not None]))
    seen = sum(
        r.p < 0.05 and r.value > 1
        for s in range(200)
        if (r := against_pairs("latency.p50", "browse", pairs(size, 0.03, 8, 1000 + s)).ratio) is not None
    )
    assert 165 <= seen <= 199


def test_more_metrics_asked_for_hide_more() -> None:
    found = against_pairs("latency.p50", "browse", pairs(1, 0.03, 8, 1))
    alone, among = smallest(found, 8, 1), smallest(found, 8, 20)
    assert alone is not None
    assert among is not None
    assert 1 < alone < among


def test_one_pair_claims_nothing() -> None:
    found = against_pairs("latency.p50", "browse", pairs(2.0, 0.01, 1, 1))
    assert found.ratio is None
    assert "two or more" in found.missing


def test_failures_of_runs_are_compared_by_their_counts() -> None:
    found = against_pairs("errors.ratio", None, [(one(1, bad=60), one(1)) for _ in range(4)])
    assert found.ratio is not None
    assert found.ratio.low > 10
    assert against_pairs("errors.ratio", None, [(one(1), one(1))]).ratio is None


def test_the_spread_of_runs_is_found_again() -> None:
    spread = spread_of("latency.p50", "browse", pairs(1.0, 0.03, 200, 3))
    assert spread is not None
    assert spread.sd == pytest.approx(0.03, rel=0.15)
    assert spread.freedom == 200


def test_only_what_all_runs_have_is_compared() -> None:
    bare = replace(one(1.0), levels=(Level("memory.rss", None, 5e7),))
    assert ("latency.p50", "browse") in measured_in([one(1.0), one(2.0)])
    assert measured_in([one(1.0), bare]) == [("errors.ratio", None), ("memory.rss", None)]


def test_a_summary_and_its_noise_come_back_from_json() -> None:
    spec = scenario()
    summary = summarise(recording(spec), "")
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    assert summary.level("latency.p50", "browse") == pytest.approx(0.005, rel=0.05)
    noise = Noise("x", (Spread("latency.p50", None, 0.1, 3),))
    assert Noise.from_json(json.loads(json.dumps(noise.to_json()))) == noise
    with pytest.raises(ValueError, match=r"not a soak\.noise/1"):
        Noise.from_json({"schema": "other", "load": "", "spreads": []})
