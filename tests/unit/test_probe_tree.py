"""The tree probe on real processes."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from soak.core.errors import TargetError
from soak.core.records import Sample
from soak.core.target import Target
from soak.probe import Root, find
from soak.probe.cgroup import Cgroup
from soak.probe.tree import MAX_PROCESSES, TreeProbe
from tests.cgroups import memory_group
from tests.e2e.harness import free_port

SLEEP = "import time\nwhile True: time.sleep(0.05)"
CHILD = f"import subprocess, sys; p = lambda: subprocess.Popen([sys.executable, '-c', {SLEEP!r}])\n"


@contextmanager
def running(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process running `code`, from when it says that it is ready."""
    ready = f"import sys\n{code.replace('READY', 'sys.stdout.write(chr(10)); sys.stdout.flush()')}"
    process = subprocess.Popen(
        [sys.executable, "-c", ready, *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        if "READY" in code:
            process.stdout.readline()
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        for pipe in (process.stdout, process.stdin):
            if pipe is not None:
                pipe.close()


def probe_of(process: subprocess.Popen[bytes]) -> TreeProbe:
    target = Target(url="http://127.0.0.1:1", pid=process.pid)
    return TreeProbe("candidate", find(target), target)


def tree(samples: list[Sample]) -> dict[str, float]:
    (sample,) = [s for s in samples if s.source == "candidate"]
    return dict(sample.values)


def until(
    probe: TreeProbe, wanted: Callable[[dict[str, float]], bool], t: float = 0.0
) -> tuple[dict[str, float], float]:
    """Sample until the tree looks as wanted; gives it and the time of that sample."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        samples = probe.sample(t)
        if samples and wanted(tree(samples)):
            return tree(samples), t
        t += 1
        time.sleep(0.1)
    raise AssertionError(f"never seen; the last was {samples}")


def poke(process: subprocess.Popen[bytes]) -> None:
    """Let the process go on to its next step, and wait until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()


def test_a_single_process_is_seen_whole() -> None:
    with running(f"READY\n{SLEEP}") as process:
        values = tree(probe_of(process).sample(0.0))
        assert values["memory.rss"] > values["memory.anon"] > 1e6
        assert values["memory.peak"] >= values["memory.rss"]
        assert values["process.processes"] == 1
        assert values["process.threads"] == 1
        assert values["process.fds"] >= 3
        assert values["process.restarts"] == 0
        assert values["stack.high_water"] >= 100 * 1024


def test_growth_is_seen_in_memory_threads_descriptors_connections_and_stack() -> None:
    code = """
import os, socket, threading, time
READY
sys.stdin.readline(); keep = bytearray(os.urandom(1) * 30_000_000); READY
sys.stdin.readline()
for _ in range(5): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
READY
sys.stdin.readline(); files = [open('/dev/null') for _ in range(20)]; READY
sys.stdin.readline()
server = socket.create_server(('127.0.0.1', 0)); pairs = []
for _ in range(4): pairs.append(socket.create_connection(server.getsockname())); pairs.append(server.accept()[0])
READY
sys.stdin.readline()
sys.setrecursionlimit(5000)
def walk(n): return sorted((n,), key=lambda d: walk(d - 1) if d else 0)[0]
walk(300)
READY
time.sleep(60)
"""
    with running(code) as process:
        probe = probe_of(process)
        before = tree(probe.sample(0.0))
        changes = {
            "memory.anon": 25e6,
            "process.threads": 5,
            "process.fds": 20,
            "process.connections": 9,
            "stack.high_water": 500_000,
        }
        for step, (metric, least) in enumerate(changes.items(), 1):
            poke(process)
            after = tree(probe.sample(step * 10.0))
            assert after[metric] - before[metric] >= least, metric
            before = after


def test_children_are_part_of_the_tree() -> None:
    with running(f"{CHILD}\nfor _ in range(3): p()\nREADY\n{SLEEP}") as process:
        samples = probe_of(process).sample(0.0)
        assert tree(samples)["process.processes"] == 4
        own = [s for s in samples if s.source != "candidate"]
        assert len(own) == 4
        assert sum(s.values["memory.rss"] for s in own) == pytest.approx(tree(samples)["memory.rss"])


def test_a_child_that_is_replaced_is_a_restart_and_cpu_time_never_falls() -> None:
    busy = "sum(i*i for i in range(12_000_000))\\nimport time\\ntime.sleep(60)"
    code = f"""
import subprocess, time
def p(): return subprocess.Popen([sys.executable, '-c', '{busy}'])
a = p(); time.sleep(1.0)
READY
sys.stdin.readline(); a.kill(); a.wait(); b = p(); READY
time.sleep(60)
"""
    with running(code) as process:
        probe = probe_of(process)
        before, t = until(probe, lambda v: v["process.cpu_seconds"] > 0.15)
        probe.events()
        poke(process)
        after, t = until(probe, lambda v: v["process.restarts"] >= 1, t + 1)
        assert after["process.restarts"] == 1
        assert after["process.cpu_seconds"] >= before["process.cpu_seconds"]
        kinds = [e.kind for e in probe.events()]
        assert "restart" in kinds
        assert "process_exit" in kinds


def test_a_child_that_nobody_waits_for_is_a_zombie_that_says_how_it_ended() -> None:
    code = f"{CHILD}\na = p()\nREADY\nsys.stdin.readline(); a.send_signal(11); READY\n{SLEEP}"
    with running(code) as process:
        probe = probe_of(process)
        assert tree(probe.sample(0.0))["process.zombies"] == 0
        poke(process)
        values, _ = until(probe, lambda v: v["process.zombies"] == 1, 1.0)
        assert values["process.processes"] == 1
        (ended,) = [e for e in probe.events() if e.kind == "process_exit"]
        assert ended.text.endswith("ended: by SIGSEGV")


def _grown(seen: Any) -> bool:
    return bool(seen.values.get("memory.rss", 0.0) > 1e6)


def test_a_replacement_says_whom_it_replaces_and_what_that_one_was_like() -> None:
    code = f"{CHILD}\na = p()\nREADY\nsys.stdin.readline(); a.kill(); a.wait(); b = p(); READY\n{SLEEP}"
    with running(code) as process:
        probe = probe_of(process)
        # between fork and exec it is still small
        until(probe, lambda v: v["process.processes"] == 2 and all(_grown(s) for s in probe._seen.values()))
        (first,) = [s.stat for s in probe._seen.values() if s.stat.pid != process.pid]
        probe.events()
        poke(process)
        _, t = until(probe, lambda v: v["process.restarts"] == 1, 5.0)
        (event,) = [e for e in probe.events() if e.kind == "restart"]
        assert event.data["of"] == f"{first.pid}@{first.started}"
        assert (event.data["root"], event.data["alike"], event.data["name"]) == (False, 1, first.name)
        assert float(str(event.data["rss"])) > 1e6
        assert float(str(event.data["lived"])) > 0
        assert 0 <= float(str(event.data["vacant"])) < t


def test_a_child_that_its_parent_waits_for_at_once_says_how_it_ended_too() -> None:
    code = f"{CHILD}\na = p()\nREADY\nsys.stdin.readline(); a.send_signal(11); a.wait(); READY\n{SLEEP}"
    with running(code) as process:
        probe = probe_of(process)
        until(probe, lambda v: v["process.processes"] == 2)
        poke(process)
        until(probe, lambda v: v["process.processes"] == 1, 5.0)
        (ended,) = [e for e in probe.events() if e.kind == "process_exit"]
        probe.close()
        if tuple(map(int, platform.release().split(".")[:2])) >= (6, 15):
            assert ended.text.endswith("ended: by SIGSEGV")
        else:
            assert ended.text.endswith("ended")


def test_threads_that_are_stopped_are_told_apart() -> None:
    with running(f"READY\n{SLEEP}") as process:
        probe = probe_of(process)
        assert tree(probe.sample(0.0))["process.threads_stopped"] == 0
        process.send_signal(signal.SIGSTOP)
        values, _ = until(probe, lambda v: v["process.threads_stopped"] == 1, 5.0)
        assert values["process.threads_running"] == 0
        process.send_signal(signal.SIGCONT)


def test_limits_are_those_of_the_process_that_is_nearest_to_them() -> None:
    code = """
import os, resource, subprocess
files = [open('/dev/null') for _ in range(30)]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
READY
"""
    with running(code + SLEEP) as process:
        values = tree(probe_of(process).sample(0.0))
        assert values["process.fds_limit"] == 64
        assert values["process.fds_room"] == 64 - values["process.fds"]
        assert values["process.threads_running"] + values["process.threads_stuck"] <= values["process.threads"]


def test_a_child_that_only_comes_is_no_restart() -> None:
    with running(f"{CHILD}\nREADY\nsys.stdin.readline(); p(); READY\n{SLEEP}") as process:
        probe = probe_of(process)
        probe.sample(0.0)
        poke(process)
        values, _ = until(probe, lambda v: v["process.processes"] == 2)
        assert values["process.restarts"] == 0


def test_the_end_of_the_root_is_seen() -> None:
    with running(f"READY\n{SLEEP}") as process:
        probe = probe_of(process)
        assert probe.sample(0.0)
        assert probe.alive
        process.kill()
        process.wait()
        assert not probe.alive
        assert probe.sample(1.0) == []


def test_a_reused_pid_is_another_process() -> None:
    with running(f"READY\n{SLEEP}") as process:
        real = find(Target(url="http://127.0.0.1:1", pid=process.pid))
        assert real.alive
        assert not Root(process.pid, real.started - 1).alive


LISTEN = "import socket\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nREADY\n"


def test_a_service_is_found_by_its_port_and_again_after_a_restart() -> None:
    port = free_port()
    target = Target(url="http://127.0.0.1:1", port=port)
    with running(LISTEN + SLEEP, str(port)) as first:
        root = find(target)
        assert root.pid == first.pid
        probe = TreeProbe("candidate", root, target)
        assert probe.sample(0.0)
    assert probe.sample(1.0) == []
    with running(LISTEN + SLEEP, str(port)):
        values = tree(probe.sample(2.0))
        assert values["process.restarts"] == 1
        assert probe.alive


def test_a_service_that_was_restarted_between_two_looks_was_restarted_once() -> None:
    port = free_port()
    target = Target(url="http://127.0.0.1:1", port=port)
    with running(LISTEN + SLEEP, str(port)) as first:
        probe = TreeProbe("candidate", find(target), target)
        probe.sample(0.0)
    with running(LISTEN + SLEEP, str(port)):
        probe.sample(1.0)
        values = tree(probe.sample(2.0))
    assert values["process.restarts"] == 1
    (restart,) = [e for e in probe.events() if e.kind == "restart"]
    assert restart.data["root"] is True
    assert str(restart.data["of"]).startswith(f"{first.pid}@")


def test_prefork_workers_on_one_port_are_one_tree() -> None:
    port = free_port()
    code = LISTEN.replace("READY", "import os\nfor _ in range(2):\n    if os.fork() == 0: break\nelse: READY")
    with running(code + SLEEP, str(port)) as parent:
        assert find(Target(url="http://127.0.0.1:1", port=port)).pid == parent.pid


def test_a_name_must_fit_one_tree() -> None:
    name = f"soakspec{os.getpid() % 10000}"
    rename = f"open('/proc/self/comm', 'w').write('{name}')\n"
    target = Target(url="http://127.0.0.1:1", name=name)
    with pytest.raises(TargetError, match="no process is named"):
        find(target)
    with running(f"{rename}READY\n{SLEEP}") as one:
        assert find(target).pid == one.pid
        with running(f"{rename}READY\n{SLEEP}") as two, pytest.raises(TargetError, match="unrelated") as error:
            find(target)
        assert str(one.pid) in str(error.value)
        assert str(two.pid) in str(error.value)


@pytest.mark.parametrize("target", [{"pid": 2**22 + 1}, {"port": 1}])
def test_nobody_there_is_a_clear_error(target: dict[str, int]) -> None:
    with pytest.raises(TargetError, match=r"no process|nothing listens"):
        find(Target(url="http://127.0.0.1:1", **target))


def test_series_of_their_own_are_bounded() -> None:
    with running(
        f"import os\nfor _ in range({MAX_PROCESSES + 5}):\n    if os.fork() == 0: break\nelse: READY\n{SLEEP}"
    ) as p:
        samples = probe_of(p).sample(0.0)
        assert tree(samples)["process.processes"] == MAX_PROCESSES + 6
        assert len(samples) == MAX_PROCESSES + 1


def test_a_real_kill_for_want_of_memory_is_seen_with_limit_and_usage() -> None:
    eat = "sys.stdin.readline(); keep = []\nwhile True: keep.append(b'x' * 1_000_000)"
    with (
        memory_group(48 * 2**20) as group,
        running(f"import os\nopen({str(group / 'cgroup.procs')!r}, 'w').write('0')\nREADY\n{eat}") as process,
    ):
        probe = probe_of(process)
        values = tree(probe.sample(0.0))
        assert values["memory.limit"] == 48 * 2**20
        assert 0 < values["cgroup.memory"] <= 48 * 2**20
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.wait(20) == -signal.SIGKILL
        assert probe.sample(1.0) == []
        (kill,) = [e for e in probe.events() if e.kind == "oom_kill"]
        assert kill.data["count"] == 1
        probe.close()


def test_kills_are_counted_on_when_a_service_has_its_control_group_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Cgroup(tmp_path / "shop.service", 2, tmp_path)
    monkeypatch.setattr("soak.probe.tree.cgroup_of", lambda _: group)

    def counts(kills: int) -> None:
        group.folder.mkdir(exist_ok=True)
        (group.folder / "memory.events").write_text(f"oom_kill {kills}\n")

    with running(f"READY\n{SLEEP}") as process:
        probe = probe_of(process)
        seen = []
        for t, kills in enumerate((0, 1, 1, 0, 1, None, None)):  # at 3 it is another group of the same name
            if kills is None:
                (group.folder / "memory.events").unlink(missing_ok=True)
            else:
                counts(kills)
            probe.sample(float(t))
            seen += [(e.t, e.data["count"]) for e in probe.events() if e.kind == "oom_kill"]
        assert seen == [(1.0, 1.0), (4.0, 1.0)]
        assert not probe._groups


def test_connections_are_counted_again_when_descriptors_come_or_go_and_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    code = """
import socket, time
server = socket.create_server(('127.0.0.1', 0)); READY
sys.stdin.readline(); kept = [socket.create_connection(server.getsockname()) for _ in range(3)]; READY
time.sleep(60)
"""
    counted: list[float] = []
    with running(code) as process:
        probe = probe_of(process)
        count = probe._count_connections

        def counting() -> None:
            counted.append(now)
            count()

        monkeypatch.setattr(probe, "_count_connections", counting)
        for now in (0.0, 20.0, 25.0):
            before = tree(probe.sample(now))
        poke(process)
        for now in (28.0, 29.0, 57.9, 58.0):
            after = tree(probe.sample(now))
    assert counted == [0.0, 28.0, 58.0]
    assert after["process.connections"] - before["process.connections"] == 3
