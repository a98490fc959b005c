"""A worker from elsewhere, with a stand-in for the generator. Whole ones are in tests/e2e."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from soak.core.errors import LoadError
from soak.load import Invitation
from soak.run import serve
from tests.unit.test_runfile import SCENARIO

INVITED = {"name": "w", "run": "made-1", "side": "candidate", "scenario": SCENARIO, "ports": {}}
GENERATOR = """
import sys
sys.stdin.readline()
print({invited!r}, flush=True)
assert sys.stdin.readline() == "go\\n"
{then}
"""


def generator(folder: Path, monkeypatch: pytest.MonkeyPatch, then: str) -> None:
    """Have `then` done by whatever is started as a generator."""
    program, script = folder / "generator.py", folder / "python"
    program.write_text(GENERATOR.format(invited=json.dumps(INVITED), then=then))
    script.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(program))}\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))


def served() -> list[str]:
    said: list[str] = []
    serve(Invitation("127.0.0.1", 1, "token", "w", local=False), lambda _: None, said.append)
    return said


@pytest.mark.timeout(60)
def test_a_locustfile_that_prints_on_and_on_does_not_stop_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator(tmp_path, monkeypatch, "for _ in range(20_000): print('GET /items'); print('slow', file=sys.stderr)")
    assert served()[-1] == "the run has ended"


def test_what_a_worker_said_when_it_failed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator(tmp_path, monkeypatch, "sys.exit('not the same files here')")
    with pytest.raises(LoadError, match="not the same files here"):
        served()
