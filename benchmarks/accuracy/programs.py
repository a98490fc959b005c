"""Small real programs whose memory is recorded: `python -m benchmarks.accuracy.programs NAME SEED SECONDS`.

Each stands at some forty MiB, works in ticks of 50 ms for that many seconds, and says `ready` on standard output
before it begins. What a program leaks is set by its code, so its truth is known without looking at the recording.
"""

from __future__ import annotations

import functools
import gc
import json
import random
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

KIB, MIB = 1024, 1024 * 1024
BASE = 24 * MIB
TICK = 0.05
Tick = Callable[[float], None]
"""Work of one tick, given the share of the time that is over."""


def churn(draw: random.Random) -> Tick:
    """Makes documents, sends them through JSON, and forgets them."""

    def tick(_: float) -> None:
        rows = [
            {"id": i, "name": "n" * draw.randint(1, 200), "tags": list(range(draw.randint(0, 30)))} for i in range(60)
        ]
        json.loads(json.dumps(rows))

    return tick


def lru(draw: random.Random) -> Tick:
    """A bounded cache of 10 MiB: full after some 15 to 25 s, and then it only turns over."""
    entries = 10 * MIB // 2048

    @functools.lru_cache(maxsize=entries)
    def page(number: int) -> bytes:
        return bytes(2048 - 33 - number % 7)

    each = max(1, round(entries / draw.uniform(400, 600)))

    def tick(_: float) -> None:
        for _unused in range(each):
            page(draw.randrange(100 * entries))

    return tick


def cycles(draw: random.Random) -> Tick:
    """Objects in reference cycles, which wait for the collector: a sawtooth of some seconds."""
    gc.set_threshold(draw.randint(7_000, 11_000), 1_000, 1_000)

    def tick(_: float) -> None:
        for number in range(80):
            pair: list[Any] = [bytearray(b"1") * (24 * KIB if number == 0 else 10)]
            pair.append(pair)

    return tick


def arenas(draw: random.Random) -> Tick:
    """Waves of small objects that come and go: arenas of Python's own allocator are taken and given back in lumps."""
    held: list[tuple[int, ...]] = []

    def tick(_: float) -> None:
        wanted = draw.randint(0, 40_000)
        del held[wanted:]
        held.extend((i, i + 1, i + 2) for i in range(wanted - len(held)))

    return tick


def buffers(draw: random.Random) -> Tick:
    """A fixed number of buffers of mixed sizes, replaced at random: malloc's holes, but nothing that grows."""
    held = [bytearray(draw.randint(600, 40_000)) for _ in range(400)]

    def tick(_: float) -> None:
        for _unused in range(40):
            held[draw.randrange(len(held))] = bytearray(draw.randint(600, 40_000))

    return tick


def packing(draw: random.Random) -> Tick:
    """Buffers of up to 2 MiB that come from the kernel and go back to it."""

    def tick(_: float) -> None:
        zlib.compress(draw.randbytes(draw.randint(64, 512) * KIB // 8) * 4, 1)

    return tick


def table(draw: random.Random) -> Tick:
    """A table in SQLite in memory: as many rows go as come."""
    data = sqlite3.connect(":memory:")
    data.execute("create table visits (id integer primary key, page text)")
    data.executemany("insert into visits (page) values (?)", (("p" * draw.randint(20, 300),) for _ in range(8_000)))

    def tick(_: float) -> None:
        data.executemany("insert into visits (page) values (?)", (("p" * draw.randint(20, 300),) for _ in range(60)))
        data.execute("delete from visits where id in (select id from visits order by id limit 60)")
        data.commit()

    return tick


def pool(draw: random.Random) -> Tick:
    """Threads that are started for a job and end with it, up to eight at a time."""

    def job() -> None:
        _deep(draw.randint(5, 60))
        time.sleep(draw.uniform(0.01, 0.2))

    def tick(_: float) -> None:
        if threading.active_count() < 9:
            threading.Thread(target=job, daemon=True).start()

    return tick


def _keeping(draw: random.Random, total: int, make: Callable[[], object], size: int, begin: float = 0.0) -> Tick:
    """Keeps what `make` makes, of `size` bytes each, evenly from `begin` on: `total` bytes by the end."""
    kept: list[object] = []
    many = total // size

    def tick(share: float) -> None:
        due = int(many * max(0.0, share - begin) / (1 - begin))
        kept.extend(make() for _ in range(due - len(kept)))

    draw.random()
    return tick


def leak_objects(draw: random.Random) -> Tick:
    """Small objects that somebody keeps: 4 MiB."""
    return _both(churn(draw), _keeping(draw, 4 * MIB, lambda: [draw.random(), draw.random()], 176))


def leak_bytes(draw: random.Random) -> Tick:
    """Bodies of 2 KiB that somebody keeps: 3 MiB."""
    return _both(churn(draw), _keeping(draw, 3 * MIB, lambda: bytes(2000), 2048))


def leak_lru(draw: random.Random) -> Tick:
    """The bounded cache, and 5 MiB that are kept beside it."""
    return _both(lru(draw), _keeping(draw, 5 * MIB, lambda: bytes(1000), 1040))


def leak_cycles(draw: random.Random) -> Tick:
    """The sawtooth of the collector, and 5 MiB below it."""
    return _both(cycles(draw), _keeping(draw, 5 * MIB, lambda: bytes(1000), 1040))


def leak_late(draw: random.Random) -> Tick:
    """Nothing for half of the time, then 4 MiB."""
    return _both(churn(draw), _keeping(draw, 4 * MIB, lambda: bytes(1000), 1040, begin=0.5))


def leak_buffers(draw: random.Random) -> Tick:
    """Buffers of mixed sizes, of which every so often one stays: 4 MiB, with holes between."""
    return _both(buffers(draw), _keeping(draw, 4 * MIB, lambda: bytearray(draw.randint(600, 3_000)), 1_860))


def leak_threads(draw: random.Random) -> Tick:
    """A thread a second that waits for what never comes; each has used some of its stack."""
    never = threading.Event()
    started: list[threading.Thread] = []

    def wait() -> None:
        _deep(draw.randint(60, 120))
        never.wait()

    def tick(share: float) -> None:
        while len(started) < share * 80:
            started.append(threading.Thread(target=wait, daemon=True))
            started[-1].start()

    return _both(churn(draw), tick)


def _deep(depth: int) -> int:
    """Recursion through a function of C, so that it takes stack."""
    return depth if depth <= 0 else max([depth], key=lambda _: _deep(depth - 1))


def _both(first: Tick, second: Tick) -> Tick:
    def tick(share: float) -> None:
        first(share)
        second(share)

    return tick


HEALTHY = (churn, lru, cycles, arenas, buffers, packing, table, pool)
SICK = (leak_objects, leak_bytes, leak_lru, leak_cycles, leak_late, leak_buffers, leak_threads)


def main(name: str, seed: int, seconds: float) -> None:
    """Be one of them."""
    base = bytearray(BASE)
    base[:: 4 * KIB] = b"\1" * len(base[:: 4 * KIB])
    tick = next(program for program in HEALTHY + SICK if program.__name__ == name)(random.Random(seed))
    print("ready", flush=True)
    began = time.monotonic()
    while (gone := time.monotonic() - began) < seconds:
        tick(gone / seconds)
        time.sleep(max(0.0, TICK - (time.monotonic() - began - gone)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
