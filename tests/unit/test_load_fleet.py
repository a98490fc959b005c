"""The end of a fleet. Whole ones are in tests/e2e."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from soak.load.fleet import Fleet

MASTER = "import sys; any('quit' in line for line in sys.stdin)"
"""Ends when it is told to."""
LAST_WORD = "import sys, time; time.sleep(1); open('told', 'w').close()"


def fleet(folder: Path, worker: str) -> Fleet:
    made = Fleet(cast(Any, SimpleNamespace(side="candidate")), "token", 1, folder / "x.soak", folder)
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
