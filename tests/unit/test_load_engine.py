"""The account of arrivals, case by case, without any network."""

from __future__ import annotations

from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest

from soak.load.engine import Engine
from soak.load.ledger import FOLDED, MAX_ENDPOINTS, Health, Ledger, unpack
from soak.load.mix import Mix
from soak.load.plan import schedule_of
from tests.making import scenario


def engine(begin_ago: float = 0.0, **load: Any) -> Engine:
    spec = scenario(
        load={"rate": "100/s", "arrivals": "constant", "requests": [{"name": "browse", "get": "/"}]} | load,
        phases={"warmup": "0s", "soak": "2s"},
    )
    here = Path()
    made = Engine(spec, schedule_of(spec, here), Ledger("candidate", "worker-0"), 0.0, Mix(spec.load, here))
    made.start(monotonic() - begin_ago)
    return made


def totals(made: Engine) -> dict[str, int]:
    ledger = made.ledger
    return {k: getattr(ledger, k) for k in ("done", "failed", "unserved", "lost", "no_slot")}


def test_an_arrival_is_handed_out_once_in_order_and_not_before_it_is_due() -> None:
    before = monotonic()
    made = engine(begin_ago=0.095)
    taken = [made.claim(idle=i % 2 == 0) for i in range(20)]
    due = [a.due for a in taken if a is not None]
    assert 10 <= len(due) <= min(20, 11 + 100 * (monotonic() - before))  # those of the last 95 ms, at 100/s
    assert np.diff(due) == pytest.approx(np.full(len(due) - 1, 0.01))
    assert [a.early for a in taken[:4] if a] == [True, False, True, False]
    coming = made.next_due()
    assert coming is not None
    assert coming == pytest.approx(due[-1] + 0.01, rel=0, abs=1e-6)


def test_an_arrival_that_waited_longer_than_the_timeout_is_unserved_and_counts_as_a_failure() -> None:
    made = engine(begin_ago=1.5, timeout="1s")
    arrival = made.claim(idle=False)
    assert arrival is not None
    assert not arrival.early
    assert totals(made)["unserved"] in (50, 51)
    report = made.report(0.0, monotonic(), 0.1, 1)
    tally, intervals, events = unpack(report, "candidate")
    (given_up,) = [i for i in intervals if i.outcome == "timeout"]
    assert given_up.clock == "latency"
    assert given_up.histogram.total == tally.unserved
    assert given_up.histogram.percentile(0) >= 1.0
    assert [e.data["endpoint"] for e in events] == ["browse"]


def test_latency_runs_from_when_the_arrival_was_due_and_service_from_the_send() -> None:
    made = engine(begin_ago=0.5)
    arrival = made.claim(idle=False)
    assert arrival is not None
    arrival.sent = monotonic()
    made.request(arrival, "browse", "ok", 0.010)
    made.request(arrival, "browse", "ok", 0.020)  # a second request of the same task begins when the first ends
    made.settle(arrival)
    _, intervals, _ = unpack(made.report(0, 1, 0, 0), "candidate")
    latency, service = (next(i.histogram for i in intervals if i.clock == c) for c in ("latency", "service"))
    assert latency.maximum >= 0.5
    assert latency.percentile(50) == pytest.approx(0.020, rel=2e-3)
    assert service.maximum == pytest.approx(0.020, rel=2e-3)
    assert totals(made)["done"] == 0  # reported, and begun anew
    assert made.ledger.wake.take().total == 0  # it was late for want of a slot, not for a slow wake-up
    waited = made.claim(idle=True)
    made.request(waited, "browse", "ok", 0.010)
    assert made.ledger.wake.take().total == 1


def test_the_account_balances_at_the_end_of_the_drain() -> None:
    made = engine(begin_ago=3.0, timeout="10s")
    for i in range(120):
        arrival = made.claim(idle=False)
        assert arrival is not None
        if i < 100:
            made.request(arrival, "browse", "ok" if i % 4 else "failed", 0.001)
            made.settle(arrival)
    assert not made.over
    made.abandon()
    sums = totals(made)
    tally, _, _ = unpack(made.report(0.0, monotonic(), 0, 0), "candidate")
    assert (sums["done"], sums["failed"], sums["unserved"], sums["lost"]) == (75, 25, 80, 20)
    assert tally.scheduled == 200


def test_a_stop_lets_nothing_begin_that_is_due_later() -> None:
    made = engine(begin_ago=0.05)
    made.stop(made.begin + 0.045)  # told too late: what was due by now has begun, or will
    assert made.until >= made.begin + 0.05
    taken = 0
    while (arrival := made.claim(idle=True)) is not None:
        made.settle(arrival)
        taken += 1
    assert made.next_due() is None
    made.abandon()
    tally, _, _ = unpack(made.report(0.0, monotonic() + 5, 0, 0), "candidate")
    assert (tally.scheduled, tally.done, tally.lost, tally.unserved) == (taken, taken, 0, 0)
    assert taken >= 5


def test_another_share_is_owned_from_its_moment_on_and_what_was_taken_stays_taken() -> None:
    made = engine(begin_ago=0.5)
    taken = [made.claim(idle=True) for _ in range(10)]
    made.resplit(0.0, 1, 2)  # told late: from now on
    at = made.parts[-1].at
    assert at >= 0.5
    rest = []
    while (arrival := made.claim(idle=True)) is not None:
        rest.append(arrival.index)
    assert [a.index for a in taken if a] + rest == list(range(len(taken) + len(rest)))
    coming = made.next_due()
    assert coming is not None
    made.resplit(at + 0.1, 0, 0)
    while (arrival := made.claim(idle=True)) is not None:
        pass
    assert made.next_due() is None or made.next_due() < made.begin + at + 0.1
    assert not made.over


def test_a_request_is_overtime_once() -> None:
    made = engine(begin_ago=0.5)
    arrival = made.claim(idle=True)
    assert arrival is not None
    assert made.overtime(monotonic()) == []
    arrival.deadline = monotonic() - 1
    assert made.overtime(monotonic()) == [arrival]
    assert made.overtime(monotonic()) == []


def test_a_closed_model_user_is_never_late() -> None:
    made = engine(users=5)
    arrival = made.claim_own(monotonic() - 3)
    assert arrival is not None
    made.request(arrival, "browse", "ok", 0.004)
    made.settle(arrival)
    tally, intervals, _ = unpack(made.report(0, 1, 0, 0), "candidate")
    assert (tally.scheduled, tally.done) == (1, 1)
    assert all(i.histogram.maximum == pytest.approx(0.004, rel=2e-3) for i in intervals)


def test_endpoint_names_are_bounded() -> None:
    ledger = Ledger("candidate", "worker-0")
    for i in range(MAX_ENDPOINTS + 50):
        ledger.request(f"/items/{i}", "ok", 0.001, 0.001)
    _, intervals, events = unpack(ledger.report(0, 1, 0, Health(0, 0, 0)), "candidate")
    names = {i.endpoint for i in intervals}
    assert len(names) == MAX_ENDPOINTS + 1
    assert next(i for i in intervals if i.endpoint == FOLDED).histogram.total == 50
    assert [e.kind for e in events] == ["note"]  # said once, and not silently
    assert "without ids" in events[0].text


def test_reports_are_numbered_and_begin_anew() -> None:
    ledger = Ledger("candidate", "worker-0")
    ledger.request("a", "ok", 0.001, 0.001)
    ledger.error("a", "HTTP 500")
    ledger.error("a", "HTTP 500")
    first = ledger.report(0, 1, 1, Health(0.2, 10, 0))
    second = ledger.report(1, 2, 0, Health(0.2, 10, 0))
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert first["errors"] == [["a", "HTTP 500", 2]]
    assert (second["histograms"], second["errors"]) == ([], [])


def test_failures_of_a_run_of_days_are_all_told_and_not_in_every_interval() -> None:
    ledger = Ledger("candidate", "worker-0")
    told: list[list[Any]] = []
    for i in range(26_000):  # three days, in intervals of 10 s
        ledger.error("a", "HTTP 500")
        told += ledger.report(10.0 * i, 10.0 * i + 10, 1, Health(0.2, 10, 0), last=i == 25_999)["errors"]
    assert sum(count for _, _, count in told) == 26_000
    assert len(told) < 1_500
    short = Ledger("candidate", "worker-0")
    for i in range(150):  # in a short run each in its own
        short.error("a", "HTTP 500")
        assert short.report(float(i), i + 1.0, 1, Health(0.2, 10, 0))["errors"] == [["a", "HTTP 500", 1]]


def test_users_of_the_closed_model_make_the_whole_mix() -> None:
    made = engine(users=2, rate=None, requests=[{"name": "a", "get": "/"}, {"name": "b", "get": "/b"}])
    assert made.mix is not None
    claimed = [made.claim_own(monotonic()) for _ in range(40)]
    assert {made.mix.choose(a.pick).first.endpoint for a in claimed if a} == {"a", "b"}
    assert len({a.index for a in claimed if a}) == 40


def test_a_journey_is_timed_from_when_it_was_due_and_without_its_pauses() -> None:
    steps = [{"get": "/1"}, {"think": "1s"}, {"get": "/2"}]
    made = engine(begin_ago=2.0, requests=None, journeys=[{"name": "visit", "steps": steps}])
    arrival = made.claim(idle=False)
    assert arrival is not None
    made.journey(arrival, "visit", paused=1.0)
    _, intervals, _ = unpack(made.report(0, 1, 0, 0), "candidate")
    (visit,) = intervals
    assert (visit.endpoint, visit.clock, visit.outcome) == ("visit", "journey", "ok")
    assert visit.histogram.maximum == pytest.approx(1.0, abs=0.2)


def test_a_timeout_makes_the_arrival_fail_and_has_a_histogram_of_its_own() -> None:
    made = engine(begin_ago=0.1)
    arrival = made.claim(idle=False)
    assert arrival is not None
    made.request(arrival, "browse", "timeout", 10.0)
    made.settle(arrival)
    tally, intervals, _ = unpack(made.report(0, 1, 0, 0), "candidate")
    assert (tally.done, tally.failed) == (0, 1)
    assert {i.outcome for i in intervals} == {"timeout"}


def test_a_task_that_raised_fails_its_arrival_and_is_told_beside_its_requests() -> None:
    made = engine(begin_ago=0.5)
    arrival = made.claim(idle=True)
    assert arrival is not None
    made.request(arrival, "browse", "ok", 0.001)
    made.raised(arrival, "KeyError at shop.py:7")
    made.raised(None, "KeyError at shop.py:3")  # a user that could not start holds no arrival
    made.settle(arrival)
    assert (totals(made)["done"], totals(made)["failed"]) == (0, 1)
    _, intervals, events = unpack(made.report(0.0, 1.0, 0.1, 1), "candidate")
    raised = [i for i in intervals if i.endpoint == "(task)"]
    assert [(i.outcome, i.clock, i.histogram.total) for i in raised] == [("failed", "latency", 1)]
    assert [e.data["error"] for e in events] == ["KeyError at shop.py:7", "KeyError at shop.py:3"]


def test_a_loop_that_is_late_all_the_time_tells_of_its_longest_stalls_and_begins_anew() -> None:
    ledger = Ledger("candidate", "worker-0")
    ledger.stalls += [(i / 10, i / 10 + length) for i, length in enumerate([0.06, 0.09, 0.02, 0.08, 0.07, 0.05, 0.03])]
    told = ledger.report(0, 1, 0, Health(0.9, 10, 0))["stalls"]
    assert [since for since, _ in told] == [0.0, 0.1, 0.3, 0.4, 0.5]
    assert ledger.report(1, 2, 0, Health(0.9, 10, 0))["stalls"] == []
