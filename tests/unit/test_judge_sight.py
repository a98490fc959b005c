from __future__ import annotations

import re

import numpy as np
import pytest

from soak.judge.matters import Gate
from soak.judge.sight import _least, latency_sight, memory_sight
from soak.judge.stats.trend import trend
from tests.unit.judging import judged, memory, view


@pytest.mark.parametrize("sd", [0.5, 2.0, 6.0])
def test_what_would_have_been_seen_is_seen(sd: float) -> None:
    """Growth as large as claimed, on other noise of the same kind, is found at least eight times in ten."""
    gate, t = Gate(0.03, 1.0), np.arange(60.0)
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        calm = trend(t, 100 + rng.normal(0, sd, 60))
        assert calm is not None
        sick = trend(t, 100 + _least(calm, gate) * t / 60 + rng.normal(0, sd, 60))
        assert sick is not None
        found += gate.severity(sick) is not None
    assert found >= 48


def test_more_noise_sees_less() -> None:
    def seen(sd: float) -> float:
        match = re.search(
            r"above ([0-9.]+) (MiB|GiB)/h", memory_sight(view(series=memory(lambda t: 50 + 0 * t, 3, sd)))
        )
        assert match is not None
        return float(match[1]) * (1024 if match[2] == "GiB" else 1)

    assert seen(0.1) < seen(3.0) < seen(10.0)


def test_a_pass_says_so_in_its_headline_and_notes() -> None:
    verdict = judged()
    assert verdict.headline.startswith("PASS: the criterion holds; memory growth above")
    assert "MiB/h would have been seen" in verdict.headline
    assert any(note.startswith("browse: growth over the soak of p50 by") for note in verdict.notes)
    assert any("too few requests for a trend of p999" in note for note in verdict.notes)


def test_blindness_is_admitted() -> None:
    assert "too little" in memory_sight(view(series={"memory.anon": lambda t: np.full_like(t, np.nan),
                                                     "memory.rss": lambda t: np.full_like(t, np.nan)}))  # fmt: skip
    (line,) = latency_sight(view())
    assert "p999" in line
