"""A specimen behind other servers: `wsgi` and `asgi`, made from SPECIMEN and SPECIMEN_OPTIONS of the environment."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import Any

from soak.specimens.catalogue import SPECIMENS
from soak.specimens.server import shop
from soak.specimens.sickness import Healthy


class Thinned(Healthy):
    """Arenas, but of malloc: documents of one size, one in `keep` is kept, then those of the next size come.

    An allocator that serves each size from slabs of its own (jemalloc, tcmalloc) keeps the slabs; one that joins what
    is free and lies side by side (glibc) uses them again.
    """

    SIZES = (640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072, 3584, 4096, 5120, 6144, 7168, 8192)

    def __init__(self, batch: int = 4 * 1024 * 1024, every: int = 250, keep: int = 16) -> None:
        self.batch, self.every, self.keep = batch, every, keep
        self.touched = 0
        self.kept: list[list[bytearray]] = []

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.every == 0 and len(self.kept) < len(self.SIZES):
            size = self.SIZES[len(self.kept)]
            documents = [bytearray(size - 1) for _ in range(self.batch // size)]
            self.kept.append(documents[:: self.keep])


class ThreadArenas(Healthy):
    """Gives a job of `burst` bytes to one of its threads after the other; each has an arena of malloc's of its own.

    The job frees what it took, but for a small note behind it, and the arena keeps the room (M_ARENA_MAX, mallopt(3)).
    """

    THREADS, PIECE = 16, 32 * 1024

    def __init__(self, every: int = 200, burst: int = 3_000_000) -> None:
        self.every, self.burst, self.touched = every, burst, 0
        self.notes: list[bytes] = []
        self.jobs: list[SimpleQueue[None]] = [SimpleQueue() for _ in range(self.THREADS)]

    def start(self) -> None:
        for jobs in self.jobs:
            threading.Thread(target=self._work, args=(jobs,), daemon=True).start()

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.every == 0:
            self.jobs[(self.touched // self.every) % self.THREADS].put(None)

    def _work(self, jobs: SimpleQueue[None]) -> None:
        while True:
            jobs.get()
            taken = [b"." * self.PIECE for _ in range(self.burst // self.PIECE)]
            self.notes.append(b"." * 2000)
            del taken


def _made() -> Healthy:
    options = json.loads(os.environ.get("SPECIMEN_OPTIONS", "{}"))
    name = os.environ["SPECIMEN"]
    here: dict[str, Callable[..., Healthy]] = {"thinned": Thinned, "thread_arenas": ThreadArenas}
    return here[name](**options) if name in here else SPECIMENS[name].make(**options)


def _wsgi(sickness: Healthy) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    sickness.start()

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        number = int(path.rpartition("/")[2]) if path.startswith("/items/") else 0
        sickness.touch(number)
        body = json.dumps({"id": number, "name": f"item {number}"}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application


def __getattr__(name: str) -> Any:
    """Only the one that the server asks for is made."""
    if name == "wsgi":
        return _wsgi(_made())
    if name == "asgi":
        return shop(_made())
    raise AttributeError(name)
