"""One side's processes with all senses: what is seen, and that an end is told once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from soak.core.errors import TargetError
from soak.core.records import Event, Sample
from soak.core.target import Target
from soak.probe.procfs import Stat
from soak.probe.watch import Watch


class Sense:
    """Says whom it was shown."""

    side = "candidate"

    def __init__(self) -> None:
        self.shown: list[int] = []
        self.closed = False

    def look(self, t: float, members: Sequence[Stat]) -> list[Sample]:
        self.shown = [m.pid for m in members]
        return [Sample(t, self.side, {"sensed": 1.0})]

    def events(self) -> list[Event]:
        return [Event(0.0, "note", self.side, "sensed")]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def watched(pid: int) -> Target:
    return Target(url="http://127.0.0.1", pid=pid)


def test_tree_and_senses_are_looked_at_together(child: subprocess.Popen[bytes]) -> None:
    sense = Sense()
    watch = Watch("candidate", watched(child.pid), [sense])
    samples, events = watch.look(3.0)
    assert sense.shown == [child.pid]
    assert {s.t for s in samples} == {3.0}
    tree = [s.values for s in samples if s.source == "candidate"]
    assert any(v.get("memory.rss", 0) > 0 for v in tree)
    assert {"sensed": 1.0} in tree
    assert [e.text for e in events if e.kind == "note"] == ["sensed"]
    watch.close()
    assert sense.closed


def test_the_end_of_the_process_is_told_once(child: subprocess.Popen[bytes]) -> None:
    watch = Watch("candidate", watched(child.pid), [])
    watch.look(0.0)
    child.kill()
    child.wait()
    told = [e for t in (1.0, 2.0, 3.0) for e in watch.look(t)[1] if e.kind == "target_exit"]
    assert [e.t for e in told] == [1.0]
    assert told[0].text.startswith("the watched process of the candidate is gone")
    assert told[0].data["code"] is None  # only whoever started it could know


def test_nobody_to_watch_is_an_error(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    with pytest.raises(TargetError, match=f"there is no process {child.pid}"):
        Watch("candidate", watched(child.pid), [])


def test_what_one_sense_meets_with_hides_nothing_else_and_is_told_once(child: subprocess.Popen[bytes]) -> None:
    class Blind(Sense):
        def look(self, *_: object) -> list[Sample]:
            raise OSError(24, "too many open files")

    watch = Watch("candidate", watched(child.pid), [Blind(), Sense()])
    looks = [watch.look(float(t)) for t in range(3)]
    watch.close()
    for samples, _ in looks:
        assert any("memory.rss" in s.values for s in samples)
        assert any("sensed" in s.values for s in samples)
    told = [e.text for _, events in looks for e in events if e.text != "sensed"]
    assert told == ["a look failed: OSError: [Errno 24] too many open files"]
