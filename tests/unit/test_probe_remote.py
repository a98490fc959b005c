"""A run that watches through an observer: nothing twice, what is missing is said, and all on the run's time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest

from soak.core.errors import TargetError
from soak.core.records import Event, Sample
from soak.core.target import Observer
from soak.probe import remote
from soak.probe.remote import RemoteWatch
from tests.unit.observing import Fake, answered, answering


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_POLL_S", 0.02)
    monkeypatch.setattr(remote, "_MOST_PAUSE_S", 0.1)


class Seen:
    """A watch, and all that it has handed over so far."""

    def __init__(self, watch: RemoteWatch, zero: float) -> None:
        self.watch, self.zero = watch, zero
        self.samples: list[Sample] = []
        self.events: list[Event] = []

    def collect(self, what: Callable[[], bool]) -> None:
        """Take what comes in until it is enough."""
        deadline = monotonic() + 20
        while not what():
            assert monotonic() < deadline, (self.samples, self.events)
            sleep(0.01)
            samples, events = self.watch.look()
            self.samples += samples
            self.events += events

    def hear(self, count: int) -> None:
        """Until there are so many samples."""
        self.collect(lambda: len(self.samples) >= count)

    def told(self, kind: str) -> list[Event]:
        return [e for e in self.events if e.kind == kind]

    def values(self, metric: str) -> list[float]:
        return [s.values[metric] for s in self.samples if metric in s.values]


@contextmanager
def watching(fake: Fake, side: str = "candidate") -> Iterator[Seen]:
    """A run that began just now, and watches through it."""
    with answering(fake.reply) as (url, _):
        watch = RemoteWatch(side, Observer(url=url), Path(), 1.0)
        zero = monotonic()
        watch.begin(zero)
        try:
            yield Seen(watch, zero)
        finally:
            watch.close()
            watch._thread.join(20)


@pytest.mark.parametrize("ahead", [0.0, 5000.0, -3.0])
def test_looks_are_on_the_time_of_the_run_whatever_the_other_clock_says(ahead: float) -> None:
    fake = Fake(ahead)
    fake.see(memory_rss=1.0)  # before the run
    with watching(fake) as seen:
        when = [fake.see(memory_rss=float(n)) for n in (2, 3, 4)]
        seen.hear(3)
        assert seen.watch.clock_error < 0.5
        error = seen.watch.clock_error
    assert seen.values("memory.rss") == [2, 3, 4]
    for sample, theirs in zip(seen.samples, when, strict=True):
        assert sample.source == "candidate"
        assert abs(sample.t - (theirs - ahead - seen.zero)) <= error + 1e-6
    assert seen.events == []


def test_what_was_seen_while_it_was_cut_off_comes_in_afterwards_each_once() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(memory_rss=1.0)
        seen.hear(1)
        fake.cut = True
        seen.collect(lambda: bool(seen.told("observer_lost")))
        for n in range(2, 40):
            fake.see(memory_rss=float(n))
        asked = fake.asked
        seen.collect(lambda: fake.asked > asked + 3)
        assert not seen.watch.complete(monotonic())
        fake.cut = False
        seen.hear(39)
        fake.see(memory_rss=40.0)
        seen.hear(40)
        moment = monotonic()
        seen.collect(lambda: seen.watch.complete(moment))
    assert seen.values("memory.rss") == list(map(float, range(1, 41)))
    assert [e.kind for e in seen.events] == ["observer_lost", "observer_back"]  # once, however often it was asked
    lost, back = seen.events
    assert "hangs up" in lost.text
    assert back.data["seconds"] > 0
    assert 0 <= lost.t <= back.t


def test_a_backlog_comes_page_by_page() -> None:
    fake = Fake(entries=5000)
    fake.cut = False
    with watching(fake) as seen:
        fake.cut = True
        for n in range(1, 3001):  # 2**16 bytes hold some 600 of them
            fake.see(memory_rss=float(n))
        fake.cut = False
        seen.hear(3000)
    assert seen.values("memory.rss") == list(map(float, range(1, 3001)))
    assert seen.told("observer_gap") == []


def test_what_gave_way_before_it_was_fetched_is_said() -> None:
    fake = Fake(entries=10)
    with watching(fake) as seen:
        fake.see(memory_rss=1.0)
        seen.hear(1)
        fake.cut = True
        seen.collect(lambda: bool(seen.told("observer_lost")))
        for n in range(2, 31):
            fake.see(memory_rss=float(n))
        fake.cut = False
        seen.hear(11)
    assert seen.values("memory.rss") == [1.0, *map(float, range(21, 31))]
    (gap,) = seen.told("observer_gap")
    assert gap.data["looks"] == 19
    assert "19 looks had given way before they could be fetched" in gap.text


def test_an_observer_that_did_not_look_for_a_while_has_a_gap() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(memory_rss=1.0)
        seen.hear(1)
        fake.see(t=fake.now + 60, memory_rss=2.0)
        seen.hear(2)
    (gap,) = seen.told("observer_gap")
    assert "the observer did not look" in gap.text
    assert gap.data["looks"] == 0


def test_another_observer_process_is_heard_from_its_first_look_on_and_counters_go_on() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(process_cpu_seconds=100.0, process_restarts=3.0, agent_recursion_errors=5.0)
        fake.see(process_cpu_seconds=101.0, process_restarts=4.0, agent_recursion_errors=6.0)
        seen.hear(2)
        fake.renew("second")
        fake.see(process_cpu_seconds=50.0, process_restarts=0.0, agent_recursion_errors=2.0)
        fake.see(process_cpu_seconds=52.0, process_restarts=1.0, agent_recursion_errors=3.0)
        seen.hear(4)
    assert seen.values("process.restarts") == [0, 1, 1, 2]  # from the start of the run on
    assert seen.values("process.cpu_seconds") == [100, 101, 101, 103]
    assert seen.values("agent.recursion_errors") == [5, 6, 6, 7]
    assert [e.kind for e in seen.events] == ["observer_restarted"]


def test_what_agents_count_goes_on_too_though_it_comes_in_samples_of_its_own() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(process_cpu_seconds=100.0)
        fake.see(gc_collections=70.0)
        seen.hear(2)
        fake.renew("second")
        fake.see(process_cpu_seconds=9.0)
        fake.see(gc_collections=3.0)
        fake.see(gc_collections=4.0)
        seen.hear(5)
    assert seen.values("gc.collections") == [70, 70, 71]


def test_a_service_that_was_started_anew_while_its_observer_was_away_was_restarted() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(process_restarts=0.0)
        seen.hear(1)
        fake.renew("second", root="8@99")
        fake.see(process_restarts=0.0)
        seen.hear(2)
    assert seen.values("process.restarts") == [0, 1]
    (restart,) = seen.told("restart")
    assert "process 8" in restart.text


def test_a_restart_that_was_seen_is_not_told_again_by_the_next_observer() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(process_restarts=0.0)
        fake.root = "8@99"
        fake.see(Event(fake.now, "restart", "target", "anew", {}), process_restarts=1.0)
        seen.hear(2)
        fake.renew("second")
        fake.see(process_restarts=0.0)
        seen.hear(3)
    assert seen.values("process.restarts") == [0, 1, 1]
    assert [e.kind for e in seen.events] == ["restart", "observer_restarted"]


def test_the_end_of_the_target_is_the_run_s_own_event() -> None:
    fake = Fake()
    with watching(fake, "reference") as seen:
        fake.see(Event(fake.now, "target_exit", "target", "gone", {}), memory_rss=1.0)
        fake.see(Event(fake.now, "oom_kill", "target", "killed", {"count": 1}), source="host", host_load=1.0)
        fake.see(source="target/7@1", memory_rss=5.0)
        seen.hear(3)
    assert [(e.kind, e.side) for e in seen.events] == [("target_exit", "reference"), ("oom_kill", "reference")]
    assert seen.events[0].text == "the watched process of the reference is gone"
    assert [s.source for s in seen.samples] == ["reference", "host.reference", "reference/7@1"]


def test_a_look_that_makes_no_sense_is_said_and_the_next_ones_are_taken() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(Event(fake.now, "target_exit", "target", "gone", {"status": 2**70}), memory_rss=1.0)
        seen.collect(lambda: bool(seen.told("observer_lost")))
        fake.see(memory_rss=2.0)
        seen.hear(1)
    assert seen.values("memory.rss") == [2.0]
    assert seen.told("observer_lost")[0].text.endswith("says what makes no sense: OverflowError")


def test_a_clock_that_jumps_is_noted_and_followed() -> None:
    fake = Fake()
    with watching(fake) as seen:
        fake.see(memory_rss=1.0)
        seen.hear(1)
        fake.ahead += 1000
        seen.collect(lambda: bool(seen.told("note")))
        fake.see(memory_rss=2.0)
        seen.hear(2)
        later = monotonic() - seen.zero
    assert "jumped" in seen.told("note")[0].text
    assert seen.samples[1].t <= later + 0.5
    assert seen.told("observer_gap") == []


def refused(fake: Fake) -> str:
    with answering(fake.reply) as (url, _), pytest.raises(TargetError) as error:
        RemoteWatch("candidate", Observer(url=url), Path(), 1.0)
    text = str(error.value)
    assert text.startswith(f"candidate: the observer at {url} ")
    return text


def test_one_that_cannot_do_what_the_run_wants_is_refused() -> None:
    slow = Fake(every=10.0)
    assert "looks every 10 s, and probe.every is 1 s; start it with --every 1s" in refused(slow)
    dead = Fake()
    dead.alive = False
    assert "watches a process that is gone" in refused(dead)
    cut = Fake()
    cut.cut = True
    assert "hangs up" in refused(cut)


def test_a_token_that_is_missing_is_an_error_before_the_run() -> None:
    with answering(answered(401)) as (url, _), pytest.raises(TargetError, match=r"wants a token in \$SOAK_OBSERVER_TO"):
        RemoteWatch("candidate", Observer(url=url), Path(), 1.0)
