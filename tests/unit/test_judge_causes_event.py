"""Ends of a target: which of them the kernel brought about for want of memory."""

from __future__ import annotations

import numpy as np
import pytest

from soak.core.records import Event, Series
from soak.core.verdict import Verdict
from soak.judge import judge
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, the

KILLED = Event(
    80.4, "target_exit", "candidate", "the candidate was ended by SIGKILL", {"signal": 9, "signal_name": "SIGKILL"}
)
COUNTED = Event(80.4, "oom_kill", "candidate", "the kernel killed a process of its group", {"count": 1.0})


def judged(*events: Event, kills: float | None = None) -> Verdict:
    """A target of 50 MiB in a group of 64 MiB; the host's own count of kills rises by `kills` at 80 s."""
    spec = scenario(criteria=LOOSE)
    group = {"cgroup.memory": lambda t: np.full_like(t, 63 * MIB), "memory.limit": lambda t: np.full_like(t, 64 * MIB)}
    whole = recording(spec, side(spec, until=80.0, series=group), events=events)
    if kills is not None:
        t = np.arange(0.0, 90.0, 1.0)
        counts = {"host.oom_kills": Series(t, np.where(t > 80.0, 3.0 + kills, 3.0))}
        whole = changed(whole, host={**whole.host, **counts})
    return judge(whole)


@pytest.mark.parametrize("events", [(KILLED, COUNTED), (COUNTED, KILLED)])
def test_sigkill_for_want_of_memory_is_no_crash_and_says_how_much_there_was(events: tuple[Event, ...]) -> None:
    verdict = judged(*events)
    assert failing(verdict) == ["oom_kill"]
    (line,) = the(verdict, "oom_kill").evidence
    assert "400 ms before, the target had 50" in line
    assert "its control group used 63 MiB, of a limit (memory.max) of 64 MiB" in line


def test_what_was_not_seen_in_the_end_is_told_as_it_was_before() -> None:
    spec = scenario(criteria=LOOSE)
    hole = {"memory.rss": lambda t: np.where(t > 76, np.nan, 50 * MIB)}
    verdict = judge(recording(spec, side(spec, until=80.0, series=hole), events=(KILLED, COUNTED)))
    assert "4.4 s before, the target had 50 MiB resident" in the(verdict, "oom_kill").evidence[0]


def test_without_a_group_the_count_of_the_host_tells_with_less_certainty() -> None:
    verdict = judged(KILLED, kills=1.0)
    assert failing(verdict) == ["oom_kill"]
    assert the(verdict, "oom_kill").confidence == "medium"


def test_sigkill_by_somebody_else_is_a_crash() -> None:
    assert failing(judged(KILLED, kills=0.0)) == ["crash"]


def test_a_crash_beside_a_kill_of_another_process_is_both() -> None:
    segv = Event(80.4, "target_exit", "candidate", "the candidate was ended by SIGSEGV", {"signal_name": "SIGSEGV"})
    assert set(failing(judged(segv, COUNTED))) == {"crash", "oom_kill"}
