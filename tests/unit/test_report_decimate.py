from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soak.core.records import Series
from soak.report.decimate import decimate

VALUES = st.lists(st.floats(-1e9, 1e9) | st.just(float("nan")), max_size=400)


@given(VALUES, st.integers(8, 60))
def test_never_more_than_asked_and_always_in_order(values: list[float], most: int) -> None:
    thin = decimate(Series(np.arange(len(values), dtype=float), np.array(values, float)), most)
    assert len(thin) <= most
    assert np.all(np.diff(thin.t) > 0)


@given(VALUES, st.integers(8, 60))
def test_the_extremes_are_kept_and_nothing_is_made_up(values: list[float], most: int) -> None:
    series = Series(np.arange(len(values), dtype=float), np.array(values, float))
    thin = decimate(series, most)
    was = {(t, v) for t, v in zip(series.t, series.v, strict=True) if np.isfinite(v)}
    now = {(t, v) for t, v in zip(thin.t, thin.v, strict=True) if np.isfinite(v)}
    assert now <= was
    if was:
        assert max(v for _, v in was) == max(v for _, v in now)
        assert min(v for _, v in was) == min(v for _, v in now)


@given(VALUES, st.integers(8, 60))
def test_what_was_not_measured_stays_a_gap(values: list[float], most: int) -> None:
    series = Series(np.arange(len(values), dtype=float), np.array(values, float))
    assert np.isnan(decimate(series, most).v).any() == np.isnan(series.v).any()


def test_one_spike_in_a_day_of_samples_survives() -> None:
    v = np.zeros(86_400)
    v[51_234] = 7.0
    thin = decimate(Series(np.arange(86_400.0), v))
    assert len(thin) <= 2000
    assert thin.t[np.argmax(thin.v)] == 51_234


def test_a_hole_in_time_becomes_a_gap() -> None:
    t = np.concatenate([np.arange(0.0, 100), np.arange(160.0, 260)])
    thin = decimate(Series(t, np.ones_like(t)))
    gap = thin.t[np.isnan(thin.v)]
    assert len(gap) == 1
    assert 99 < gap[0] < 160
