"""The end of a fleet. Whole ones are in tests/e2e."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.load.fleet import Fleet
from soak.load.schedule import Part

MASTER = "import sys; any('quit' in line for line in sys.stdin)"
"""Ends when it is told to."""
LAST_WORD = "import sys, time; time.sleep(1); open('told', 'w').close()"


def fleet(folder: Path, worker: str) -> Fleet:
    made = Fleet(cast(Any, SimpleNamespace(side="candidate")), "token", 1, folder / "x.soak")
    for name, program in (("master", MASTER), ("worker-0", worker)):
        made._processes[name] = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, cwd=folder, start_new_session=True
        )
    return made


def test_before_there_was_any_load_no_worker_is_waited_for(tmp_path: Path) -> None:
    made = fleet(tmp_path, "import time; time.sleep(60)")  # it is being imported, and hears nothing
    began = time.monotonic()
    made.close()
    assert time.monotonic() - began < 8
    assert all(process.returncode is not None for process in made._processes.values())


def test_under_load_a_worker_may_tell_its_last_word(tmp_path: Path) -> None:
    made = fleet(tmp_path, LAST_WORD)
    made.begin(0.0)
    made.close()
    assert (tmp_path / "told").exists()


@pytest.mark.timeout(60)
def test_a_worker_that_prints_on_and_on_is_not_held_up_and_its_end_says_the_last_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "chatty.py").write_text("for i in range(100_000): print(f'line {i}')\nraise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    made = fleet(tmp_path, "")
    made._spawn("worker-0", "chatty")
    while not (lost := [loss for loss in made.poll() if loss.name == "worker-0"]):
        time.sleep(0.05)
    made.close()
    assert (lost[0].name, lost[0].code) == ("worker-0", 3)
    assert lost[0].text.endswith("line 99999")
    assert len(lost[0].text) <= 4000
    assert {p.name for p in tmp_path.iterdir()} - {"__pycache__"} == {"chatty.py"}


def test_what_a_master_says_as_it_ends_is_known_when_it_has_ended(tmp_path: Path) -> None:
    made = Fleet(cast(Any, SimpleNamespace(side="candidate")), "token", 1, tmp_path / "x.soak")
    said = [
        {"event": "split", "at": 0.0, "shares": {"worker-0": 0}},
        {"event": "ended", "worker": "worker-0", "until": 9.0, "parts": [[0.0, 0, 1]]},
    ]
    program = MASTER + "; print(" + ", ".join(repr(json.dumps(line)) for line in said) + ", sep=chr(10))"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    made._processes["master"] = process
    made._listener = threading.Thread(target=made._listen, args=(process.stdout,))
    made._listener.start()
    made.close()
    assert made.shares() == {"worker-0": (9.0, [Part(0.0, 0, 1)])}
