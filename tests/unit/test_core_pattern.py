"""Rates over time: the integral and its inverse are one another's, for every kind of pattern."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from soak.core.load import Load
from soak.core.pattern import Burst, Segments, Sine, Trace, curve_of, read_trace
from soak.load.schedule import Schedule, Share

HERE = Path()


def due(load: dict, length: float, folder: Path = HERE) -> np.ndarray:
    model = Load.model_validate(load | {"requests": [{"get": "/"}]})
    trace = model.pattern is not None and model.pattern.kind == "trace"
    share = Share(
        Schedule(curve_of(model.rate, model.pattern, folder), "constant" if trace else model.arrivals, 1, length)
    )
    times = []
    while share.peek() is not None:
        times.append(share.take()[1])
    return np.array(times)


# rates and counts that differ from nothing by less than anyone would measure are nothing
rates = st.floats(0, 1000).map(lambda x: round(x, 9))
pieces = st.lists(st.tuples(st.floats(0.1, 100), rates, rates), min_size=1, max_size=6).filter(
    lambda p: sum(n * (a + b) for n, a, b in p) > 1
)


@given(pieces, st.booleans(), st.lists(st.floats(0, 1e4).map(lambda x: round(x, 9)), min_size=1, max_size=20))
@settings(max_examples=100)
def test_segments_invert_their_integral(made, repeat, units):
    curve = Segments([n for n, _, _ in made], [a for _, a, _ in made], [b for _, _, b in made], repeat)
    wanted = np.sort(np.array(units))
    t = curve.when(wanted)
    assert (np.diff(t[np.isfinite(t)]) >= 0).all()
    for u, at in zip(wanted, t, strict=True):
        if np.isfinite(at):
            assert curve.expected(float(at)) == pytest.approx(u, rel=1e-6, abs=1e-6)
        else:
            assert curve.expected(1e9) <= u + 1e-6


@given(
    st.floats(0.1, 1000), st.floats(1, 2), st.floats(1, 1e5), st.floats(0, 2), st.lists(st.floats(0, 1e6), min_size=1)
)
@settings(max_examples=100)
def test_a_sine_inverts_its_integral(mean, factor, period, at, units):
    curve = Sine(mean, mean * factor, period, at * period)
    for u, t in zip(units, curve.when(np.array(units)), strict=True):
        assert curve.expected(float(t)) == pytest.approx(u, rel=1e-9, abs=1e-6)


def counted(times: np.ndarray, *edges: float) -> list[int]:
    return np.histogram(times, edges)[0].tolist()


def test_steps_hold_the_last_rate_or_begin_again():
    steps = [{"rate": "100/s", "for": "2s"}, {"rate": "0/s", "for": "1s"}, {"rate": "300/s", "for": "1s"}]
    once = due({"arrivals": "constant", "pattern": {"kind": "steps", "steps": steps}}, 6)
    assert counted(once, 0, 2, 3, 4, 6) == [200, 0, 300, 600]
    again = due({"arrivals": "constant", "pattern": {"kind": "steps", "steps": steps, "repeat": True}}, 8)
    assert counted(again, 0, 2, 3, 4, 6, 7, 8) == [200, 0, 300, 200, 0, 300]


def test_a_ramp_rises_and_holds():
    times = due({"arrivals": "constant", "pattern": {"kind": "ramp", "from": "0/s", "to": "200/s", "over": "10s"}}, 12)
    assert counted(times, 0, 5, 10, 12) == pytest.approx([250, 750, 400], abs=1)


def test_a_day_has_its_peak_where_it_is_said():
    pattern = {"kind": "daily", "peak": "150/s", "period": "40s", "peak_at": "10s"}
    times = due({"rate": "100/s", "arrivals": "constant", "pattern": pattern}, 40)
    assert len(times) == pytest.approx(4000, abs=1)
    high, low = counted(times, 9, 11, 29, 31)[::2]
    assert (high, low) == (pytest.approx(300, abs=3), pytest.approx(100, abs=3))


def test_bursts_come_at_the_end_of_every_stretch():
    pattern = {"kind": "bursts", "peak": "500/s", "every": "5s", "for": "1s"}
    times = due({"rate": "10/s", "arrivals": "constant", "pattern": pattern}, 10)
    assert counted(times, 0, 4, 5, 9, 10) == pytest.approx([40, 500, 40, 500], abs=1)


def test_poisson_arrivals_follow_the_curve():
    times = due({"pattern": {"kind": "ramp", "from": "0/s", "to": "2000/s", "over": "10s"}}, 10)
    assert counted(times, 0, 5, 10) == pytest.approx([2500, 7500], rel=0.1)


def test_a_trace_is_played_exactly_and_then_again(tmp_path):
    (tmp_path / "t.txt").write_text("# recorded\n5\n5.5\n\n7.25\n")
    times = due({"pattern": {"kind": "trace", "file": "t.txt"}}, 6, tmp_path)
    again = 2.25 + 1.125  # the mean gap after the last one
    assert times.tolist() == [0, 0.5, 2.25, again, again + 0.5, again + 2.25]
    twice = due({"pattern": {"kind": "trace", "file": "t.txt", "speed": 2}}, 3, tmp_path)
    assert twice.tolist() == pytest.approx((times / 2).tolist())


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=50))
def test_a_trace_counts_what_it_plays(gaps):
    curve = Trace(np.cumsum(np.array(gaps, float)), 1.0)
    played = curve.when(np.arange(3 * len(gaps), dtype=float))
    assert (np.diff(played) > 0).all()
    assert curve.expected(float(played[-1]) + 0.5) == 3 * len(gaps)


@pytest.mark.parametrize(
    "text, words",
    [
        ("1\nx\n", "line 2: expected a time"),
        ("2\n1\n", "line 2: 1 is earlier"),
        ("\n#\n", "no arrival times"),
        ("nan", "line 1"),
    ],
)
def test_a_trace_that_is_none_is_refused_with_its_line(tmp_path, text, words):
    (tmp_path / "t").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_trace(tmp_path / "t")


def test_a_trace_may_be_compressed(tmp_path):
    with gzip.open(tmp_path / "t.gz", "wt") as file:
        file.write("1\n2\n")
    assert read_trace(tmp_path / "t.gz").tolist() == [1, 2]


@pytest.mark.parametrize(
    "load, words",
    [
        ({"rate": "1/s", "pattern": {"kind": "daily"}}, "peak: a pattern of kind daily needs it"),
        ({"rate": "1/s", "pattern": {"kind": "daily", "peak": "3/s"}}, "its peak lies between"),
        ({"pattern": {"kind": "daily", "peak": "3/s"}}, "expected `rate`"),
        ({"rate": "1/s", "pattern": {"kind": "ramp", "from": "0/s", "to": "1/s", "over": "1s"}}, "leave it out"),
        ({"pattern": {"kind": "ramp", "from": "0/s", "to": "0/s", "over": "1s"}}, "above 0/s"),
        ({"pattern": {"kind": "ramp", "from": "0/s", "to": "1/s", "over": "1s", "every": "1s"}}, "every: does not go"),
        ({"rate": "1/s", "pattern": {"kind": "bursts", "peak": "9/s", "every": "1s", "for": "1s"}}, "for: expected"),
        ({"pattern": {"kind": "steps", "steps": [{"rate": "0/s", "for": "1s"}]}}, "above 0/s"),
        ({"users": 5, "pattern": {"kind": "trace", "file": "x"}}, "closed model"),
        ({"arrivals": "constant", "pattern": {"kind": "trace", "file": "x"}}, "arrivals: a trace says"),
    ],
)  # fmt: skip
def test_patterns_that_contradict_themselves_are_refused(load, words):
    with pytest.raises(ValidationError, match=words):
        Load.model_validate(load | {"requests": [{"get": "/"}]})


@pytest.mark.parametrize(
    "usual",
    [
        Segments([1.0], [100.0], [100.0], repeat=False),
        Segments([5.0, 5.0], [50.0, 100.0], [50.0, 100.0], repeat=True),
        Segments([30.0], [0.0], [100.0], repeat=False),
        Sine(100.0, 150.0, 60.0, 5.0),
        Trace(np.arange(0.0, 7.0, 0.013), 1.0),
    ],
    ids=["constant", "steps", "ramp", "daily", "trace"],
)
@pytest.mark.parametrize("rate,times", [(600.0, 1.0), (None, 3.0)])
@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
def test_a_burst_is_a_stretch_of_its_own_and_changes_nothing_before_it(
    usual: Any, rate: float | None, times: float, arrivals: Any
) -> None:
    burst = Burst(usual, 20.0, 5.0, rate, times)
    due = np.concatenate([b.due for b in Schedule(burst, arrivals, 1, 40.0).blocks()])
    plain = np.concatenate([b.due for b in Schedule(usual, arrivals, 1, 20.0).blocks()])
    assert (np.diff(due) >= 0).all()
    assert due[: len(plain)] == pytest.approx(plain)
    within = int(((due >= 20) & (due < 25)).sum())
    wanted = 3000 if rate is not None else 3 * (usual.expected(25.0) - usual.expected(20.0))
    assert within == pytest.approx(wanted, rel=0.12)
    assert burst.expected(25.0) - burst.expected(20.0) == pytest.approx(wanted)
    assert burst.expected(40.0) - burst.expected(25.0) == pytest.approx(usual.expected(40.0) - usual.expected(25.0))
