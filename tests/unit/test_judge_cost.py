from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from soak.core.scenario import Cost
from soak.core.verdict import Finding, Verdict
from soak.judge import judge
from soak.judge.cost import More, _difference, costed, memory, money
from soak.judge.side import Side
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import LOOSE, changed, sawtooth, the
from tests.unit.judging import memory as series_of

FLEET = {"rate": "10000/s", "instances": 20, "price": "0.05 USD/core-hour"}


def verdict_of(cost: dict[str, Any] | None, reference_cpu: float | None = None, **changes: Any) -> Verdict:
    beside = {"reference": {"url": "http://127.0.0.1:8001", "process": {"command": "old"}}} if reference_cpu else {}
    spec = scenario(criteria=LOOSE, **({"cost": cost} if cost else {}), **beside)
    other = None
    if reference_cpu:
        made = side(spec, series={"process.cpu_seconds": lambda t: reference_cpu * t}, seed=2)
        other = changed(made, tallies=tuple(changed_side(y) for y in made.tallies))
    return judge(recording(spec, side(spec, **changes), other))


def changed_side(tally: Any) -> Any:
    return type(tally)(**({name: getattr(tally, name) for name in type(tally).__slots__} | {"side": "reference"}))


def test_the_arithmetic_is_printed_in_full() -> None:
    assert money(More(30e-6, 25e-6, 35e-6), Cost.model_validate(FLEET)) == (
        "30 µs x 10,000/s x 20 instances = 6 cores; 6 x 0.05 USD x 730 h = 219 USD a month (182 to 255)"
    )
    assert money(More(30e-6, 25e-6, 35e-6), Cost.model_validate({"rate": "10000/s"})) == (
        "30 µs x 10,000/s = 0.3 cores (0.25 to 0.35)"
    )
    assert memory(100 * MIB, "/h", Cost.model_validate(FLEET)) == "100 MiB/h x 20 instances = 1.95 GiB/h"


@pytest.mark.parametrize("price", ["0.05 USD/core-hour", "0.05 EUR / core-hour", "4 Kč/core-hour", "1$/core-hour"])
def test_any_currency_word_will_do(price: str) -> None:
    assert Cost.model_validate({"rate": "1/s", "price": price}).price is not None


@pytest.mark.parametrize("price", ["0.05", "USD/core-hour", "0.05 USD/hour", "-1 USD/core-hour", 5, "1 a b/core-hour"])
def test_a_price_that_could_be_guessed_wrong_is_refused(price: object) -> None:
    with pytest.raises(ValidationError, match=r"0\.05 USD/core-hour"):
        Cost.model_validate({"rate": "1/s", "price": price})


def rising_cpu(t: np.ndarray) -> np.ndarray:
    return 0.2 * t + 0.002 * t * t


def test_cpu_that_grows_costs_cores_and_money() -> None:
    found = the(verdict_of(FLEET, series={"process.cpu_seconds": rising_cpu}), "superlinear_cost")
    assert found.cost is not None
    assert found.cost.startswith("4.8 ms x 10,000/s x 20 instances = 960 cores; 960 x 0.05 USD x 730 h = 35,040 USD")


def test_latency_that_grows_with_cpu_costs_that_cpu_and_alone_costs_nothing() -> None:
    slower = {"latency": lambda t: 0.005 * (1 + t / 60)}
    assert the(verdict_of(FLEET, **slower), "superlinear_cost").cost is None
    both = verdict_of(FLEET, series={"process.cpu_seconds": rising_cpu}, **slower)
    assert any("a month" in (f.cost or "") for f in both.candidate.findings)


def test_memory_that_grows_is_told_for_the_whole_fleet() -> None:
    leak = the(verdict_of(FLEET, series=series_of(lambda t: 50 + 0.2 * t)), "memory_growth")
    assert leak.cost is not None
    assert "x 20 instances = 14" in leak.cost
    assert leak.cost.endswith("GiB/h")
    assert "USD" not in leak.cost


def test_without_a_scale_nothing_has_a_cost() -> None:
    assert the(verdict_of(None, series={"process.cpu_seconds": rising_cpu}), "superlinear_cost").cost is None


def wandering(level: float) -> Any:
    rng = np.random.default_rng(4)
    return lambda t: np.cumsum(level + rng.normal(0, 0.02, len(t)))


def test_a_candidate_that_takes_more_cpu_than_the_reference_is_reckoned_up() -> None:
    dearer = verdict_of(FLEET, 0.2, series={"process.cpu_seconds": wandering(0.3)})
    assert any(n.startswith("a request takes more CPU than with the reference: 1") for n in dearer.notes)
    saving = verdict_of(FLEET, 0.4, series={"process.cpu_seconds": wandering(0.3)})
    assert any("which saves: " in n for n in saving.notes)
    alike = verdict_of(FLEET, 0.3, series={"process.cpu_seconds": wandering(0.3)})
    assert not any("than with the reference" in n for n in alike.notes)


def test_a_regression_is_the_difference_to_the_reference() -> None:
    spec = scenario(
        criteria=LOOSE, cost=FLEET, reference={"url": "http://127.0.0.1:8001", "process": {"command": "old"}}
    )
    whole = recording(
        spec,
        side(spec, series=series_of(lambda t: 90 + 0 * t)),
        side(spec, series=series_of(lambda t: 50 + 0 * t, seed=9)),
    )
    mine, other = (Side(name, whole, 15.0, 135.0) for name in ("candidate", "reference"))
    bare = Finding("memory_regression", "memory.anon", None, "fail", "memory is 40 MiB more")
    assert costed(bare, mine, other).cost == "40 MiB x 20 instances = 800 MiB"
    assert costed(bare, mine, None).cost is None


def test_a_sawtooth_on_one_side_costs_no_more_than_its_floor() -> None:
    """Both keep 50 MiB; the climb of one is found, that of the other is not: neither is dearer."""
    spec = scenario(criteria=LOOSE, cost=FLEET, reference={"url": "http://127.0.0.1:8001"})
    whole = recording(spec, side(spec, series=sawtooth(8, 1)), side(spec, series=sawtooth(5, 2)))
    mine, other = (Side(name, whole, 15.0, 135.0) for name in ("candidate", "reference"))
    more = _difference(mine, other, "memory.anon")
    assert more is not None
    assert abs(more.value) < 1.5 * MIB


def test_noise_that_remembers_itself_makes_a_wider_interval_of_the_difference() -> None:
    """The same values, once as they wander and once shuffled: their order is all that is known of their worth."""
    rng = np.random.default_rng(3)
    steps = np.cumsum(rng.normal(0, 1.0, 60))
    halves = []
    for values in (steps, rng.permutation(steps)):
        spec = scenario(criteria=LOOSE, cost=FLEET, reference={"url": "http://127.0.0.1:8001"})
        blocks = np.repeat(values, 2)

        def shape(t: np.ndarray, blocks: np.ndarray = blocks) -> np.ndarray:
            return (100 + blocks[np.clip((t - 15).astype(int), 0, 119)]) * MIB

        mine = side(spec, series={"memory.peak": shape})
        other = side(spec, series={"memory.peak": lambda t: np.full_like(t, 100 * MIB)})
        whole = recording(spec, mine, other)
        a, b = (Side(name, whole, 15.0, 135.0) for name in ("candidate", "reference"))
        more = _difference(a, b, "memory.peak")
        assert more is not None
        halves.append(more.high - more.low)
    assert halves[0] > 1.5 * halves[1]
