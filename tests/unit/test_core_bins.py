from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from soak.core.bins import MOST_BINS, Bins, rate
from soak.core.histogram import Histogram, Recorder
from soak.core.records import Tally, Window


def histogram(*seconds: float) -> Histogram:
    recorder = Recorder()
    for value in seconds:
        recorder.record(value)
    return recorder.take()


def tally(start: float, done: int, worker: str = "a", length: float = 10.0) -> Tally:
    return Tally("candidate", worker, 0, start, length, done, done, 0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0)


@given(st.integers(1, 3000), st.sampled_from([1.0, 10.0, 80.0]), st.floats(0, 1e5))
def test_every_window_falls_into_one_of_at_most_240_bins(count: int, length: float, start: float) -> None:
    windows = [Window(start + i * length, length, histogram(0.001)) for i in range(count)]
    bins = Bins.over(windows)
    assert bins.count <= MOST_BINS
    assert sum(h.total for h in bins.merge(windows)) == count
    assert all(bins.place(w.start, w.length) is not None for w in windows)


def test_percentiles_come_from_merged_histograms_and_not_from_averages() -> None:
    fast = [Window(float(i), 1.0, histogram(*[0.001] * 990)) for i in range(479)]
    slow = Window(479.0, 1.0, histogram(*[1.0] * 10))
    merged = Bins.over([*fast, slow]).merge([*fast, slow])
    assert len(merged) == 240
    # 10 of 1000 are slow: p99 is still fast, where the mean of both p99s would be half a second
    assert merged[-1].percentile(99.0) < 0.01
    assert merged[-1].percentile(99.9) > 0.9


def test_windows_rolled_up_and_single_intervals_share_bins() -> None:
    windows = [Window(i * 80.0, 80.0, histogram(0.001)) for i in range(3)]
    windows += [Window(240.0 + 10 * i, 10.0, histogram(0.002)) for i in range(4)]
    merged = Bins.over(windows).merge(windows)
    assert [h.total for h in merged] == [1, 1, 1, 4]


def test_a_stretch_without_windows_is_empty() -> None:
    windows = [Window(0.0, 1.0, histogram(0.001)), Window(5.0, 1.0, histogram(0.001))]
    assert [h.total for h in Bins.over(windows).merge(windows)] == [1, 0, 0, 0, 0, 1]


def test_rates_add_workers_and_do_not_dip_where_the_last_interval_is_short() -> None:
    tallies = [tally(0.0, 100), tally(0.0, 50, "b"), tally(10.0, 100), tally(10.0, 50, "b"), tally(20.0, 20, "a", 2.0)]
    series = Bins.over(tallies).fold(tallies, rate("done"))
    np.testing.assert_allclose(series.v, [15.0, 15.0, 10.0])


def test_no_tally_no_rate() -> None:
    tallies = [tally(0.0, 100), tally(20.0, 100)]
    values = Bins.over(tallies).fold(tallies, rate("done")).v
    assert math.isnan(values[1])
    assert Bins.over([]).count == 0
