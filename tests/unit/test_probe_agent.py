"""The agents of a side, as the run hears them: values by process and of the tree, and who is looked into."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soak.core.inspection import REHEARSAL, looks
from soak.core.records import Event, Sample
from soak.probe import AgentSense, Inspection, inspection, procfs, trim
from soak.probe.agent import AgentError, ask, figures
from soak.probe.procfs import Stat
from tests.agents import eventually, program
from tests.making import recording

MIB = 1024.0 * 1024.0


def answer(**changes: Any) -> dict[str, Any]:
    said = {
        "protocol": 1,
        "python": "3.12.1",
        "allocator": "glibc",
        "malloc": {"live": 30 * MIB, "free": 5 * MIB, "holes": 12.0},
        "pymalloc": {"blocks": 1000.0, "live": 10 * MIB, "slack": 2 * MIB},
        "gc": {"collections": [9, 3, 1], "uncollectable": 0, "enabled": True},
        "stack": {"depth": 20, "limit": 1000},
        "recursion_errors": 0,
        "cpu_s": 0.5,
    }
    return said | changes


def test_live_is_what_both_allocators_gave_out_and_kept_is_what_is_resident_and_free() -> None:
    found = figures(answer(), anon=44 * MIB)
    assert found["memory.live"] == 40 * MIB
    assert found["memory.free_in_heap"] == 5 * MIB
    assert found["memory.pymalloc_slack"] == 2 * MIB
    assert found["memory.fragmentation"] == pytest.approx(4 / 44), "3 MiB of what is free were given back"
    assert figures(answer(), anon=None)["memory.fragmentation"] == pytest.approx(7 / 47)
    assert found["malloc.holes"] == 12
    assert found["gc.full_collections"] == 1


def test_what_an_agent_did_not_look_at_is_absent() -> None:
    found = figures(answer(malloc={}, pymalloc={}), anon=44 * MIB)
    assert not [name for name in found if name.startswith(("memory.", "malloc.", "python."))]
    assert found["stack.depth"] == 20


@contextmanager
def told(folder: Path, pid: int, *answers: bytes) -> Iterator[Path]:
    """A socket in the place of an agent's that gives these answers, one a question; the last again and again."""
    path = folder / f"{pid}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            left = list(answers)
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(4096)
                    peer.sendall(left.pop(0) if len(left) > 1 else left[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def packed(said: dict[str, Any]) -> bytes:
    return json.dumps(said).encode() + b"\n"


@pytest.mark.parametrize(
    "said,words",
    [(b"nonsense\n", "Expecting"), (b"", "hung up"), (b"[]\n", "no answer"),
     (packed({"error": "too busy"}), "too busy"), (packed({"protocol": 99}), "another version")],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_error(tmp_path: Path, said: bytes, words: str) -> None:
    with told(tmp_path, 7, said) as path, pytest.raises(AgentError, match=words):
        ask(path, {"do": "look"}, 5.0)


def test_nobody_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AgentError):
        ask(tmp_path / "none.sock", {"do": "look"})


def seen(sense: AgentSense, members: list[Stat], source: str) -> Sample:
    """The first sample of a source that comes in."""

    def attempt() -> Sample | None:
        return next((s for s in sense.look(1.0, members) if s.source == source), None)

    sample: Sample = eventually(attempt, f"a sample of {source}")
    return sample


def test_a_process_and_its_tree_are_told_of_and_the_agent_is_greeted_once(tmp_path: Path) -> None:
    me = procfs.stat(os.getpid())
    sense = AgentSense("candidate", 0.05, tmp_path)
    try:
        with told(tmp_path, me.pid, packed(answer())):
            own = seen(sense, [me], f"candidate/{me.pid}@{me.started}")
            tree = seen(sense, [me], "candidate")
            seen(sense, [me], "candidate")
        assert own.values["memory.live"] == tree.values["memory.live"] == 40 * MIB
        assert sense.present
        (event,) = sense.events()
        assert event.kind == "agent"
        assert "Python 3.12.1, allocator glibc" in event.text
    finally:
        sense.close()


def test_of_processes_that_ended_only_their_sum_is_kept_however_many_there_were(tmp_path: Path) -> None:
    sense = AgentSense("candidate", 1.0, tmp_path)
    with told(tmp_path, os.getpid(), packed(answer(recursion_errors=2))):
        for life in range(40):
            sense._ask_all([replace(procfs.stat(os.getpid()), started=life)])
    tree = [s for s in sense.look(1.0, []) if s.source == "candidate"][-1]
    sense.close()
    assert tree.values["agent.recursion_errors"] == 80
    assert tree.values["gc.collections"] == 40 * 13
    assert list(sense._counted) == [(os.getpid(), 39)]


def test_the_tree_is_not_summed_when_much_of_it_has_no_agent(tmp_path: Path) -> None:
    me, parent = procfs.stat(os.getpid()), procfs.stat(os.getppid())
    sense = AgentSense("candidate", 0.05, tmp_path)
    try:
        with told(tmp_path, parent.pid, packed(answer())):
            sources = set()
            for _ in range(3):
                seen(sense, [me, parent], f"candidate/{parent.pid}@{parent.started}")
            sources |= {s.source for s in sense.look(2.0, [me, parent])}
        assert "candidate" not in sources
    finally:
        sense.close()


def stat(pid: int, cpu: float) -> Stat:
    me = procfs.stat(os.getpid())
    return type(me)(**{f: getattr(me, f) for f in me.__slots__} | {"pid": pid, "cpu_seconds": cpu})


def test_the_one_that_is_busy_lately_is_looked_into_and_kept_while_it_has_a_fair_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soak.probe.agent.socket_of", lambda pid, _: Path(f"{pid}.sock") if pid != 4 else None)
    sense = AgentSense("candidate", 1e9, tmp_path)
    monkeypatch.setattr(sense._thread, "start", lambda: None)

    def busiest(t: float, **cpu: float) -> int:
        members = [stat(int(name[1:]), seconds) for name, seconds in cpu.items()]
        sense.look(t, members)
        chosen = sense.busiest(members)
        assert chosen is not None
        return chosen[0].pid

    assert busiest(0.0, p1=9.0, p2=1.0, p3=1.0, p4=90.0) == 1, "at first nothing else is known; one without an agent"
    assert busiest(10.0, p1=9.0, p2=3.0, p3=2.0) == 2, "a master that only began things does nothing now"
    assert busiest(20.0, p1=9.0, p2=5.0, p3=6.0) == 2
    assert busiest(60.0, p1=9.0, p2=5.0, p3=30.0) == 3
    assert sense.busiest([]) is None


@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_an_inspection_becomes_a_look(tmp_path: Path, seconds: float) -> None:
    code = "import time\nkept = {}\nkept.update((i, i) for i in range(5000))\nwhile True: time.sleep(0.001)\n"
    with program(tmp_path, code) as host:
        host.ask()
        me = procfs.stat(host.pid)
        sense = AgentSense("candidate", 1e9, tmp_path)
        inspection = Inspection("planned", seconds, 0.3, True, tmp_path)
        Inspection(REHEARSAL, 0.1, 0.0, True, tmp_path)(sense, [me])
        assert sense.artifacts() == []
        inspection(sense, [me])
        trim(sense, [me])
        rehearsed, event, trimmed = sense.events()
        artifacts = sense.artifacts()
    assert rehearsed.data["why"] == REHEARSAL
    (look,) = looks(recording(events=(rehearsed, event)), "candidate")
    assert (look.pid, look.why) == (host.pid, "planned")
    assert ("dict", 5000, "__main__.kept") in [(c.type, c.items, c.name) for c in look.containers]
    assert look.live is not None
    assert look.by_objects is not None
    assert 0 < look.by_objects < 1.2 * look.live
    assert (look.window is not None) is bool(seconds)
    assert [a[1] for a in artifacts] == ["memray"] * bool(seconds)
    assert trimmed.data["before"] >= 0
    assert not list(tmp_path.glob("*.bin*")), "captures are removed"


def test_captures_of_a_long_run_do_not_fill_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_MOST_KEPT", 30)
    monkeypatch.setattr(inspection, "_MOST_IN_ALL", 100)
    sizes = iter((40, 20, 20, 20, 20, 10, 10))

    def read(_capture: Path, most: int) -> tuple[dict[str, Any], bytes | None]:
        size = next(sizes)
        return {}, b"x" * size if size <= most else None

    monkeypatch.setattr(inspection, "_read", read)
    sense = AgentSense("candidate", 1e9, tmp_path)
    me = procfs.stat(os.getpid())
    with told(tmp_path, me.pid, packed(answer(tracked_s=0.1))):
        for _ in range(7):
            Inspection("planned", 0.1, 0.0, True, tmp_path)(sense, [me])
    assert len(sense.events()) == 7, "what was found in each is kept all the same"
    assert [len(kept) for *_, kept in sense.artifacts()] == [20, 20, 10, 10]


def test_a_process_that_went_away_is_not_looked_into(tmp_path: Path) -> None:
    sense = AgentSense("candidate", 1e9, tmp_path)
    Inspection("planned", 0.1, 0.1, True, tmp_path)(sense, [stat(999_999, 1.0)])
    trim(sense, [stat(999_999, 1.0)])
    assert sense.events() == []


def test_a_stranger_in_the_place_of_an_agent_ends_nothing(tmp_path: Path) -> None:
    me = procfs.stat(os.getpid())
    sense = AgentSense("candidate", 0.05, tmp_path)
    try:
        with told(tmp_path, me.pid, packed({"protocol": 1}), b"[" * 100_000 + b"\n", packed(answer())):
            seen(sense, [me], "candidate")
        assert sense.tells
    finally:
        sense.close()


def test_an_answer_that_makes_no_sense_is_told_once_and_the_next_ones_are_heard(tmp_path: Path) -> None:
    me = procfs.stat(os.getpid())
    sense = AgentSense("candidate", 0.05, tmp_path)
    nonsense = packed(answer(stack={"depth": 1, "limit": 0}))
    try:
        with told(tmp_path, me.pid, nonsense, nonsense, packed(answer())):
            seen(sense, [me], "candidate")
        assert [e.text for e in sense.events() if e.kind == "note"] == [
            "agents could not be asked: ZeroDivisionError: float division by zero"
        ]
    finally:
        sense.close()


def test_a_close_look_that_fails_is_told_and_the_next_one_is_taken(tmp_path: Path) -> None:
    me = procfs.stat(os.getpid())
    sense = AgentSense("candidate", 1e9, tmp_path)

    def broken(_sense: AgentSense, _members: object) -> None:
        raise KeyError("surprise")

    done = threading.Event()
    try:
        sense.look(0.0, [me])
        sense.order(broken)
        sense.order(lambda *_: done.set())
        assert done.wait(20)
        eventually(lambda: not sense.busy, "its end")
        (event,) = sense.events()
        assert (event.kind, event.text) == ("note", "a close look failed: KeyError")
    finally:
        sense.close()


def test_a_python_target_without_an_agent_is_told_of_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.probe.agent._COMES_UP_S", -1.0)
    me = procfs.stat(os.getpid())
    sense = AgentSense("candidate", 0.05, tmp_path, "no agent answers")
    try:

        def told_of() -> list[Event]:
            sense.look(1.0, [me])
            return sense.events()

        (event,) = eventually(told_of, "an event")
        assert (event.kind, event.side, event.text, event.data) == (
            "agent_missing", "candidate", "no agent answers", {"pid": me.pid},
        )  # fmt: skip
        with told(tmp_path, me.pid, packed(answer())):
            seen(sense, [me], "candidate")
        assert [e.kind for e in sense.events()] == ["agent"]
    finally:
        sense.close()


def test_a_target_that_is_no_python_program_misses_no_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.probe.agent._COMES_UP_S", -1.0)
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            sense = AgentSense("candidate", 1e9, tmp_path, "no agent answers")
            for _ in range(3):
                sense._ask_all([procfs.stat(other.pid)])
            assert sense.events() == []
        finally:
            other.kill()
