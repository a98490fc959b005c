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
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import changed, sawtooth, the, timing_out


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


def test_what_any_run_has_is_compared_and_what_one_lacks_is_unclear() -> None:
    """Left out, a percentile that only one program has requests enough for would be a loss that nobody sees."""
    bare = replace(one(1.0), levels=(Level("memory.rss", None, 5e7),), run="bare")
    keys = [("errors.ratio", None), ("latency.p50", "browse"), ("memory.rss", None)]
    assert measured_in([one(1.0), one(2.0)]) == measured_in([one(1.0), bare]) == measured_in([bare, one(1.0)]) == keys
    for found in (
        against_runs("latency.p50", "browse", bare, [one(1.0)], Noise()),
        against_runs("latency.p50", "browse", one(1.0), [one(1.0), bare], Noise()),
        against_pairs("latency.p50", "browse", [(one(1.0), one(1.0)), (one(1.0), bare)]),
    ):
        assert found.ratio is None
        assert found.missing == "latency.p50 was not measured in bare"
    assert ("memory.live", None) not in measured_in([one(1.0), bare])
    silent = replace(bare, failures=())
    assert ("errors.ratio", None) in measured_in([one(1.0), silent])
    assert "no request was made in bare" in against_runs("errors.ratio", None, silent, [one(1.0)], Noise()).missing


@pytest.mark.parametrize("field", ["soak_s", "warmup_s"])
def test_runs_of_another_length_are_not_compared_but_by_what_is_measured_once(field: str) -> None:
    """Memory that fills is at another level after ten minutes than after two: the same program, and no loss."""
    ours = replace(one(1.5), warmup_s=30.0)
    longer, alike = (replace(ours, run="old", **{field: getattr(ours, field) * x}) for x in (2, 1.03))
    found = against_runs("memory.rss", None, ours, [longer], Noise())
    assert found.ratio is None
    assert "the other for" in found.missing
    assert against_pairs("memory.rss", None, [(ours, longer)] * 3).ratio is None
    assert against_runs("errors.ratio", None, ours, [longer], Noise()).missing
    assert against_runs("memory.rss", None, ours, [alike], Noise()).ratio is not None
    at_rest = (Level("memory.idle", None, 5e7),)
    once = against_runs("memory.idle", None, replace(ours, levels=at_rest), [replace(longer, levels=at_rest)], Noise())
    assert once.ratio is not None


def test_a_run_that_was_cut_short_is_not_held_against_whole_ones() -> None:
    spec = scenario(reference={"run": ["old.soak"]}, criteria=[{"metric": "latency.p50", "ratio_below": 1.1}])
    made = recording(spec, side(spec))
    longer = replace(summarise(made, ""), run="old", soak_s=600.0)
    kept = {"runs": [longer.to_json()] * 3, "noise": Noise().to_json()}
    verdict = judge(changed(made, provenance={EARLIER: kept}))
    assert verdict.criteria[0].result == "inconclusive"
    assert "one soaked for 2 min, the other for 10 min" in verdict.criteria[0].reason
    assert {c.change for c in verdict.comparison if c.metric != "memory.idle"} == {"unclear"}


@pytest.mark.parametrize("mine,other", [(8, 5), (10, 6), (6, 7), (5, 12)])
def test_the_level_of_a_sawtooth_does_not_depend_on_whether_it_is_found(mine: float, other: float) -> None:
    spec = scenario()
    ours, theirs = (
        summarise(recording(spec, side(spec, series=sawtooth(p, seed))), "") for p, seed in ((mine, 1), (other, 2))
    )
    for run in (ours, theirs):
        assert run.level("memory.anon", None) == pytest.approx(50 * MIB, rel=0.03)


def test_throughput_is_judged_against_earlier_runs_of_one_endpoint_too() -> None:
    spec = scenario(reference={"run": ["old.soak"]}, criteria=[{"metric": "throughput.rate", "ratio_above": 0.9}])
    made = recording(spec, side(spec))
    ours = summarise(made, "")
    for times, result in ((1.0, "pass"), (2.0, "fail")):
        levels = tuple(replace(x, value=x.value * times) for x in ours.levels if x.metric == "throughput.rate")
        kept = {"runs": [replace(ours, run="old", levels=levels).to_json()], "noise": Noise().to_json()}
        verdict = judge(changed(made, provenance={EARLIER: kept}))
        assert [r.result for r in verdict.criteria] == [result], verdict.criteria[0].reason


def test_a_run_in_which_nothing_was_done_has_lost_its_throughput() -> None:
    def rate(value: float) -> Summary:
        return replace(one(1.0), levels=(Level("throughput.rate", None, value), Level("memory.live", None, value)))

    found = against_runs("throughput.rate", None, rate(0.0), [rate(100.0)], Noise()).ratio
    assert found is not None
    assert found.high < 0.01
    nothing = against_runs("memory.live", None, rate(0.0), [rate(100.0)], Noise())
    assert nothing.missing == "memory.live is zero in r, and a ratio to zero says nothing"


@pytest.mark.parametrize("k,most", [(1, 6), (2, 6), (8, 6)])
def test_failures_of_the_same_program_differ_from_run_to_run(k: int, most: int) -> None:
    """A quarter more or less each time, of 600 failures: within a run that is far beyond chance. 3 of 120 are 2.5 %."""
    rng, false = np.random.default_rng(4), 0

    def run() -> Summary:
        return one(1.0, bad=int(600 * math.exp(rng.normal(0, 0.25))))

    for _ in range(120):
        found = against_pairs("errors.ratio", None, [(run(), run()) for _ in range(k)]).ratio
        assert found is not None
        false += found.low > 1
    assert false <= most


def test_failures_that_stray_more_than_is_assumed_are_doubted_more() -> None:
    calm = against_runs("errors.ratio", None, one(1, bad=900), [one(1, bad=300)] * 4, Noise()).ratio
    wild = [one(1, bad=b) for b in (60, 600, 150, 390)]
    doubted = against_runs("errors.ratio", None, one(1, bad=900), wild, Noise()).ratio
    assert calm is not None
    assert doubted is not None
    assert calm.value == doubted.value
    assert calm.low > 1 > doubted.low


def test_failures_that_only_one_program_has_are_still_a_loss() -> None:
    found = against_runs("errors.ratio", None, one(1, bad=60), [one(1)], Noise()).ratio
    assert found is not None
    assert found.low > 1


def test_what_was_given_up_has_an_open_end() -> None:
    """Timeouts on both sides: the true p99s are that or more, so their ratio may be anything."""
    spec = scenario()
    slow = summarise(recording(spec, timing_out(side(spec), 0.05)), "")
    level = slow.measured("latency.p99", "browse")
    assert level is not None
    assert level.censored
    assert Summary.from_json(json.loads(json.dumps(slow.to_json()))) == slow
    fine = replace(summarise(recording(spec, side(spec)), ""), run="fine")
    assert not any(x.censored for x in fine.levels)
    for a, b, ends in (
        (slow, slow, (0.0, math.inf)),
        (slow, fine, (None, math.inf)),
        (fine, slow, (0.0, None)),
    ):
        for found in (
            against_runs("latency.p99", "browse", a, [b] * 2, Noise()).ratio,
            against_pairs("latency.p99", "browse", [(a, b)] * 3).ratio,
        ):
            assert found is not None
            assert ends[0] is None or found.low == ends[0]
            assert ends[1] is None or found.high == ends[1]
            assert 0 < found.value < math.inf


def test_a_summary_and_its_noise_come_back_from_json() -> None:
    spec = scenario()
    summary = summarise(recording(spec), "")
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
    assert summary.level("latency.p50", "browse") == pytest.approx(0.005, rel=0.05)
    noise = Noise("x", (Spread("latency.p50", None, 0.1, 3),))
    assert Noise.from_json(json.loads(json.dumps(noise.to_json()))) == noise
    with pytest.raises(ValueError, match=r"not a soak\.noise/1"):
        Noise.from_json({"schema": "other", "load": "", "spreads": []})
