"""A service in front of Redis: each GET puts 32 KiB of values into it and takes as much of the oldest out.

    python cache_front.py PORT REDIS_PORT scattered|whole

The values get larger, from one of jemalloc's size classes to the next; what is held in all stays the same. `scattered`
keeps every tenth of the old values for good, so hardly a page of their size class ever comes free; `whole` keeps none,
so that whole pages do.
"""

from __future__ import annotations

import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, HTTPServer

import redis

CLASSES = (80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896)
"""Bytes; each has slabs of its own (jemalloc(3), "Size classes"). Redis adds a header of 4 to a text."""
EACH = 32 * 1024
HELD = 8 * 1024 * 1024
OF_A_CLASS = 6 * 1024 * 1024
KEPT = 10


class Drifting:
    """Values of ever larger classes, as many bytes of each; the oldest go beyond what is held."""

    def __init__(self, store: redis.Redis, scattered: bool) -> None:
        self._store = store
        self._scattered = scattered
        self._written = 0
        self._number = 0
        self._bytes = 0
        self._held: deque[tuple[int, int]] = deque()

    def step(self) -> None:
        pipe = self._store.pipeline(transaction=False)
        size = CLASSES[min(self._written // OF_A_CLASS, len(CLASSES) - 1)] - 8
        for _ in range(EACH // size):
            pipe.set(f"item:{self._number}", b"x" * size)
            self._held.append((self._number, size))
            self._number += 1
            self._bytes += size
        self._written += EACH
        while self._bytes > HELD:
            number, size = self._held.popleft()
            self._bytes -= size
            if not self._scattered or number % KEPT:
                pipe.delete(f"item:{number}")
        pipe.execute()


def main() -> None:
    port, redis_port, kind = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    work = Drifting(redis.Redis(port=redis_port), kind == "scattered")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            work.step()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
