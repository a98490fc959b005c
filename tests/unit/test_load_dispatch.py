"""Slots that wait for arrivals. In a process of its own: gevent belongs to the generator's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SLOTS = """
from pathlib import Path
from time import monotonic
import gevent
from soak.core.scenario import Scenario
from soak.load.dispatch import Dispatcher
from soak.load.engine import Engine
from soak.load.ledger import Ledger
from soak.load.plan import schedule_of
from soak.load.schedule import Part
from tests.unit.test_runfile import SCENARIO

class Idle(list):
    searched = 0
    def __contains__(self, waiter):
        Idle.searched += 1
        return super().__contains__(waiter)

scenario = Scenario.model_validate(SCENARIO)
engine = Engine(scenario, schedule_of(scenario, Path()), Ledger("candidate", "w"), monotonic(), None, Part(0.0, 0, 1))
dispatcher = Dispatcher(engine)
dispatcher._idle = Idle()
served = []

def slot(number):
    while True:
        engine.settle(dispatcher.next())
        served.append(number)

slots = [gevent.spawn(slot, n) for n in range(4)]
engine.start(monotonic() + 0.2)
gevent.sleep(0.1)
slots[3].kill()  # the one that would be woken first
assert Idle.searched == 1 and len(dispatcher._idle) == 3
dispatcher.rearm()
gevent.sleep(0.7)
assert len(served) > 20 and 3 not in served, served
assert Idle.searched == 1, "an arrival does not cost more where many slots are idle"
"""


def test_a_slot_that_was_killed_takes_no_arrival_and_those_that_wait_cost_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SLOTS],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
