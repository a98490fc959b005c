"""The chaos driver itself: a driver that finds nothing broken must be able to."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from benchmarks.chaos.plan import VICTIMS, trial, trials
from benchmarks.chaos.promises import broken
from benchmarks.chaos.stage import Stage, StuckError
from benchmarks.chaos.story import Hit, Run, Story
from benchmarks.chaos.table import table
from benchmarks.chaos.victims import MARK, kill, left, marked, role
from tests.unit.test_runfile import write


def test_a_trial_follows_from_its_seed_and_number_and_everybody_has_a_turn() -> None:
    drawn = list(islice(trials(7), 60))
    assert drawn[41] == trial(7, 42)
    assert drawn != list(islice(trials(8), 60))
    assert {k.victim for t in drawn for k in t.kills} == set(VICTIMS)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=os.environ | {MARK: "mine"})
    yield process
    process.kill()
    process.wait()


def test_a_process_is_found_by_its_mark_and_killed_once(sleeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while not (found := marked("mine")):  # its environment is there once it has been replaced
        assert time.monotonic() < deadline
    assert [p.pid for p in found] == [sleeper.pid]
    assert marked("another") == []
    assert role(found[0]) is None
    assert left(found, patience=0.2) != []  # what is there is an orphan
    assert kill(found[0])
    assert sleeper.wait(20) == -signal.SIGKILL
    assert left(found) == []
    assert not kill(found[0])


def test_what_a_stage_did_not_start_itself_is_an_orphan(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
    with Stage(tmp_path / "stage", "a stage of its own") as stage:
        subprocess.run([sys.executable, "-c", code], env=os.environ | {MARK: stage.mark}, check=True, timeout=60)
        (orphan,) = marked(stage.mark)
        assert left([orphan], patience=0.2) == [f"{orphan.pid}: {' '.join(orphan.cmdline())}"]
    assert left([orphan]) == []  # and is ended with the stage


def test_a_trial_is_stuck_so_long_after_its_last_start(tmp_path: Path) -> None:
    with Stage(tmp_path / "stage", "a stage that waits", limit=0.2) as stage:
        time.sleep(0.3)
        with pytest.raises(StuckError, match=r"no verdict within 0 s of the last start"):
            stage.in_time("no verdict")
        stage.start("this")
        stage.in_time("no verdict")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A whole run of 20 s, of which all was seen and acknowledged."""
    path = tmp_path / "x.soak"
    write(path)
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE event SET data = '{\"arrivals\": 8000}' WHERE kind = 'schedule'")
    found = Run(path, lives=1, code=3, document=document())
    found.look()
    found.told = {(worker, i) for worker in ("worker-0", "worker-1") for i in range(20)}
    return found


def document(verdict: str = "inconclusive", *notes: str) -> dict[str, Any]:
    return {"verdict": verdict, "headline": verdict, "reasons": [], "notes": list(notes)}


def promises(run: Run) -> set[str]:
    return {one.promise for one in broken(Story(1, "started", [run]))}


def change(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        assert db.execute(statement).rowcount > 0


def test_a_run_that_lost_nothing_breaks_nothing(run: Run) -> None:
    assert broken(Story(1, "started", [run])) == []
    assert "lost: 0 · corrupt files: 0 · orphans: 0" in table([(Story(1, "started", [run]), [])], 1, 60.0)


@pytest.mark.parametrize(
    "statement,expected",
    [
        ("DELETE FROM tally WHERE sequence = 7 AND worker = 'worker-1'", {"lost", "corrupt"}),
        ("UPDATE tally SET done = 199, failed = 1 WHERE sequence = 7", {"lost", "corrupt"}),
        ("DELETE FROM interval WHERE sequence = 7 AND clock = 'latency'", {"corrupt"}),
        ("UPDATE event SET data = '{\"arrivals\": 8001}' WHERE kind = 'schedule'", {"corrupt"}),
    ],
)
def test_what_is_lost_or_does_not_balance_is_seen(run: Run, statement: str, expected: set[str]) -> None:
    change(run.path, statement)
    assert promises(run) == expected


def test_a_report_of_which_only_the_worker_knows_is_lost(run: Run) -> None:
    run.told.add(("witness-1", 3))
    assert promises(run) == {"lost"}


@pytest.mark.parametrize("victim,tells", [
    ("conductor", "the run was cut off 10 s into it and resumed 3 s later"),
    ("master", "the load master of the candidate ended with code -9"),
    ("worker", "worker-1 was lost (its process ended) 4 s into the run"),
    ("observer", "nothing was seen of the candidate for 6 s: the observer did not look"),
])  # fmt: skip
def test_a_gap_that_is_not_told_is_seen_and_one_that_is_told_is_not(run: Run, victim: Any, tells: str) -> None:
    run.hits = [Hit(victim, "soak", 10.0)]
    assert promises(run) == {"untold"}
    run.document = document("inconclusive", tells)
    assert promises(run) == set()
    run.hits = [replace(run.hits[0], phase="idle_after")]
    run.document = document()
    assert promises(run) == set()  # nothing was missed


def test_what_is_killed_before_a_run_goes_on_was_not_under_load(run: Run) -> None:
    change(run.path, "UPDATE event SET data = '{\"name\": \"soak\"}' WHERE kind = 'phase' AND t = 20")
    assert run.look()[0] == "soak"
    run.hit("conductor", run.look())
    assert run.look()[0] is None  # the file still says soak, and nobody soaks
    change(
        run.path,
        "INSERT INTO event SELECT 999, 20, 'resumed', NULL, '', "
        '\'{"from": 19, "to": 20, "why": "cut off", "away": 1, "anew": [], "begin": 5, "upto": 14}\'',
    )
    assert run.look()[0] == "soak"


def test_a_pass_of_a_run_that_was_cut_off_is_none(run: Run) -> None:
    run.hits = [Hit("conductor", "soak", 10.0)]
    run.document = document("pass", "the run was cut off 10 s into it and resumed 3 s later")
    assert promises(run) == {"untold"}
    assert broken(Story(1, "observed", [run])) == []  # there the target lived on


def test_a_run_without_a_verdict_and_a_trial_without_an_end_are_seen(run: Run) -> None:
    run.document, run.said = None, "Traceback"
    assert promises(run) == {"untold"}
    run.path = run.path.with_name("never-made.soak")
    assert promises(run) == {"untold"}
    run.result, run.reason = "invalid", "the load master did not start: exit code -9"
    assert promises(run) == set()  # a daemon's word on a run that never measured
    assert [b.words for b in broken(Story(1, "served", [], stuck="no verdict"))] == ["no verdict"]
    assert [b.promise for b in broken(Story(1, "served", [], orphans=["77: server"]))] == ["orphan"]
