"""The examiner of the judge: its cases are what they say, and it counts right."""

from __future__ import annotations

import gc
import json
import multiprocessing
import random
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from benchmarks.accuracy import live, noise, pairs, peers, programs, tables, verdicts
from benchmarks.accuracy.family import LEVEL, Family, Series, times
from benchmarks.accuracy.figures import plain
from benchmarks.accuracy.judge import judge, of_a_run
from benchmarks.accuracy.rates import Rate, rate
from benchmarks.accuracy.recorded import Recording, recordings
from benchmarks.accuracy.sets import SETS
from benchmarks.accuracy.verdicts import Outcome, totals

FAMILIES = [pytest.param(s.stream, f, id=f"{s.name}: {f.name}") for s in SETS.values() for f in s.families]


@pytest.mark.parametrize("stream, family", FAMILIES)
def test_a_family_does_what_its_truth_says(stream: int, family: Family) -> None:
    rises = [_late_rise(family, family.series(stream, index)) for index in range(80)]
    mean, error = np.mean(rises), np.std(rises) / np.sqrt(len(rises))
    if family.healthy:
        assert mean < 0.005 + 3 * error
    elif family.truth == "sick":
        whole = [_whole_rise(family, family.series(stream, index)) for index in range(80)]
        assert np.mean(whole) > 0.5 * family.growth
        assert family.growth >= family.tolerance


def _edge(family: Family, values: np.ndarray) -> float:
    return float(np.nanquantile(values, 0.05) if family.kind == "floor" else np.nanmean(values)) / LEVEL


def _late_rise(family: Family, series: Series) -> float:
    """The last eighth above the one before it: what still grows once everything has warmed up."""
    eighths = np.array_split(series.v, 8)
    return _edge(family, eighths[7]) - _edge(family, eighths[6])


def _whole_rise(family: Family, series: Series) -> float:
    fifths = np.array_split(series.v, 5)
    return _edge(family, fifths[4]) - _edge(family, fifths[0])


@pytest.mark.parametrize("stream, family", FAMILIES)
def test_a_seed_is_one_case_and_another_seed_another(stream: int, family: Family) -> None:
    again, other = family.series(stream, 3), family.series(stream, 4)
    assert np.array_equal(family.series(stream, 3).v, again.v, equal_nan=True)
    assert not np.array_equal(again.v, other.v, equal_nan=True)
    assert len(again.t) == len(again.v) == 360
    assert np.isfinite(again.v).mean() > 0.5


def test_no_two_families_share_a_name_and_no_two_sets_a_stream() -> None:
    names = [(s.stream, f.name) for s in SETS.values() for f in s.families]
    assert len(names) == len(set(names))
    streams = [s.stream for s in SETS.values()] + [live.STREAM, pairs.STREAM]
    assert len(streams) == len(set(streams))


@pytest.mark.parametrize("recording", recordings(), ids=lambda r: r.path.stem)
def test_a_recorded_process_did_what_its_program_does(recording: Recording) -> None:
    series = recording.series
    assert len(series.t) >= 700
    assert series.apart == pytest.approx(0.1, rel=0.2)
    assert recording.path.stat().st_size < 60_000
    thirds = np.array_split(series.v, 3)
    edge = (lambda v: np.quantile(v, 0.05)) if recording.kind == "floor" else np.mean
    rise = edge(thirds[2]) / edge(thirds[1]) - 1
    assert rise > 0.015 if recording.truth == "sick" else rise < 0.01


def test_there_are_recordings_of_both_truths_and_of_every_program() -> None:
    seen = {(r.program, r.truth) for r in recordings()}
    assert {("nginx", "healthy"), ("redis_limit", "healthy"), ("leak_redis", "sick")} < seen
    assert {(p.__name__, "healthy") for p in programs.HEALTHY} | {(p.__name__, "sick") for p in programs.SICK} < seen


@pytest.mark.parametrize("program", [p for p in programs.SICK if p is not programs.leak_threads])
def test_a_sick_program_keeps_what_it_makes(program: Callable[[random.Random], programs.Tick]) -> None:
    thresholds = gc.get_threshold()
    tick = program(random.Random(1))
    tracemalloc.start()
    try:
        tick(0.1)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        tick(0.7)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.set_threshold(*thresholds)
    assert kept > 500_000


def test_noise_has_the_correlation_and_the_size_that_it_was_asked_for() -> None:
    v = noise.ar(np.random.default_rng(1), 100_000, 0.8, 0.02)
    assert np.std(v) == pytest.approx(0.02, rel=0.05)
    assert np.corrcoef(v[:-1], v[1:])[0, 1] == pytest.approx(0.8, abs=0.02)


def test_rates_carry_their_interval() -> None:
    assert str(rate([True] * 9 + [False])) == "90 % (60 to 98)"
    assert str(rate([])) == "-"
    assert Rate(0, 50).interval == (0.0, pytest.approx(0.0713, abs=1e-3))


def test_totals_count_the_truth_and_leave_the_ambiguous_out() -> None:
    found = [
        Outcome("leak", "sick", "fail", {"other": True}),
        Outcome("leak", "sick", "inconclusive", {"other": False}),
        Outcome("calm", "healthy", "fail", {"other": True}),
        Outcome("calm", "healthy", "pass", {"other": True}),
        Outcome("either", "ambiguous", "fail", {"other": True}),
    ]
    ours, other = totals(found)
    assert (ours.precision, ours.recall, ours.false_alarms) == (Rate(1, 2), Rate(1, 2), Rate(1, 2))
    assert (ours.passed_sick, ours.unsure_healthy, ours.unsure_sick) == (Rate(0, 2), Rate(0, 2), Rate(1, 2))
    assert (other.precision, other.recall, other.passed_sick) == (Rate(1, 3), Rate(1, 2), Rate(1, 2))
    assert "ambiguous" in tables.families_table(found)


def test_the_judge_is_asked_rightly() -> None:
    rng = np.random.default_rng(2)
    flat = Series(times(360), LEVEL * (1 + noise.ar(rng, 360, 0.3, 0.01)))
    leak = Series(times(360), LEVEL * (1 + 0.3 * noise.run(360) + noise.ar(rng, 360, 0.3, 0.01)))
    assert judge(flat, "level", 0.03).verdict == "pass"
    sick = judge(leak, "level", 0.03, limit=2 * LEVEL)
    assert sick.verdict == "fail"
    assert judge(leak, "level", 0.03, reference=leak).verdict == "pass"
    early, late = sick.eta or (inf, 0.0)
    assert early < 0.7 / 0.3 * 360 * 60 < late
    assert judge(flat, "level", 0.03, limit=2 * LEVEL).eta is None


def test_a_doubt_that_one_series_may_have_forty_may_not() -> None:
    calm = Family("calm", "healthy", lambda rng, n: 1 + noise.ar(rng, n, 0.3, 0.02), "")
    leaks = Family("leaks", "sick", lambda rng, n: 1 + 0.2 * noise.run(n) + noise.ar(rng, n, 0.3, 0.02), "")
    slow = Family(
        "slow", "sick", lambda rng, n: 1 + 0.05 * noise.run(n) + noise.ar(rng, n, 0.8, 0.03), "", "level", 0.01
    )
    weak = [judge(slow.series(9, i), slow.kind, slow.tolerance) for i in range(40)]
    assert of_a_run(weak).count("fail") < [o.verdict for o in weak].count("fail")
    assert of_a_run(weak[:1]) == [weak[0].verdict]
    strong = judge(leaks.series(9, 0), leaks.kind, leaks.tolerance)
    rest = [judge(calm.series(9, i), calm.kind, calm.tolerance) for i in range(20)]
    assert of_a_run([strong, *rest]) == ["fail", *(o.verdict for o in rest)]


def test_static_limits_say_what_they_are() -> None:
    v = np.full(360, 100.0)
    assert not peers.any_window(v)
    assert not peers.run_mean(v)
    burst = v.copy()
    burst[198:204] = 130
    assert peers.any_window(burst)
    assert not peers.run_mean(burst)
    v[100:] = 110
    assert peers.run_mean(v)
    assert not peers.any_window(v)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_module", lambda _: None)
    assert peers.missing() == ["pymannkendall", "apache-otava"]
    assert list(peers.available()) == ["any window +20 %", "run mean +5 %"]


def test_a_pair_shares_its_nuisance_and_nothing_else() -> None:
    candidate, reference = pairs.pair("host noise", 0.05, 1)
    assert np.corrcoef(candidate.v, reference.v)[0, 1] > 0.7
    ratio = candidate.v / reference.v
    assert ratio[-60:].mean() > ratio[:60].mean()


def test_looks_use_up_no_more_than_there_is() -> None:
    levels = [live._level(look) for look in range(live.FIRST, live.LOOKS)]
    assert all(early < late for early, late in pairwise(levels))
    assert sum(levels) == pytest.approx(live._spent(0.9))
    assert sum(levels) < 0.05


def test_what_was_never_found_is_not_left_out_of_the_median() -> None:
    assert live._at_rank([0.1, inf, 0.2, inf, inf], 0.5) == inf
    assert live._at_rank([0.1, 0.3, 0.2, inf], 0.5) == 0.2


def test_a_run_of_the_examiner_gives_the_same_figures_twice() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        first, second = (verdicts.runs(pool, "tuning", 1) for _ in range(2))
    assert first == second
    assert first.series_failed.total == 40


def test_figures_are_json_that_any_reader_takes() -> None:
    lines = [live.Detection(1.0, Rate(1, 2), Rate(0, 2), 0.25, inf)]
    found = json.loads(json.dumps(plain(lines), allow_nan=False))
    assert found[0]["found"]["share"] == 0.5
    assert found[0]["ninth"] is None
