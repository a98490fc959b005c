"""A day of 20 endpoints in minutes: `python -m benchmarks.simulated ROLE HOURS`, a process for each role.

worker: soak's engine, ledger and listener under Locust's own events and its worker's periodic reports
master: soak's handling of those reports into a real run file, with roll-ups, and what Locust's master does
locust: the statistics that plain Locust keeps on a master or a single process
names: soak's worker again, with request names, error texts and exceptions that are all different
plain-names: the same for plain Locust

Only the clock is simulated. It prints the floor of resident MiB in the second hour and in the last, and what is held.
"""

from __future__ import annotations

import ctypes
import gc
import json
import math
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import locust.stats
import numpy as np
from locust.env import Environment
from locust.exception import CatchResponseError

import soak.load.engine
from benchmarks.size import day, document, report, sampled
from soak.core.records import Sample
from soak.load.dispatch import Dispatcher
from soak.load.engine import Engine
from soak.load.ledger import Health, Ledger, unpack
from soak.load.mix import Mix
from soak.load.plan import schedule_of
from soak.load.users import build, listen
from soak.runfile import RunWriter
from soak.runfile.rollup import window_length

ENDPOINTS = 20
_RATE = 2.0
_HERE = Path()
_LOOK_S = 600.0


def resident() -> float:
    """Resident MiB of what is kept: garbage, and pages that malloc only holds for the next report, are given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def over(hours: float, step: float, once: Callable[[float], None]) -> tuple[float, float]:
    """Call `once` for every `step` seconds; the floor of resident MiB in the second hour, and in the last one.

    Reports come and go, so memory breathes by some MiB; what is kept raises its floor.
    """
    floors: dict[int, float] = {}
    for i in range(round(hours * 3600 / step)):
        t = i * step
        once(t)
        if t % _LOOK_S == 0:
            hour = int(t // 3600)
            floors[hour] = min(floors.get(hour, math.inf), resident())
    return floors[1], floors[max(floors)]


class Response:
    """As much of a response as listeners look at."""

    status_code = 200


class Bench:
    """A worker's engine and Locust environment, without its network, on a clock that can be set."""

    def __init__(self) -> None:
        self.now = 0.0
        vars(soak.load.engine)["monotonic"] = lambda: self.now
        scenario = day(ENDPOINTS, _RATE)
        mix = Mix(scenario.load, _HERE)
        self.engine = Engine(scenario, schedule_of(scenario, _HERE), Ledger("candidate", "worker-0"), 0.0, mix)
        self.engine.start(0.0)
        user = build(scenario, "candidate", _HERE, self.engine, Dispatcher(self.engine))
        self.environment = Environment(user_classes=[user])
        self.runner = self.environment.create_local_runner()
        locust.stats.setup_distributed_stats_event_listeners(self.environment.events, self.environment.stats)
        listen(self.environment, self.engine)
        self.slot: Any = user(self.environment)
        gevent.getcurrent().soak_slot = self.slot
        self.mix = mix

    def serve(self) -> None:
        """All arrivals up to now, each answered after a random while; one in a hundred fails."""
        while (arrival := self.engine.claim(idle=True)) is not None:
            arrival.sent = arrival.due + random.random() * 1e-3
            self.slot.arrival, self.slot.call = arrival, self.mix.choose(arrival.pick).first
            bad = random.random() < 0.01
            self.fire(self.slot.call.endpoint, OSError("cut") if bad else None)
            self.engine.settle(arrival)

    def fire(self, name: str, exception: Exception | None) -> None:
        """A request, as Locust's clients tell of it."""
        self.environment.events.request.fire(
            request_type="GET",
            name=name,
            response_time=random.lognormvariate(1.0, 0.5),
            response_length=2,
            exception=exception,
            response=Response,
            context={},
            start_time=0.0,
            url="",
        )

    def report(self, start: float, end: float) -> None:
        """What a worker does at the end of an interval."""
        self.engine.report(start, end, 0.1, 1)
        self.runner.exceptions.clear()

    def holds(self) -> dict[str, int]:
        """How much Locust keeps by itself."""
        stats = self.environment.stats
        return {
            "entries": len(stats.entries),
            "errors": len(stats.errors),
            "history": len(stats.history),
            "exceptions": len(self.runner.exceptions),
            "seconds": len(stats.total.num_reqs_per_sec),
        }


def worker(hours: float) -> dict[str, Any]:
    """A worker's day."""
    bench = Bench()
    interval = day().interval_s

    def once(t: float) -> None:
        bench.now = t + interval
        bench.serve()
        bench.report(t, t + interval)
        data: dict[str, Any] = {}
        for _ in range(3):  # Locust's own report of a worker, every 3 s
            bench.environment.events.report_to_master.fire(client_id="worker-0", data=data)

    first, last = over(hours, interval, once)
    return {"first": first, "last": last, "holds": bench.holds()}


def master(hours: float) -> dict[str, Any]:
    """A master's and its conductor's day: reports, samples and roll-ups go into a real run file."""
    scenario, rng = day(ENDPOINTS, _RATE), np.random.default_rng(3)
    interval, window = scenario.interval_s, window_length(scenario)
    environment = Environment()
    runner = environment.create_master_runner("127.0.0.1", 0)
    silent = Environment()
    locust.stats.setup_distributed_stats_event_listeners(silent.events, silent.stats)
    templates = [_packed(rng, number, interval) for number in range(30)]
    with tempfile.TemporaryDirectory() as folder:
        meta = {"run": "day", "started": 0.0, "scenario": document(ENDPOINTS, _RATE)}
        writer = RunWriter.create(Path(folder) / "day.soak", meta)
        state = np.full(17, 4096.0)

        def once(t: float) -> None:
            number = round(t / interval)
            packed = dict(templates[number % len(templates)], sequence=number)
            packed["tally"] = packed["tally"] | {"start": t}
            tally, intervals, events = unpack(packed, "candidate")
            writer.add_report(tally, intervals)
            for event in events:
                writer.add_event(event)
            writer.add_samples([Sample(t + i, "candidate", sampled(rng, state)) for i in range(round(interval))])
            writer.roll_up(t, window)
            for _ in range(3):
                data: dict[str, Any] = {}
                silent.events.report_to_master.fire(client_id="worker-0", data=data)
                environment.events.worker_report.fire(client_id="worker-0", data=data)

        first, last = over(hours, interval, once)
        size = writer.path.stat().st_size / 1e6
        writer.finish()
    holds = {"entries": len(environment.stats.entries), "clients": len(runner.clients), "run file MB": round(size)}
    return {"first": first, "last": last, "holds": holds}


def _packed(rng: np.random.Generator, number: int, interval: float) -> dict[str, Any]:
    """A report as it comes over the wire."""
    ledger = Ledger("candidate", "worker-0")
    _, intervals = report(rng, number, interval, ENDPOINTS, _RATE)
    for i in (i for i in intervals if i.clock == "latency"):
        for _ in range(i.histogram.total):
            ledger.request(i.endpoint, i.outcome, 0.002 * random.lognormvariate(0, 0.5), 0.001)
    ledger.error("endpoint-0", "ConnectionResetError")
    return ledger.report(0.0, interval, 400, Health(0.1, 1, 0))


def plain(hours: float) -> dict[str, Any]:
    """Plain Locust's statistics for a day."""
    now = 0.0
    vars(locust.stats)["time"] = SimpleNamespace(time=lambda: now)
    environment = Environment()
    environment.create_local_runner()

    def once(t: float) -> None:
        nonlocal now
        now = t
        for i in range(ENDPOINTS):
            environment.stats.log_request("GET", f"endpoint-{i}", round(random.lognormvariate(1.0, 0.5)), 2)

    first, last = over(hours, 1.0, once)
    return {"first": first, "last": last, "holds": {"seconds": len(environment.stats.total.num_reqs_per_sec)}}


def _letters(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in str(number))


def _unique(fire: Callable[[str, Exception | None], None], count: int) -> tuple[float, float]:
    """So many requests, all of other names and errors: resident MiB after the first tenth, and at the end."""
    after_first = 0.0
    for i in range(count):
        fire(f"/item/{_letters(i)}", CatchResponseError(f"no such item {_letters(i)}") if i % 2 else None)
        if i == count // 10:
            after_first = resident()
    return after_first, resident()


def names(_hours: float) -> dict[str, Any]:
    """soak's worker under names and errors without end."""
    bench = Bench()

    def fire(name: str, exception: Exception | None) -> None:
        bench.fire(name, exception)
        if bench.now % 100 == 0:
            bench.report(bench.now, bench.now + 10)
        bench.now += 1

    first, last = _unique(fire, 20_000)
    return {"first": first, "last": last, "holds": bench.holds()}


def plain_names(_hours: float) -> dict[str, Any]:
    """The same for plain Locust."""
    environment = Environment()
    environment.create_local_runner()
    stats = environment.stats

    def fire(name: str, exception: Exception | None) -> None:
        stats.log_request("GET", name, 1, 2)
        if exception is not None:
            stats.log_error("GET", name, exception)

    first, last = _unique(fire, 20_000)
    return {"first": first, "last": last, "holds": {"entries": len(stats.entries), "errors": len(stats.errors)}}


ROLES = {"worker": worker, "master": master, "locust": plain, "names": names, "plain-names": plain_names}

if __name__ == "__main__":
    print(json.dumps(ROLES[sys.argv[1]](float(sys.argv[2]))))
