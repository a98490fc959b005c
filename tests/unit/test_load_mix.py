from __future__ import annotations

import re
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soak.core.scenario import Request
from soak.load.mix import Mix, path_of


def test_requests_are_chosen_by_weight() -> None:
    mix = Mix([Request(name="a", weight=8, get="/a"), Request(name="b", weight=2, post="/b", json={"x": 1})])
    chosen = Counter(mix.choose(float(p)).endpoint for p in np.random.default_rng(1).random(10_000))
    assert 7_800 < chosen["a"] < 8_200
    call = mix.choose(0.99)
    assert (call.method, call.json) == ("POST", {"x": 1})


@given(st.floats(0, 1, exclude_max=True), st.lists(st.floats(0.001, 100), min_size=1, max_size=8))
def test_every_pick_has_a_request(pick: float, weights: list[float]) -> None:
    mix = Mix([Request(name=str(i), weight=w, get="/") for i, w in enumerate(weights)])
    assert mix.choose(pick) in mix.calls


@given(st.integers(0, 2**63 - 1))
def test_placeholders_stay_within_their_bounds(draw: int) -> None:
    path = path_of("/items/{random:1-5000}/of/{random:7-7}?n={random:0-9}")(draw)
    found = re.fullmatch(r"/items/(\d+)/of/(\d+)\?n=(\d+)", path)
    assert found is not None
    item, of, n = map(int, found.groups())
    assert (1 <= item <= 5000, of, 0 <= n <= 9) == (True, 7, True)


def test_placeholders_reach_all_values() -> None:
    draws = np.random.default_rng(1).integers(0, 2**63 - 1, 2_000)
    assert {path_of("/{random:1-20}")(int(d)) for d in draws} == {f"/{i}" for i in range(1, 21)}


def test_the_default_name_hides_what_is_drawn() -> None:
    assert Request(get="/items/{random:1-5000}").endpoint == "GET /items/{random}"
