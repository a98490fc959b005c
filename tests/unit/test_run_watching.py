"""What is seen of a run: bounded, however many processes come and go in it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.core.records import Event, Sample
from soak.core.target import Target
from soak.run import watching
from soak.run.looks import Looks
from soak.run.sensing import SideWatch
from soak.run.watching import Watching
from tests.making import scenario


def forking(t: float) -> tuple[list[Sample], list[Event]]:
    """A server that has a new child at every look, beside one process that stays."""
    names = ("candidate", "candidate/1@1", f"candidate/{round(t)}@9")
    samples = [Sample(t, name, {"memory.rss": 100.0 + t}) for name in names]
    return samples, [
        Event(t, "process_exit", "candidate", "process ended"),
        Event(t, "process_started", "candidate", "process started"),
        Event(t, "restart", "candidate", "another one"),
    ]


def test_of_processes_that_come_and_go_for_days_only_so_many_are_told_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "MOST_LIVES", 10)
    made = Watching(scenario())
    made.sides = cast(Any, [SimpleNamespace(side="candidate", look=forking, agent=None)])
    seen = [made.look(float(t)) for t in range(10, 110)]
    sources = [s.source for look in seen for s in look.samples]
    assert len({s for s in sources if "/" in s}) == 10
    assert sources.count("candidate") == sources.count("candidate/1@1") == 100, "who was there goes on"
    kinds = [e.kind for look in seen for e in look.events]
    assert kinds.count("process_started") + kinds.count("process_exit") == 20
    assert kinds.count("restart") == 100
    (note,) = [e for look in seen for e in look.events if e.kind == "note"]
    assert note.t == 18.0
    assert made.rss == {"candidate": 209.0}, "nothing is kept of each process"


def test_of_very_many_replacements_of_one_kind_each_hundredth_stands_for_a_hundred() -> None:
    kinds = [{"name": "sleep", "how": "with code 0"}, {"name": "worker", "how": "by SIGSEGV"}]

    def look(t: float) -> tuple[list[Sample], list[Event]]:
        often = [Event(t, "restart", "candidate", "", kinds[0])] * 5
        return [], often + [Event(t, "restart", "candidate", "", kinds[1])] * (t % 100 == 0)

    made = Watching(scenario())
    made.sides = cast(Any, [SimpleNamespace(side="candidate", look=look, agent=None)])
    told = [e for t in range(1, 2001) for e in made.look(float(t)).events]
    helpers, workers = ([e for e in told if e.data["name"] == kind["name"]] for kind in kinds)
    assert len(helpers) == watching.MOST_RESTARTS + 90
    assert sum(e.data.get("times", 1) for e in helpers) == 10_000
    assert len(workers) == 20, "another kind is not lost among them"


def test_processes_that_name_themselves_anew_each_time_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_RESTARTS", 10)

    def look(t: float) -> tuple[list[Sample], list[Event]]:
        return [], [Event(t, "restart", "candidate", "", {"name": f"worker {t}"})]

    made = Watching(scenario())
    made.sides = cast(Any, [SimpleNamespace(side="candidate", look=look, agent=None)])
    told = [e for t in range(5000) for e in made.look(float(t)).events]
    assert len(told) < 400
    assert len(made._restarts) < 300


def test_a_side_that_is_not_watched_keeps_no_run_waiting_for_a_look_into_it(tmp_path: Path) -> None:
    spec = scenario(probe={"attach": "gdb"}, phases={"warmup": "15s", "soak": "60s"})
    made = Watching(spec)
    there = Target(url="http://127.0.0.1:1", pid=os.getpid())
    made.sides = [
        SideWatch(side, target, None, spec, tmp_path, None)
        for side, target in (("candidate", there), ("reference", Target(url="http://127.0.0.1:2")))
    ]
    (agent,) = made.agents
    Looks(spec, made.agents, tmp_path).enter("warmup", 0.0)
    assert agent.busy, "a debugger is ordered where there is somebody to attach to"
    for watch in made.sides:
        watch.close()
