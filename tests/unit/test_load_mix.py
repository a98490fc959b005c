from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soak.core.load import Load
from soak.load.mix import Mix, Pause
from soak.load.values import Values


def mix(**load: Any) -> Mix:
    return Mix(Load.model_validate({"rate": "1/s"} | load), Path())


def test_requests_and_journeys_are_chosen_by_weight_together() -> None:
    made = mix(
        requests=[{"name": "a", "weight": 8, "get": "/a"}, {"name": "b", "weight": 1, "get": "/b"}],
        journeys=[{"name": "visit", "weight": 1, "steps": [{"get": "/c"}, {"think": "1s"}, {"get": "/d"}]}],
    )
    picks = np.random.default_rng(1).random(10_000)
    chosen = Counter(made.choose(float(p)).journey or made.choose(float(p)).first.endpoint for p in picks)
    assert 7_800 < chosen["a"] < 8_200
    assert 900 < chosen["visit"] < 1_100
    assert [type(step).__name__ for step in made.choose(0.999).steps] == ["Ready", "Pause", "Ready"]


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(0.001, 100), min_size=1, max_size=8))
def test_every_pick_has_an_action(pick: float, weights: list[float]) -> None:
    made = mix(requests=[{"name": str(i), "weight": w, "get": "/"} for i, w in enumerate(weights)])
    assert made.choose(pick) in made.actions


def test_the_stated_share_of_arrivals_begins_on_a_new_connection() -> None:
    made = mix(requests=[{"get": "/"}], churn="5%")
    draws = np.random.default_rng(1).integers(0, 2**63 - 1, 20_000)
    assert 850 < sum(made.fresh(Values(0, int(d))) for d in draws) < 1_150
    assert not any(mix(requests=[{"get": "/"}]).fresh(Values(0, int(d))) for d in draws[:100])


def test_pauses_are_drawn_from_their_distribution_and_repeat_with_the_seed() -> None:
    made = mix(journeys=[{"name": "v", "steps": [{"get": "/"}, {"think": {"exponential": "2s"}}]}])
    pause = made.actions[0].steps[1]
    assert isinstance(pause, Pause)
    draws = [int(d) for d in np.random.default_rng(1).integers(0, 2**63 - 1, 20_000)]
    seconds = [pause.seconds(Values(0, d)) for d in draws]
    assert 1.9 < float(np.mean(seconds)) < 2.1
    assert max(seconds) <= 10.0
    assert seconds[:50] == [pause.seconds(Values(0, d)) for d in draws[:50]]
