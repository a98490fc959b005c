"""The counts layout must be hdrhistogram's own, value for value, or run files would lie elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from soak.core.histogram import DIGITS, HIGHEST_US, LOWEST_US, Histogram, Recorder, index_of

values = st.lists(st.integers(LOWEST_US, HIGHEST_US), min_size=1, max_size=200)
QUANTILES = [0.001, 1, 25, 50, 90, 99, 99.9, 99.99, 100]


def recorded(us: list[int]) -> Histogram:
    recorder = Recorder()
    for value in us:
        recorder.record(value / 1e6 + 1e-9)
    return recorder.take()


def theirs(us: list[int]) -> HdrHistogram:
    histogram = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS, b64_wrap=False)
    for value in us:
        assert histogram.record_value(value)
    return histogram


@given(st.integers(0, HIGHEST_US))
def test_a_value_falls_into_the_slot_hdrhistogram_gives_it(us: int) -> None:
    assert index_of(us) == HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)._counts_index_for(us)


@given(values)
def test_percentiles_and_maximum_equal_hdrhistograms(us: list[int]) -> None:
    ours, other = recorded(us), theirs(us)
    assert ours.total == other.get_total_count()
    for q in QUANTILES:
        assert round(ours.percentile(q) * 1e6) == other.get_value_at_percentile(q)
    assert round(ours.maximum * 1e6) == other.get_max_value()


@given(values)
def test_the_codec_loses_nothing_and_hdrhistogram_reads_it(us: list[int]) -> None:
    ours = recorded(us)
    blob = ours.encode()
    again = Histogram.decode(blob)
    assert np.array_equal(again.index, ours.index)
    assert np.array_equal(again.counts, ours.counts)
    read = HdrHistogram.decode(blob, b64_wrap=False)
    assert read.get_total_count() == len(us)
    assert read.get_value_at_percentile(99) == theirs(us).get_value_at_percentile(99)


@given(st.lists(values, min_size=1, max_size=5))
def test_merging_equals_recording_together(parts: list[list[int]]) -> None:
    merged = Histogram.merge(recorded(p) for p in parts)
    together = recorded([v for p in parts for v in p])
    assert np.array_equal(merged.index, together.index)
    assert np.array_equal(merged.counts, together.counts)


def test_a_value_out_of_range_is_clamped_and_counted() -> None:
    recorder = Recorder()
    recorder.record(5 * 3600.0)
    recorder.record(0.0)
    taken = recorder.take()
    assert taken.total == 2
    assert taken.clamped == 1
    assert taken.maximum == pytest.approx(3600, rel=1e-3)
    assert Histogram.merge([taken, taken]).clamped == 2


def test_take_begins_anew() -> None:
    recorder = Recorder()
    recorder.record(0.01)
    assert recorder.take().total == 1
    assert recorder.take().total == 0


def test_nothing_recorded_has_no_percentile() -> None:
    empty = Histogram.empty()
    assert math.isnan(empty.percentile(99))
    assert math.isnan(empty.maximum)
    assert math.isnan(empty.mean)
    assert Histogram.merge([empty, empty]).total == 0
    assert Histogram.decode(empty.encode()).total == 0


@pytest.mark.parametrize("blob", [b"", b"nonsense", b"\x1c\x84\x93\x14\0\0\0\x01x"])
def test_a_broken_blob_is_a_value_error(blob: bytes) -> None:
    with pytest.raises(ValueError, match="not an HDR histogram"):
        Histogram.decode(blob)


@given(values, st.floats(1e-6, 3600))
def test_share_above_counts_slots_beyond_the_limit(us: list[int], limit: float) -> None:
    share = recorded(us).share_above(limit)
    exact = sum(v / 1e6 > limit for v in us) / len(us)
    near = sum(abs(v / 1e6 - limit) <= limit * 2e-3 for v in us) / len(us)
    assert abs(share - exact) <= near + 1e-12
