from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from soak.daemon import events as module
from soak.daemon.events import events
from soak.daemon.job import Job
from soak.daemon.process import log_path
from tests.unit.daemoning import START, request

Event = tuple[str, str, int]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_S", 0.001)


def told(states: Iterator[Job | None], after: int = 0) -> list[Event]:
    """Everything that is said while the job goes through `states`."""

    async def collect() -> list[str]:
        return [e async for e in events(lambda: next(states), lambda j: j.state, after)]

    found = []
    for text in asyncio.run(collect()):
        kind, number, data = text.rstrip("\n").split("\n")
        found.append((kind.removeprefix("event: "), data.removeprefix("data: "), int(number.removeprefix("id: "))))
    return found


def job(folder: Path, state: str = "running") -> Job:
    return replace(Job(1, "queued", request(), START), state=state, run_file=folder / "r.soak")


def test_lines_come_whole_once_and_in_order_and_the_end_is_last(tmp_path: Path) -> None:
    log = log_path(tmp_path / "r.soak")

    def states() -> Iterator[Job]:
        log.write_bytes(b"first\nsecond, ha")
        yield job(tmp_path)
        yield job(tmp_path)
        with log.open("ab") as more:
            more.write(b"lf\nthe last without an end")
        yield job(tmp_path, "ended")

    assert told(states()) == [
        ("run", "running", 0),
        ("line", "first", 6),
        ("line", "second, half", 19),
        ("line", "the last without an end", 42),
        ("end", "ended", 42),
    ]


def test_whoever_was_cut_off_goes_on_after_the_last_line(tmp_path: Path) -> None:
    log_path(tmp_path / "r.soak").write_bytes(b"first\nsecond\n")
    assert told(iter([job(tmp_path, "ended")]), after=6) == [("line", "second", 13), ("end", "ended", 13)]
    assert told(iter([job(tmp_path, "ended")]), after=10**9) == [("end", "ended", 10**9)]


def test_no_line_can_pass_for_an_event(tmp_path: Path) -> None:
    log_path(tmp_path / "r.soak").write_bytes("a\revent: end\x1b[2J\u2028x\n\n".encode())
    kinds = [kind for kind, _, _ in told(iter([job(tmp_path, "ended")]))]
    assert kinds == ["line", "line", "end"]


def test_a_log_of_any_length_comes_in_pieces(tmp_path: Path) -> None:
    lines = [f"line {i} " + "x" * 100 for i in range(3000)]
    log_path(tmp_path / "r.soak").write_text("\n".join(lines) + "\n")
    shown = "".join(data for kind, data, _ in told(iter([job(tmp_path, "ended")])) if kind == "line")
    assert shown == "".join(lines)


def test_a_job_that_waits_says_so_when_it_changes_only(tmp_path: Path) -> None:
    queued = replace(job(tmp_path, "queued"), run_file=None)
    kinds = [data for _, data, _ in told(iter([queued, queued, job(tmp_path), job(tmp_path, "ended")]))]
    assert kinds == ["queued", "running", "ended"]
