"""HDR histograms as native ones. That a real Prometheus takes what is written is in tests/e2e/test_prometheus.py."""

from __future__ import annotations

import numpy as np
import pytest

from soak.core.histogram import Histogram, Recorder
from soak.publish.native import SCHEMA, native, snappy


def recorded(values: np.ndarray) -> Histogram:
    recorder = Recorder()
    for value in values:
        recorder.record(float(value))
    return recorder.take()


def bounds(spans: list[tuple[int, int]], schema: int) -> list[float]:
    """The upper bound (s) of each bucket, as a reader unfolds the spans."""
    found, at = [], 0
    for skipped, length in spans:
        at += skipped
        found += [2 ** ((at + i) / 2**schema) for i in range(length)]
        at += length
    return found


def test_each_value_is_in_the_bucket_that_holds_it() -> None:
    for value in (0.000_1, 0.004, 0.0041, 1.0, 3.0, 900.0):
        spans, counts = native(recorded(np.array([value])))
        (upper,) = bounds(spans, SCHEMA)
        assert counts == [1]
        # a slot of the HDR histogram is up to 1 % wide at 0.1 ms
        assert upper / 2 ** (1 / 2**SCHEMA) * 0.99 < value <= upper * 1.01


def test_buckets_hold_every_value_once_and_read_quantiles_to_their_width() -> None:
    values = 0.045 * np.exp(0.8 * np.random.default_rng(5).standard_normal(30_000))
    found = recorded(values)
    spans, counts = native(found)
    assert sum(counts) == found.total == 30_000
    assert sum(length for _, length in spans) == len(counts)
    upper = bounds(spans, SCHEMA)
    assert upper == sorted(upper)
    for q in (0.5, 0.99, 0.999):
        read = upper[int(np.searchsorted(np.cumsum(counts), q * 30_000))]
        assert read == pytest.approx(np.quantile(values, q), rel=0.03)


def test_gaps_between_buckets_are_told() -> None:
    spans, counts = native(recorded(np.array([0.001, 0.001, 4.0])))
    assert counts == [2, 1]
    assert len(spans) == 2
    low, high = bounds(spans, SCHEMA)
    assert low == pytest.approx(0.001, rel=0.03)
    assert high == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 65536, 65537, 200_000])
def test_a_snappy_block_gives_back_what_was_put_in(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    assert unsnapped(snappy(data)) == data


def unsnapped(block: bytes) -> bytes:
    """A reader of the literals of a Snappy block, by its format description."""
    length = shift = at = 0
    while True:
        byte = block[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    found = b""
    while at < len(block):
        assert block[at] & 3 == 0  # a literal
        assert block[at] >> 2 == 61  # its length less one is in the next two bytes
        size = int.from_bytes(block[at + 1 : at + 3], "little") + 1
        found += block[at + 3 : at + 3 + size]
        at += 3 + size
    assert len(found) == length
    return found
