from __future__ import annotations

import io
import math

import pytest

from soak.core.records import Event
from soak.core.verdict import Finding
from soak.run.progress import MOST_SAID, Crier, LiveView, PlainView, SideStatus, Status, view_for

SIDE = SideStatus(rate=99.6, failures=0.0, p50=0.0012, p99=0.0043, p999=0.011, rss=50 * 2**20)


def status(phase: str, elapsed: float, **sides: SideStatus) -> Status:
    return Status(phase, elapsed, 140.0, sides or {"candidate": SIDE})


def test_plain_lines_come_with_a_new_phase_and_now_and_then() -> None:
    out = io.StringIO()
    view = PlainView(out)
    shown = 0
    for second in range(60):
        phase = "warmup" if second < 10 else "soak"
        if view.wants(phase, float(second)):
            view.show(status(phase, float(second)))
            shown += 1
    assert shown == 5
    assert "soak" in out.getvalue()
    assert "99.6/s p50 1.2 ms p99 4.3 ms p999 11 ms rss 50 MiB" in out.getvalue()
    assert "2 min 10 s left" in out.getvalue()


def test_both_sides_and_failures_are_named() -> None:
    out = io.StringIO()
    failing = SideStatus(rate=50.0, failures=2.0, p50=math.nan, p99=math.nan, p999=math.nan)
    PlainView(out).show(status("soak", 1.0, candidate=failing, reference=SIDE))
    line = out.getvalue()
    assert "candidate: 50/s 2/s failed p50 - p99 -" in line
    assert "reference: 99.6/s p50" in line


def test_before_there_is_load_only_memory_is_told() -> None:
    out = io.StringIO()
    idle = SideStatus(math.nan, math.nan, math.nan, math.nan, math.nan, 33.0 * 2**20)
    PlainView(out).show(status("idle_before", 1.0, candidate=idle))
    assert out.getvalue().endswith("left  rss 33 MiB\n")


def test_the_live_view_shows_the_bar_and_the_findings_so_far() -> None:
    out = io.StringIO()
    view = LiveView(out)
    view.begin("leak")
    assert view.wants("soak", 0.0)
    finding = Finding("memory_growth", "memory.rss", None, "fail", "memory grows by 1 GiB/h")
    view.show(Status("soak", 70.0, 140.0, {"candidate": SIDE}, (finding,)))
    assert not view.wants("soak", 70.2)
    view.say("worker lost: x")
    view.end()
    text = out.getvalue()
    for part in ("leak", "soak", "1 min 10 s left", "so far: memory grows by 1 GiB/h", "worker lost: x", "4.3 ms"):
        assert part in text


def test_a_pipe_gets_plain_lines() -> None:
    assert isinstance(view_for(io.StringIO()), PlainView)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("fault", [BrokenPipeError(32, "gone"), OSError(28, "no space left on device")])
def test_a_run_goes_on_when_nobody_can_see_it_any_more(terminal: bool, fault: OSError) -> None:
    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise fault

        def flush(self) -> None:
            raise fault

        def isatty(self) -> bool:
            return terminal

    view = view_for(Closed())
    view.begin("leak")
    view.show(status("soak", 70.0))
    view.say("worker lost: x")
    view.end()


def test_what_happens_all_the_time_does_not_fill_the_log_and_drowns_nothing_else() -> None:
    out = io.StringIO()
    crier = Crier(PlainView(out))
    for t in range(7200):
        crier.tell(Event(float(t), "restart", "candidate", f"process {t} took the place of one that ended"))
    crier.tell(Event(7200.0, "observer_lost", "candidate", "nobody watches"))
    crier.tell(Event(7200.0, "phase", None, "idle_after"))
    lines = out.getvalue().splitlines()
    assert lines[0] == "restart: process 0 took the place of one that ended"
    assert lines[MOST_SAID] == "restart: more of them within this hour are in the run file only"
    assert lines[MOST_SAID + 1] == "restart: process 3600 took the place of one that ended"
    assert lines[-1] == "observer lost: nobody watches"
    assert len(lines) == 2 * (MOST_SAID + 1) + 1
