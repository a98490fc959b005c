from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soak.judge.stats.holm import adjusted, beyond

P = st.dictionaries(st.integers(0, 30), st.floats(0, 1), max_size=20)


def test_the_example_of_the_textbook() -> None:
    assert beyond({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05) == {"a", "d"}


def test_an_adjusted_value_is_what_it_is_beside_the_others() -> None:
    assert adjusted([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
    assert adjusted([]) == []


@given(P, st.floats(1e-6, 0.2))
def test_it_lies_between_bonferroni_and_no_correction(p: dict[int, float], alpha: float) -> None:
    found = beyond(p, alpha)
    assert {k for k, v in p.items() if v <= alpha / len(p)} <= found
    assert found <= {k for k, v in p.items() if v <= alpha}


@given(P, st.floats(1e-6, 0.2))
def test_more_series_never_make_another_one_more_certain(p: dict[int, float], alpha: float) -> None:
    assert beyond(p | {99: 1.0}, alpha) <= beyond(p, alpha)


def test_what_is_not_a_number_is_not_beyond_doubt() -> None:
    assert beyond({"a": float("nan"), "b": 0.001, "c": float("nan")}, 0.05) == {"b"}


def test_forty_healthy_series_rarely_accuse_anybody() -> None:
    rng = np.random.default_rng(5)
    runs = rng.uniform(size=(2_000, 40))
    assert np.mean([bool(beyond(dict(enumerate(p)), 0.05)) for p in runs]) < 0.065
    assert np.mean([bool((p <= 0.05).any()) for p in runs]) > 0.8
