"""What a request costs the generator: CPU of soak's worker beside plain Locust, hey and wrk.

Both workers run at the same time, each against an nginx of its own, so whatever else the machine does
disturbs both alike. CPU and requests (by nginx's own count) are read in short stretches once both are
under way, so boot is no part of it; each stretch gives one ratio.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.locusts import distributed
from benchmarks.processes import MissingError, Nginx, cpu_seconds, nginx, run_cpu, soak, tool
from benchmarks.rows import Row

RATE, USERS = 500, 50
BAR = 1.05
_STRETCH_S = 2.0
_SETTLE_S = 4.0

# two hours, so that the recording interval is the 10 s of a long soak; it is ended by force
SCENARIO = """
name: cost
target: {{url: "{url}", pid: {pid}}}
load:
  rate: {rate}/s
  arrivals: poisson
  connections: {users}
  {requests}
phases: {{warmup: 0s, soak: 2h}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""
MIX = "requests: [{name: page, get: /}]"


@contextlib.contextmanager
def _soak(target: Nginx, folder: Path, rate: float, requests: str = MIX):  # type: ignore[no-untyped-def]
    text = SCENARIO.format(url=target.url, pid=target.pid, rate=rate, users=USERS, requests=requests)
    with soak(folder, text) as run:
        yield run.find("soak.load.worker")[0].pid


Starter = Callable[[Nginx, Path], AbstractContextManager[int]]


def soak_mix(target: Nginx, folder: Path) -> AbstractContextManager[int]:
    """soak, with the requests of a scenario."""
    return _soak(target, folder, RATE)


def soak_locustfile(target: Nginx, folder: Path) -> AbstractContextManager[int]:
    """soak, with the tasks of a Locust user class."""
    return _soak(target, folder, RATE, f'locustfile: "{Path(__file__).with_name("plain.py")}::Fast"')


def locust_fast(target: Nginx, folder: Path) -> AbstractContextManager[int]:
    """Plain Locust, FastHttpUser."""
    return distributed("Fast", target.url, RATE, USERS, folder)


def locust_slow(target: Nginx, folder: Path) -> AbstractContextManager[int]:
    """Plain Locust, HttpUser, at a rate that it can keep."""
    return distributed("Slow", target.url, RATE / 4, USERS, folder)


def side_by_side(folder: Path, one: Starter, other: Starter, stretches: int) -> list[tuple[float, float]]:
    """CPU seconds per request of two generators that run at once, stretch by stretch."""
    with contextlib.ExitStack() as stack:
        a, b = (stack.enter_context(nginx(folder / name)) for name in ("nginx-a", "nginx-b"))
        first = stack.enter_context(one(a, folder / "one"))
        second = stack.enter_context(other(b, folder / "other"))
        for target in (a, b):
            begun, deadline = target.served(), time.monotonic() + 60
            while target.served() < begun + 50:
                if time.monotonic() > deadline:
                    raise RuntimeError("a generator sends nothing")
                time.sleep(0.2)
        time.sleep(_SETTLE_S)
        found = []
        before = _reading(first, a), _reading(second, b)
        for _ in range(stretches):
            time.sleep(_STRETCH_S)
            after = _reading(first, a), _reading(second, b)
            used = [(y[0] - x[0]) / max(1, y[1] - x[1]) for x, y in zip(before, after, strict=True)]
            found.append((used[0], used[1]))
            before = after
        return found


def _reading(pid: int, target: Nginx) -> tuple[float, int]:
    return cpu_seconds(pid), target.served()


def _compare(
    folder: Path, name: str, one: Starter, other: Starter, rounds: int, stretches: int
) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for i in range(rounds):
        place = folder / f"{name}-{i}"
        if i % 2:
            found += [(a, b) for b, a in side_by_side(place, other, one, stretches)]
        else:
            found += side_by_side(place, one, other, stretches)
    return found


def measure(folder: Path, quick: bool) -> list[Row]:
    """Cost rows: soak by Locust, then requests a second of one core for every tool."""
    rounds, stretches = (2, 5) if quick else (4, 10)
    rows: list[Row] = []
    per_request: dict[str, float] = {}
    for what, name, one in (
        ("requests of a scenario", "soak, requests", soak_mix),
        ("a locustfile", "soak, locustfile", soak_locustfile),
    ):
        pairs = _compare(folder, name.replace(", ", "-"), one, locust_fast, rounds, stretches)
        ratio = statistics.median(a / b for a, b in pairs)
        per_request[name] = statistics.median(a for a, _ in pairs)
        per_request["Locust FastHttpUser"] = statistics.median(b for _, b in pairs)
        rows.append(
            Row(
                "cost",
                f"CPU per request, {what}, by FastHttpUser",
                f"{per_request[name] * 1e6:.0f} us",
                f"{per_request['Locust FastHttpUser'] * 1e6:.0f} us",
                ratio,
                f"<= {BAR}",
                ratio <= BAR,
            )
        )
        print(f"  {len(pairs)} paired ratios, quartiles {_quartiles([a / b for a, b in pairs])}", flush=True)
    slow = side_by_side(folder / "slow", locust_slow, soak_mix, stretches)
    per_request["Locust HttpUser"] = statistics.median(a for a, _ in slow)
    for name, flags in (("hey", ["-c", "10", "-z", "3s"]), ("wrk", ["-c", "10", "-t", "1", "-d", "3s"])):
        with nginx(folder / name) as target:
            try:
                _, used = run_cpu([tool(name), *flags, f"{target.url}/"], 60)
            except MissingError as error:
                rows.append(Row("cost", f"{name}: {error}", "-"))
                continue
            per_request[name] = used / target.served()
    own = per_request["soak, requests"]
    rows += [
        Row("cost", f"requests/s of one core, {name}", f"{1 / used:,.0f}", f"soak {1 / own:,.0f}", own / used)
        for name, used in per_request.items()
    ]
    return rows


def _quartiles(values: list[float]) -> str:
    return " ".join(f"{q:.3f}" for q in statistics.quantiles(values, n=4))
