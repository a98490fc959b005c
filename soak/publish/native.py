"""HDR histograms as Prometheus' native ones, in the protobuf messages of remote write 1.0.

A native histogram of schema n has 2^n buckets for each power of two: bucket i holds what is above 2^((i-1)/2^n) and up
to 2^(i/2^n) (https://prometheus.io/docs/specs/native_histograms/). Schema 5 makes them 2.2 % wide, 20 times wider
than the slots of an HDR histogram, so that a slot falls into the bucket of its middle.

The messages are `WriteRequest`, `TimeSeries`, `Label`, `Histogram` and `BucketSpan` of prometheus/prompb, few enough to
be written by hand. The body is a Snappy block of literals, which any reader takes: there is little to compress.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np

from soak.core.histogram import Histogram, middle

SCHEMA = 5
_ZERO_THRESHOLD = 2.0**-128
_LITERAL_BYTES = 65536
_VARINT, _DOUBLE, _BYTES = 0, 1, 2

Buckets = tuple[list[tuple[int, int]], list[int]]
"""Spans (buckets skipped before, the first counted from bucket 0; how many follow each other), and a count for each."""


def native(found: Histogram) -> Buckets:
    """The buckets that hold anything."""
    at = np.ceil(np.log2(middle(found.index) / 1e6) * 2**SCHEMA).astype(np.int64)
    indices, places = np.unique(at, return_inverse=True)
    counts = np.bincount(places, weights=found.counts).astype(np.int64)
    spans: list[tuple[int, int]] = []
    expected = 0
    for index in indices.tolist():
        if spans and index == expected:
            spans[-1] = spans[-1][0], spans[-1][1] + 1
        else:
            spans.append((index - expected, 1))
        expected = index + 1
    return spans, counts.tolist()


def write_request(histograms: Mapping[tuple[tuple[str, str], ...], Histogram], at: float) -> bytes:
    """A `WriteRequest` with a sample of each histogram at a time (s since 1970), by their labels sorted by name."""
    return b"".join(
        _field(1, b"".join(_field(1, _label(*pair)) for pair in labels) + _field(4, _histogram(one, at)))
        for labels, one in histograms.items()
    )


def snappy(data: bytes) -> bytes:
    """Data as a Snappy block of literals (https://github.com/google/snappy/blob/main/format_description.txt)."""
    parts = [_varint(len(data))]
    for start in range(0, len(data), _LITERAL_BYTES):
        literal = data[start : start + _LITERAL_BYTES]
        parts += [b"\xf4", struct.pack("<H", len(literal) - 1), literal]  # 61 << 2: the length is in two bytes
    return b"".join(parts)


def _label(name: str, value: str) -> bytes:
    return _field(1, name.encode()) + _field(2, value.encode())


def _histogram(found: Histogram, at: float) -> bytes:
    spans, counts = native(found)
    deltas = [b - a for a, b in zip([0, *counts], counts, strict=False)]
    return b"".join(
        [
            _number(1, found.total),
            _key(3, _DOUBLE) + struct.pack("<d", found.mean * found.total if found.total else 0.0),
            _number(4, _zigzag(SCHEMA)),
            _key(5, _DOUBLE) + struct.pack("<d", _ZERO_THRESHOLD),
            _number(6, 0),
            *(_field(11, _number(1, _zigzag(skipped)) + _number(2, length)) for skipped, length in spans),
            _field(12, b"".join(_varint(_zigzag(delta)) for delta in deltas)),
            _number(15, round(at * 1000)),
        ]
    )


def _key(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _field(number: int, data: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + _varint(value)


def _zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
