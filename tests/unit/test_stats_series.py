"""Series of known truth, alone, beside a reference, and many at once. Seeds are fixed, bounds stated beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from soak.judge.stats.series import judge_many, judge_series

N, SEEDS = 360, 20
T = np.arange(float(N))
X = (T + 0.5) / N
Maker = Callable[[np.random.Generator], np.ndarray]


def noise(rng: np.random.Generator, rho: float = 0.5, sd: float = 1.0) -> np.ndarray:
    """AR(1) of standard deviation `sd`."""
    made: np.ndarray = lfilter([1], [1, -rho], rng.normal(0, sd * np.sqrt(1 - rho * rho), N + 200))[200:]
    return made


def verdicts(maker: Maker, kind: str = "level") -> list[str]:
    return [judge_series(T, maker(np.random.default_rng(seed)), kind).verdict for seed in range(SEEDS)]  # type: ignore[arg-type]


def states(rng: np.random.Generator) -> np.ndarray:
    """Two levels that come in turn, each for a twelfth of the run or so."""
    out, high, i = np.zeros(N), bool(rng.integers(2)), 0
    while i < N:
        visit = int(rng.integers(15, 45))
        out[i : i + visit], high, i = 12.0 * high, not high, i + visit
    return out


@pytest.mark.parametrize(
    "maker,kind",
    [
        pytest.param(lambda rng: 100 + states(rng) + noise(rng), "level", id="two states"),
        pytest.param(lambda rng: 100 + 20 * np.minimum(1, X / 0.3) + noise(rng), "level", id="a cache that is full"),
        pytest.param(lambda rng: 100 + 10 * np.sin(2 * np.pi * 3 * X) + noise(rng), "level", id="waves"),
        pytest.param(lambda rng: 100 - 30 * np.exp(-X / 0.05) + noise(rng), "level", id="a warm-up"),
        pytest.param(lambda rng: 100 + 40 * ((X * 6 + 0.4) % 1) + noise(rng), "floor", id="slow collections"),
        pytest.param(lambda rng: 100 - 20 * X + noise(rng), "level", id="shrinking"),
    ],
)
def test_what_goes_round_or_settles_passes(maker: Maker, kind: str) -> None:
    found = verdicts(maker, kind)
    assert found.count("fail") == 0
    assert found.count("pass") >= 0.7 * SEEDS


@pytest.mark.parametrize(
    "maker,kind",
    [
        pytest.param(lambda rng: 100 + 10 * X + noise(rng), "level", id="a leak"),
        pytest.param(lambda rng: 100 + states(rng) + 15 * X + noise(rng), "level", id="under two states"),
        pytest.param(lambda rng: 100 + 10 * np.sin(2 * np.pi * 3 * X) + 10 * X + noise(rng), "level", id="under waves"),
        pytest.param(lambda rng: 100 + 40 * ((X * 6 + 0.4) % 1) + 20 * X + noise(rng), "floor", id="under collections"),
        pytest.param(lambda rng: 100 - 30 * np.exp(-X / 0.05) + 10 * X + noise(rng), "level", id="after a warm-up"),
        pytest.param(lambda rng: 100 + 30 * np.maximum(0, X - 0.5) + noise(rng), "level", id="a late start"),
        pytest.param(lambda rng: 100 + 20 * X**2 + noise(rng), "level", id="faster and faster"),
        pytest.param(lambda rng: 100 + 10 * (X > 0.4) + noise(rng), "level", id="a step that stays"),
    ],
)
def test_what_goes_on_growing_fails(maker: Maker, kind: str) -> None:
    found = verdicts(maker, kind)
    assert found.count("fail") >= 0.85 * SEEDS
    assert found.count("pass") == 0


def test_a_cache_that_is_still_filling_is_never_a_leak_for_certain() -> None:
    found = [judge_series(T, 100 + 20 * (1 - np.exp(-X / 0.4)) + noise(np.random.default_rng(s))) for s in range(SEEDS)]
    assert sum(f.verdict == "fail" for f in found) <= 1
    assert sum(f.why == "levelling" for f in found) >= 0.6 * SEEDS


def test_growth_and_its_interval_are_relative_to_the_level() -> None:
    inside = 0
    for seed in range(SEEDS):
        found = judge_series(T, 1e9 * (100 + 20 * X + noise(np.random.default_rng(seed))))
        assert found.growth is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.growth < found.high
        inside += found.low <= 0.2 <= found.high
    assert inside >= 17


def test_a_late_start_is_dated() -> None:
    found = judge_series(T, 100 + 40 * np.maximum(0, X - 0.5) + noise(np.random.default_rng(1), sd=0.5))
    assert found.onset == pytest.approx(N / 2, abs=N / 12)


def test_beside_a_reference_what_both_share_is_no_finding() -> None:
    leaks = healthy = alone = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        host = noise(rng, rho=0.95, sd=4) + 25 * (1 - np.exp(-X / 0.5))
        reference = 100 + host + noise(rng, sd=0.5)
        candidate = 100 + host + noise(rng, sd=0.5)
        healthy += judge_series(T, candidate, reference=reference).verdict == "pass"
        leaks += judge_series(T, candidate + 8 * X, reference=reference).verdict == "fail"
        alone += judge_series(T, candidate + 8 * X).verdict == "fail"
    assert (healthy, leaks) >= (18, 18)
    assert alone <= 8


def test_of_many_series_one_that_grows_by_chance_is_doubtful() -> None:
    certain = judge_series(T, 100 + 30 * X + noise(np.random.default_rng(1)))
    chance = replace(certain, p=0.002)
    calm = judge_series(T, 100 + noise(np.random.default_rng(2)))
    many = judge_many({"leak": certain, "chance": chance} | {f"calm{i}": calm for i in range(60)})
    assert many["leak"] == certain
    assert (many["chance"].verdict, many["chance"].why) == ("inconclusive", "many")
    assert judge_many({"chance": chance})["chance"].verdict == "fail"


@pytest.mark.parametrize("values", [[], [1.0] * 5, [float("nan")] * 300])
def test_too_little_is_inconclusive(values: list[float]) -> None:
    found = judge_series(np.arange(float(len(values))), np.array(values))
    assert (found.verdict, found.why, found.growth) == ("inconclusive", "short", None)


def test_a_constant_passes_also_when_it_is_zero() -> None:
    for value in (0.0, 7.5):
        assert judge_series(T, np.full(N, value)).verdict == "pass"


@given(
    st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), min_size=0, max_size=120),
    st.sampled_from(["level", "floor"]),
)
@settings(max_examples=80)
def test_any_numbers_get_a_verdict(values: list[float], kind: str) -> None:
    found = judge_series(np.arange(float(len(values))), np.array(values), kind)  # type: ignore[arg-type]
    assert found.verdict in ("pass", "fail", "inconclusive")
    assert 0 <= found.p <= 1


@pytest.mark.parametrize("rho,growth", [(0.0, 10.0), (0.5, 30.0), (0.9, 30.0)])
def test_the_time_left_is_covered_by_its_interval(rho: float, growth: float) -> None:
    covered = 0
    for seed in range(40):
        found = judge_series(T, 100 + growth * X + noise(np.random.default_rng(seed), rho, 2), limit=200.0)
        early, _, late = found.eta
        true = (100 - growth) / growth * N
        covered += early is not None and early <= true and (late is None or true <= late)
    assert covered >= 35  # nominal 38, less two standard errors


def test_a_jump_at_the_very_end_is_too_late_to_be_told() -> None:
    for seed in range(SEEDS):
        found = judge_series(T, 100 + 30 * (X > 0.93) + noise(np.random.default_rng(seed)))
        assert found.verdict == "inconclusive"


def test_two_collections_are_too_few_either_way() -> None:
    saw = 100 + 40 * ((X * 2.4 + 0.1) % 1)
    for growth in (0, 20):
        found = judge_series(T, saw + growth * X + noise(np.random.default_rng(1)), "floor")
        assert (found.verdict, found.why) == ("inconclusive", "cycles")


def test_a_limit_is_reached_by_the_peaks_and_may_be_behind() -> None:
    saw = 100 + 40 * ((X * 12) % 1) + 20 * X
    flat = judge_series(T, 100 + 20 * X + noise(np.random.default_rng(1)), limit=200.0)
    peaks = judge_series(T, saw + noise(np.random.default_rng(1)), "floor", limit=200.0)
    assert flat.eta[1] == pytest.approx(80 / 20 * N, rel=0.1)
    assert peaks.eta[1] == pytest.approx(40 / 20 * N, rel=0.2)
    assert judge_series(T, 100 + 20 * X, limit=50.0).eta == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("unit", [1e160, 1e300])
def test_what_is_beyond_all_measure_is_a_hole(unit: float) -> None:
    assert judge_series(T, (1 + T / N) * unit).verdict == "inconclusive"
    odd = np.where(T % 7 == 0, unit, 1 + T / N)
    assert judge_series(T, odd) == judge_series(T, np.where(T % 7 == 0, np.nan, odd))
    assert judge_series(T, odd, limit=3.0).eta[1] is not None
