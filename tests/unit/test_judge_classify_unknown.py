"""Growth whose cause cannot be told: the evidence says why, and what would tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from soak.core.records import Event, Series
from soak.judge import judge
from tests.making import recording, scenario, side
from tests.unit.judging import LOOSE, changed, memory, the

LEAK = memory(lambda t: 50 + 0.2 * t)


def told(*events: Event, **series: Any) -> str:
    spec = scenario(criteria=LOOSE)
    made = side(spec, series=LEAK)
    made = changed(made, series={**made.series, **{n.replace("_", ".", 1): s for n, s in series.items()}})
    finding = the(judge(recording(spec, made, events=events)), "memory_growth")
    return " ".join(finding.evidence)


def seldom(value: float) -> Series:
    return Series(np.array([30.0, 80.0]), np.array([value, value]))


def test_nobody_inside() -> None:
    text = told()
    assert "seen from outside only" in text
    assert "an agent inside would tell (`soak exec`" in text


def test_an_agent_that_cannot_ask_the_allocator_however_it_was_met() -> None:
    met = Event(1.0, "agent", "candidate", "process 7 has an agent")
    for text in (told(met), told(agent_cpu_seconds=seldom(0.1))):  # an observer knew it before the run
        assert "its allocator is not one that it can ask" in text
        assert "would tell (`soak exec`" not in text


def test_an_agent_that_was_asked_too_seldom() -> None:
    text = told(memory_live=seldom(4e7), agent_cpu_seconds=seldom(0.1))
    assert "asked too seldom for a trend of what is live: a longer soak would tell" in text
    assert "seen from outside only" not in text


def test_a_python_target_into_which_no_agent_came() -> None:
    text = told(Event(9.0, "agent_missing", "candidate", "no agent answers: does its command set PYTHONPATH itself?"))
    assert "does its command set PYTHONPATH itself?" in text
    assert "an agent inside would tell" not in text
