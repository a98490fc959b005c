"""A master and its members. In a process of its own: importing Locust changes one for good."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from soak.runfile import RunWriter, read
from tests.unit.test_runfile import META, SCENARIO

BEGIN = """
import sys
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from soak.load.master import Master, Member
from soak.load.plan import Plan
from soak.load.wire import Session

plan = Plan("made-1", "candidate", monotonic(), {scenario!r}, ".", {{}})
master = Master(plan, "token", 1, Path({path!r}), "127.0.0.1", 0)

def join(node):
    master._members[node] = Member(node, node, Session("token", "made-1", "a", "b"), monotonic(), ready=True)
"""


def said(folder: Path, then: str) -> list[str]:
    """What a master told while `then` was done."""
    path = folder / "a.soak"
    RunWriter.create(path, META).close()
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(scenario=SCENARIO, path=str(path)) + then],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [str(json.loads(line)["event"]) for line in done.stdout.splitlines()]


def test_a_run_whose_last_worker_is_gone_is_not_drained_for_others_may_come(tmp_path: Path) -> None:
    then = "join('w1'); master._start(monotonic()); master._bury('w1'); print({}, flush=True)"
    told = said(tmp_path, then.format("""'{"event": "midst"}'""") + "; join('w2'); master._stop(monotonic())\n"
                "master._check_drained(); master._members['w2'].final = True; master._check_drained()")  # fmt: skip
    assert "drained" not in told[: told.index("midst")]
    assert told.count("drained") == 1
    assert told[-1] == "drained"


def test_what_strangers_leave_behind_is_bounded(tmp_path: Path) -> None:
    then = "for i in range(3000): master._on_hello(SimpleNamespace(data={'nonce': 'n'}, node_id=f'n{i}'))\n"
    said(tmp_path, then + "assert len(master._pending) == 1000 and 'n2999' in master._pending")


def test_a_stranger_is_refused_once(tmp_path: Path) -> None:
    then = """
import gevent
import soak.load.master
soak.load.master._HELLO_S = 0.2
for node in ("wrong", "silent"):
    master.runner.clients[node] = SimpleNamespace()
    master._on_connect(node)
master._refuse("wrong", "it does not know this run's token")
gevent.sleep(1)
"""
    assert said(tmp_path, then).count("event") == 2


def test_a_worker_that_left_its_share_while_the_master_stood_still_is_given_one_again(tmp_path: Path) -> None:
    then = """
join('w1'); w1 = master._members['w1']
master._start(monotonic())
master._on_ping(w1, {"sent": 0.0, "alone": None, "share": 1})
assert w1.present
master._on_ping(w1, {"sent": 0.0, "alone": 5.0, "share": 1})  # it was told nothing since it left
assert not w1.present
master._heard(w1)
assert w1.present
master._on_ping(w1, {"sent": 0.0, "alone": 6.0, "share": 1})  # said before it heard of its new share
assert w1.present
"""
    told = said(tmp_path, then)
    assert told.count("split") == 2
    kinds = [e.kind for e in read(tmp_path / "a.soak").events]
    assert kinds == ["split", "worker_lost", "worker_joined", "split"]
