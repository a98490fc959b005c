"""Is every arrival accounted for, however a run ends? Each case is a run of a few seconds.

scheduled = done + failed + unserved + lost, where `scheduled` is counted apart from the workers. Beside it
stands the server's own count where the case leaves it one: it must have seen at least what was done, and no
more than what was done, failed or lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import netns
from benchmarks.processes import MissingError, SoakRun, nginx, soak
from benchmarks.rows import Row

SCENARIO = """
name: account
target: {{url: "{url}", pid: {pid}}}
load:
  rate: 100/s
  connections: {slots}
  timeout: 500ms
  workers: {workers}
  requests: [{{name: page, get: /}}]
phases: {{warmup: 0s, soak: {seconds}s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""


@dataclass(frozen=True, slots=True)
class Account:
    """What a run said of its arrivals, and how many requests the server says it was sent (None: it cannot)."""

    validity: dict[str, Any]
    served: int | None

    @property
    def missing(self) -> int:
        """Arrivals of which nothing is known."""
        v = self.validity
        return int(v["scheduled"]) - sum(int(v[kind]) for kind in ("done", "failed", "unserved", "lost"))

    @property
    def contradicted(self) -> bool:
        """Whether the server saw fewer requests than were done, or more than can have been sent."""
        v = self.validity
        sent = int(v["done"]) + int(v["failed"]) + int(v["lost"])
        return self.served is not None and not int(v["done"]) <= self.served <= sent


def against_nginx(folder: Path, meddle: Callable[[SoakRun, int], None], seconds: int = 4, workers: int = 1) -> Account:
    """A run against nginx in which something is done to the run, or to nginx by its pid."""
    with nginx(folder / "nginx") as target:
        text = SCENARIO.format(url=target.url, pid=target.pid, slots=20, workers=workers, seconds=seconds)
        with soak(folder, text) as run:
            run.find("soak.load.worker", workers)
            begun, deadline = target.served(), time.monotonic() + 60
            while target.served() < begun + 20 and time.monotonic() < deadline:
                time.sleep(0.05)
            meddle(run, target.pid)
            validity = run.verdict()["validity"]
        try:
            return Account(validity, target.served())
        except OSError:
            return Account(validity, None)


def nothing(_run: SoakRun, _target: int) -> None:
    """Let it end by itself."""


def interrupt(run: SoakRun, _target: int) -> None:
    """Ctrl-C."""
    run.interrupt()


def kill_target(_run: SoakRun, target: int) -> None:
    """The target dies."""
    os.kill(target, signal.SIGKILL)


def kill_worker(run: SoakRun, _target: int) -> None:
    """One of two workers dies."""
    run.find("soak.load.worker", 2)[0].kill()


@contextlib.contextmanager
def mute() -> Iterator[int]:
    """A server that takes connections and never answers; gives its port."""
    door = socket.create_server(("127.0.0.1", 0), backlog=512)
    links: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                links.append(door.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield door.getsockname()[1]
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        for link in links:
            link.close()


def timeout_storm(folder: Path) -> Account:
    """Nothing is ever answered: every request times out, and most arrivals find no slot."""
    with mute() as port:
        text = SCENARIO.format(url=f"http://127.0.0.1:{port}", pid=os.getpid(), slots=5, workers=1, seconds=4)
        with soak(folder, text) as run:
            return Account(run.verdict()["validity"], None)


def network_cut(folder: Path) -> Account | str:
    """A worker on another host is cut off and comes back; a text says why that cannot be tried here."""
    try:
        return Account(*netns.cut(folder, SCENARIO))
    except MissingError as error:
        return str(error)


def measure(folder: Path, _quick: bool) -> list[Row]:
    """One row for each way to end."""
    cases: list[tuple[str, Callable[[Path], Account | str]]] = [
        ("normal end", lambda at: against_nginx(at, nothing)),
        ("Ctrl-C", lambda at: against_nginx(at, interrupt, seconds=60)),
        ("timeout storm", timeout_storm),
        ("death of the target", lambda at: against_nginx(at, kill_target)),
        ("SIGKILL of a worker", lambda at: against_nginx(at, kill_worker, workers=2)),
        ("a worker's network cut", network_cut),
    ]
    return [_row(name, case(folder / name.replace(" ", "-"))) for name, case in cases]


def _row(name: str, found: Account | str) -> Row:
    if isinstance(found, str):
        return Row("account", f"{name}: {found}", "-")
    v = found.validity
    kinds = ", ".join(f"{kind} {v[kind]}" for kind in ("done", "failed", "unserved", "lost"))
    served = "" if found.served is None else f"server saw {found.served}"
    met = found.missing == 0 and not found.contradicted and int(v["scheduled"]) > 0
    return Row(
        "account", f"{name}: scheduled {v['scheduled']} = {kinds}", f"{found.missing} missing", served, None, "0", met
    )
