"""`soak compare`: what runs tell of each other, and what they do not."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from soak.core.comparison import RunsCompared
from soak.core.criterion import Criterion
from soak.core.summary import Failures, Level, Noise, Summary
from soak.judge import calibrate, compare_pairs, compare_runs
from soak.report import render_compared
from tests.unit.report_making import schema

METRICS = (("latency.p50", "browse", 0.010), ("latency.p99", "browse", 0.030), ("cpu.per_request", None, 0.002),
           ("memory.anon", None, 60e6), ("memory.idle", None, 40e6), ("throughput.rate", None, 100.0))  # fmt: skip


def one(run: str, sd: float, rng: np.random.Generator, **times: float) -> Summary:
    """A run whose levels stray by `sd`; `times` multiplies those of a room."""
    levels = tuple(
        Level(m, e, v * times.get(m.partition(".")[0], 1.0) * math.exp(rng.normal(0, sd))) for m, e, v in METRICS
    )
    return Summary(run, "load", 0.0, 60.0, levels, (Failures(None, 0, 6000), Failures("browse", 0, 6000)))


def pairs(k: int, seed: int = 1, sd: float = 0.01, **times: float) -> list[tuple[Summary, Summary]]:
    rng = np.random.default_rng(seed)
    return [(one(f"new-{i}", sd, rng, **times), one(f"old-{i}", sd, rng)) for i in range(k)]


def change(found: RunsCompared, metric: str) -> str:
    return next(c.change for c in found.comparison if c.metric == metric)


def test_pairs_that_differ_by_a_fifth_fail_by_what_differs() -> None:
    found = compare_pairs(pairs(8, latency=1.2), [])
    assert (found.verdict, found.exit_code) == ("fail", 1)
    assert change(found, "latency.p50") == "worse"
    assert change(found, "cpu.per_request") == "same"
    assert "latency.p50 of browse is" in found.headline
    assert "above the reference's" in found.headline


def test_pairs_that_differ_in_nothing_pass_when_there_are_enough() -> None:
    found = compare_pairs(pairs(10, sd=0.002), [])
    assert (found.verdict, found.exit_code) == ("pass", 0)
    assert {c.change for c in found.comparison} == {"same"}
    assert all(v is None or 1 < v < 1.02 for v in found.visible)


def test_what_so_few_pairs_cannot_see_is_not_claimed() -> None:
    found = compare_pairs(pairs(3, sd=0.06, latency=1.05, cpu=1.05), [])
    assert (found.verdict, found.exit_code) == ("inconclusive", 3)
    assert "worse" not in {c.change for c in found.comparison}
    assert "cannot see whether it is worse" in found.headline
    assert max(v for v in found.visible if v is not None) > 1.15


def test_one_pair_claims_nothing_however_large_the_difference() -> None:
    found = compare_pairs(pairs(1, latency=3.0), [])
    assert found.verdict == "inconclusive"


def test_a_gain_is_no_loss() -> None:
    found = compare_pairs(pairs(8, latency=0.7, sd=0.003), [])
    assert change(found, "latency.p50") == "better"
    assert found.verdict == "pass"


def test_throughput_that_is_lost_is_worse() -> None:
    assert change(compare_pairs(pairs(8, throughput=0.9), []), "throughput.rate") == "worse"


def test_criteria_decide_where_they_are() -> None:
    tolerant = Criterion.model_validate({"metric": "latency.p50", "ratio_below": 1.4})
    found = compare_pairs(pairs(8, latency=1.2), [tolerant, replace_metric(tolerant, "latency.p99")])
    assert [r.result for r in found.criteria] == ["pass", "pass"]
    assert found.verdict == "pass"
    strict = Criterion.model_validate({"metric": "latency.p50", "ratio_below": 1.1})
    assert compare_pairs(pairs(8, latency=1.2), [strict]).verdict == "fail"


def replace_metric(criterion: Criterion, metric: str) -> Criterion:
    return Criterion.model_validate(criterion.model_dump(exclude_none=True) | {"metric": metric})


def test_a_candidate_that_died_fails_without_any_number() -> None:
    found = compare_pairs([], [], "the candidate, in pair 1: it died by SIGSEGV")
    assert (found.verdict, found.headline) == ("fail", "FAIL: the candidate, in pair 1: it died by SIGSEGV")


def test_nothing_soaked_to_its_end_is_inconclusive() -> None:
    assert compare_pairs([], []).verdict == "inconclusive"


def test_the_same_program_is_seldom_told_apart_from_itself() -> None:
    claimed = sum(calibrate(pairs(6, seed, 0.04)).verdict == "fail" for seed in range(100))
    assert claimed <= 5  # Holm over six metrics, and only what matters counts


def test_a_calibration_measures_how_much_runs_differ() -> None:
    found = calibrate(pairs(60, sd=0.03))
    assert found.verdict == "pass"
    assert {s.metric for s in found.spreads} == {m for m, _, _ in METRICS}
    assert all(s.sd == pytest.approx(0.03, rel=0.3) and s.freedom == 60 for s in found.spreads)


def test_two_files_are_compared_by_assumed_noise_and_say_so() -> None:
    (new, old), *_ = pairs(1, latency=1.5)
    found = compare_runs(new, old, Noise())
    assert found.verdict == "fail"
    assert any("is assumed" in note for note in found.notes)
    (near, same), *_ = pairs(1, latency=1.12)
    assert "worse" not in {c.change for c in compare_runs(near, same, Noise()).comparison}


def test_files_that_say_nothing_of_each_other_are_invalid() -> None:
    (new, old), *_ = pairs(1)
    assert compare_runs(new, replace(old, load="other"), Noise()).exit_code == 4
    assert "different loads" in compare_runs(new, replace(old, load="other"), Noise()).headline
    assert compare_runs(new, replace(old, unfit="it died"), Noise()).exit_code == 4
    assert "same run" in compare_runs(new, new, Noise()).headline


@pytest.mark.parametrize("field,said", [("soak_s", "one soaked for"), ("warmup_s", "one warmed up for")])
def test_files_of_another_length_are_invalid(field: str, said: str) -> None:
    (new, old), *_ = pairs(1)
    found = compare_runs(new, replace(old, **{field: 600.0}), Noise())
    assert (found.exit_code, found.comparison) == (4, ())
    assert said in found.headline
    assert compare_runs(new, replace(old, soak_s=61.0), Noise()).exit_code != 4


@pytest.mark.parametrize("lacking", ["memory.anon", "latency.p99"])
def test_a_metric_that_one_run_lacks_is_no_pass(lacking: str) -> None:
    found = pairs(10, sd=0.002)
    new, old = found[3]
    found[3] = (replace(new, levels=tuple(x for x in new.levels if x.metric != lacking)), old)
    answer = compare_pairs(found, [])
    assert answer.verdict == "inconclusive"
    assert change(answer, lacking) == "unclear"
    assert f"{lacking} was not measured in new-3" in answer.headline


def test_what_was_interrupted_says_so_by_its_exit_code() -> None:
    assert replace(compare_pairs(pairs(2), []), interrupted=True).exit_code == 130


@pytest.mark.parametrize(
    "found", [compare_pairs(pairs(3, latency=1.3), []), calibrate(pairs(4)), compare_pairs([], [])]
)
def test_both_forms_say_the_same_and_json_obeys_its_schema(found: RunsCompared) -> None:
    jsonschema.Draft202012Validator(schema("comparison")).validate(json.loads(render_compared(found, as_json=True)))
    text = render_compared(found, as_json=False)
    assert found.headline.split(":")[0] in text
    assert all(c.metric in text for c in found.comparison)
    assert max(map(len, text.splitlines())) <= 110
