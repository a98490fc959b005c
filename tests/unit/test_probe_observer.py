"""The observer by itself: it looks at a real process, keeps what it sees, and goes on when something fails."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from itertools import pairwise
from time import monotonic, sleep
from typing import Any

import pytest

from soak.core.errors import TargetError
from soak.probe import observer as module
from soak.probe.observer import Observer, Watched


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def looks(observer: Observer) -> list[dict[str, Any]]:
    return [json.loads(zlib.decompress(pack)) for pack in observer.ring.since(0, 10**9)[1]]


def kinds(observer: Observer) -> list[str]:
    return [kind for look in looks(observer) for _, kind, *_ in look["events"]]


def until(observer: Observer, count: int) -> None:
    deadline = monotonic() + 20
    while observer.ring.next <= count:
        assert monotonic() < deadline
        sleep(0.02)


def test_it_looks_by_itself_from_the_first_moment_on(child: subprocess.Popen[bytes]) -> None:
    observer = Observer(Watched(pid=child.pid), 0.1)
    assert not observer.healthy
    observer.start()
    try:
        assert observer.ring.next == 2  # who asks at once has something to see
        until(observer, 4)
        assert observer.healthy
    finally:
        observer.close()
    assert not observer.healthy
    seen = looks(observer)
    times = [look["t"] for look in seen]
    assert times == sorted(times)
    assert all(0 <= t <= observer.now for t in times)
    for look in seen:
        sources = {source for _, source, _ in look["samples"]}
        assert {"host", "target"} <= sources
        assert {t for t, source, _ in look["samples"] if source in ("host", "target")} == {look["t"]}
    tree = next(values for _, source, values in seen[0]["samples"] if source == "target")
    assert tree["memory.rss"] > 0


def test_its_head_says_who_it_is_and_whom_it_watches(child: subprocess.Popen[bytes]) -> None:
    one, other = Observer(Watched(pid=child.pid), 0.5), Observer(Watched(pid=child.pid), 0.5)
    one.look()
    head = one.head()
    assert head["session"] != other.head()["session"]
    assert head["next"] == 2
    assert head["about"]["watches"] == f"pid {child.pid}"
    assert head["about"]["root"].startswith(f"{child.pid}@")
    assert head["about"]["every"] == 0.5
    assert head["about"]["alive"] is True
    child.kill()
    child.wait()
    one.look()
    assert one.head()["about"]["alive"] is False
    assert "target_exit" in kinds(one)


def test_nobody_to_watch_is_said_by_the_name_of_the_option() -> None:
    with pytest.raises(TargetError, match=r"^--name: no process is named 'there-is-none'"):
        Observer(Watched(name="there-is-none"), 1.0)


def test_a_look_that_fails_is_a_note_once_and_not_the_end(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(Watched(pid=child.pid), 0.1)

    def fail(_: float) -> None:
        raise RuntimeError("no more descriptors")

    monkeypatch.setattr(observer._watch._tree, "sample", fail)
    observer.start()
    until(observer, 4)
    observer.close()
    notes = [event for look in looks(observer) for event in look["events"]]
    assert [(n[1], n[3]) for n in notes] == [("note", "a look failed: RuntimeError: no more descriptors")]
    assert {source for look in looks(observer) for _, source, _ in look["samples"]} == {"host"}  # a gap, not a zero


def test_what_is_kept_is_bounded(child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_S", 1.0)
    observer = Observer(Watched(pid=child.pid), 0.1)
    for _ in range(30):
        observer.look()
    assert observer.ring.next == 31
    assert len(looks(observer)) == 10


def test_looks_that_cost_too_much_are_taken_less_often(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of looks at a pace of 0.1 s that burn 20 ms each, a share of 1 % of a core is one in 2 s."""
    monkeypatch.setattr(module, "SHARE", 0.01)
    observer = Observer(Watched(pid=child.pid), 0.1)

    def burn() -> None:
        before = module.thread_time()
        while module.thread_time() < before + 0.02:
            pass
        Observer.look(observer)

    monkeypatch.setattr(observer, "look", burn)
    observer.start()
    until(observer, 4)
    observer.close()
    times = [look["t"] for look in looks(observer)]
    assert all(later - sooner > 1.0 for sooner, later in pairwise(times[1:]))
