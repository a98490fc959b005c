"""The clients of benchmarks.daemon: `python -m benchmarks.pollers PORT CLIENTS EVERY SECONDS RUNS ENDED`.

Each keeps one connection and asks every so many seconds, in turn: the list, a run that goes on, the verdict of one
that has ended, and the events of the run, up to the first. Latency runs from when a request was due, in ms; it is
printed as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

KINDS = ("list", "one run", "verdict", "events")


async def client(port: int, number: int, every: float, until: float, paths: dict[str, str], found: Any) -> None:
    """One client, until it is time."""
    begun, turn = time.monotonic() + every * (number * 0.618 % 1), number
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = begun
    while due < until:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        kind = KINDS[turn % len(KINDS)]
        ask = f"GET {paths[kind]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        try:
            if kind == "events":
                other, out = await asyncio.open_connection("127.0.0.1", port)
                out.write(ask)
                status = (await other.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
                await other.readuntil(b"\n\n")
                out.close()
            else:
                if writer.is_closing() or reader.at_eof():  # the daemon closes what is idle for 5 s
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(ask)
                head = await reader.readuntil(b"\r\n\r\n")
                status = head.split(b" ", 2)[1]
                await reader.readexactly(_length(head))
            found[kind].append((time.monotonic() - due) * 1000)
            if status != b"200":
                found["refused"].append(int(status))
        except (OSError, asyncio.IncompleteReadError):
            found["broken"].append(0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        turn += 1
        due += every
    writer.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))


async def main() -> None:
    """All clients at once."""
    port, clients, every, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    running, ended = json.loads(sys.argv[5]), int(sys.argv[6])
    found: dict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + seconds
    await asyncio.gather(*(
        client(port, i, every, until, {
            "list": "/v1/runs?limit=50",
            "one run": f"/v1/runs/{running[i % len(running)]}",
            "verdict": f"/v1/runs/{ended}/verdict",
            "events": f"/v1/runs/{running[i % len(running)]}/events",
        }, found)
        for i in range(clients)
    ))  # fmt: skip
    print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main())
