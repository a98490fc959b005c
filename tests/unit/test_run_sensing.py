"""The watch over one side: what is seen of a real target, up to its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from soak.core.records import Event, Sample, Series
from soak.core.target import Command, Target
from soak.judge import judge
from soak.run.sensing import SideWatch
from soak.run.target import StartedTarget
from tests.e2e.harness import free_port
from tests.making import recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, the
from tests.unit.observing import Fake, answering

SERVER = """
import socket, sys, threading, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
"""
DEEPER = """
sys.setrecursionlimit(5000)
threading.stack_size(512 * 1024)
def walk(n): return sorted((n,), key=lambda d: walk(d - 1) if d else 0)[0]
def serve():
    depth = -10  # the first connection only asks whether it is there
    while True:
        client, _ = server.accept()
        depth += 10
        walk(max(0, depth))
        client.close()
threading.Thread(target=serve).start()
"""


@contextmanager
def watched(folder: Path, code: str) -> Iterator[tuple[SideWatch, StartedTarget, int]]:
    """A server of `code` that soak started, the watch over it, and its port."""
    port = free_port()
    (folder / "server.py").write_text(SERVER + code)
    command = Command(command=f"{{python}} {folder / 'server.py'} {port}")
    target = Target(url=f"http://127.0.0.1:{port}", process=command)
    started = StartedTarget("candidate", target, command, folder)
    watch = SideWatch("candidate", target, started, scenario(), folder, None)
    try:
        yield watch, started, port
    finally:
        watch.close()
        started.stop()


def ask(port: int) -> None:
    """Have the server do its work once; it may die of it."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.recv(1)
    except OSError:
        pass


def series_of(samples: list[Sample]) -> dict[str, Series]:
    found: dict[str, list[tuple[float, float]]] = {}
    for sample in samples:
        if sample.source == "candidate":
            for name, value in sample.values.items():
                found.setdefault(name, []).append((sample.t, value))
    return {name: Series(*map(np.array, zip(*points, strict=True))) for name, points in found.items()}


def test_a_thread_that_recurses_deeper_and_deeper_dies_of_its_stack_and_not_of_a_crash(tmp_path: Path) -> None:
    samples: list[Sample] = []
    events: list[Event] = []
    with watched(tmp_path, DEEPER) as (watch, started, port):
        t = 10.0
        while not watch.gone and t < 100:
            seen, happened = watch.look(t)
            samples += seen
            events += happened
            ask(port)
            time.sleep(0.1)  # so that the thread waits for the next again, or the process is gone
            t += 2.5
        assert started.exit() is not None, "a stack of 512 KiB has not room for that much"
    (ended,) = [e for e in events if e.kind == "target_exit"]
    assert ended.data["signal_name"] == "SIGSEGV"
    spec = scenario(criteria=LOOSE)
    made = changed(side(spec, until=t), series=series_of(samples))
    verdict = judge(recording(spec, made, events=tuple(events)))
    assert "crash" not in failing(verdict)
    finding = the(verdict, "stack_exhaustion")
    assert "a thread's stack" in finding.title


def test_a_runtime_that_says_that_its_stack_ran_over_is_heard(tmp_path: Path) -> None:
    dying = "server.accept(); server.accept(); print({!r}, flush=True); sys.exit(2)\n".format(
        "fatal error: stack overflow\n\nruntime: goroutine stack exceeds 1000000000-byte limit"
    )
    with watched(tmp_path, dying) as (watch, started, port):
        ask(port)
        deadline = time.monotonic() + 20
        while started.exit() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        _, events = watch.look(5.0)
    (ended,) = [e for e in events if e.kind == "target_exit"]
    assert ended.data["stack_overflow"] == "runtime: goroutine stack exceeds 1000000000-byte limit"


def test_recursion_errors_that_the_target_prints_are_a_series(tmp_path: Path) -> None:
    falling = """
def walk(n): return walk(n + 1)
import traceback
server.accept()
for _ in range(3):
    server.accept()
    try: walk(0)
    except RecursionError: traceback.print_exc()
time.sleep(600)
"""
    with watched(tmp_path, falling) as (watch, _, port):
        counts = []
        deadline = time.monotonic() + 20
        while (not counts or counts[-1] < 3) and time.monotonic() < deadline:
            samples, _events = watch.look(float(len(counts)))
            counts.append(series_of(samples)["stack.recursion_errors"].v[-1])
            if len(counts) <= 3:
                ask(port)
            time.sleep(0.05)
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[-1] == 3


def test_a_side_with_an_observer_is_seen_through_it(tmp_path: Path) -> None:
    fake = Fake(ahead=100.0)
    with answering(fake.reply) as (url, _):
        target = Target.model_validate({"url": "http://127.0.0.1:1", "observer": url})
        spec = scenario(target=target.model_dump(exclude_none=True))
        watch = SideWatch("candidate", target, None, spec, tmp_path, None)
        try:
            assert watch.observer is not None
            assert watch.observer["root"] == "7@1"
            watch.begin(time.monotonic())
            fake.see(memory_rss=5.0)
            fake.see(Event(fake.now, "target_exit", "target", "gone", {}), source="host", host_load=1.0)
            moment = time.monotonic()
            deadline = moment + 20
            while not watch.complete(moment):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            samples, events = watch.look(1.0)
        finally:
            watch.close()
    assert [(s.source, dict(s.values)) for s in samples] == [
        ("candidate", {"memory.rss": 5.0}),
        ("host", {"host.load": 1.0}),  # the host is the target's, not the one that sends load
    ]
    assert [e.kind for e in events] == ["target_exit"]
    assert watch.gone
    assert watch.agent is None  # nothing is ordered from agents through an observer


def test_a_side_that_nobody_watches_is_silent_and_complete(tmp_path: Path) -> None:
    target = Target(url="http://127.0.0.1:1")
    watch = SideWatch("candidate", target, None, scenario(), tmp_path, None)
    watch.begin(0.0)
    assert watch.look(1.0) == ([], [])
    assert watch.complete(time.monotonic())
    assert watch.observer is None
    watch.close()


def test_a_target_that_nobody_watches_still_tells_at_its_door(tmp_path: Path) -> None:
    page = "process_resident_memory_bytes 5e7\ngo_goroutines 3\n"
    answer = f"HTTP/1.0 200 OK\r\n\r\n{page}".encode()
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = Target.model_validate(
            {
                "url": "http://127.0.0.1:1",
                "scrape": {"prometheus": f"http://127.0.0.1:{server.getsockname()[1]}/metrics"},
            }
        )
        watch = SideWatch("candidate", target, None, scenario(), tmp_path, None)
        try:
            assert watch.look(1.0) == ([], [])
            peer, _ = server.accept()
            with peer:
                peer.recv(4096)
                peer.sendall(answer)
            samples: list[Sample] = []
            events: list[Event] = []
            deadline = time.monotonic() + 20
            while not samples and time.monotonic() < deadline:
                seen, happened = watch.look(2.0)
                samples += seen
                events += happened
                time.sleep(0.01)
        finally:
            watch.close()
    assert [e.kind for e in events] == ["door"]
    assert dict(samples[0].values) == {"memory.rss": 5e7, "go.goroutines": 3}
