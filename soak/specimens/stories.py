"""Two programs for one task: the trusted one, and a plausible one that answers the same and is worse in one way.

Both are code that passes a review and every test of what it answers; each pair is soaked side by side. `reference`
makes the trusted one. The numbers are chosen for some 100 requests a second and a soak of one to two minutes.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import string
import struct
import sys
import tempfile
from bisect import insort
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soak.specimens.sickness import Fragmentation, Healthy


class Lookup(Healthy):
    """Sells `lines` lines at each request and looks one up by its number: by its key, or through the whole table."""

    def __init__(self, lines: int = 10, reference: bool = False) -> None:
        self.db = sqlite3.connect(":memory:")
        self.db.execute(f"CREATE TABLE sold (id INTEGER {'PRIMARY KEY' if reference else ''}, item INTEGER)")
        self.lines = lines
        self.sold = 0

    def touch(self, item: int) -> None:
        first = self.sold
        self.sold += self.lines
        self.db.executemany("INSERT INTO sold VALUES (?, ?)", ((n, item) for n in range(first, self.sold)))
        self.db.execute("SELECT item FROM sold WHERE id = ?", (first * 7919 % self.sold,)).fetchall()


class Join(Healthy):
    """Joins orders with their customers at each request: by a hash of them, or each order with each customer."""

    def __init__(self, orders: int = 200, customers: int = 250, reference: bool = False) -> None:
        self.customers = [(n, f"customer {n}") for n in range(customers)]
        self.orders = [(n, n * 31 % customers) for n in range(orders)]
        self.join = self._hashed if reference else self._nested

    def touch(self, item: int) -> None:
        self.join()

    def _hashed(self) -> list[tuple[int, str]]:
        names = dict(self.customers)
        return [(order, names[customer]) for order, customer in self.orders]

    def _nested(self) -> list[tuple[int, str]]:
        return [
            (order, name) for order, customer in self.orders for number, name in self.customers if number == customer
        ]


class Commit(Healthy):
    """Writes `rows` rows at each request into a file: committed together, or each by itself.

    The disk is not waited for, so a slow one is not what is measured. Rows are overwritten, so the file does not grow.
    """

    TABLE = 1000

    def __init__(self, rows: int = 30, reference: bool = False) -> None:
        self.rows, self.together = rows, reference
        self.written = 0

    def run(self, serve: Callable[[], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="soak-specimen-") as folder:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it is done
            self.open(Path(folder) / "log.db")
            serve()

    def open(self, path: Path) -> None:
        """Make the table in a new file."""
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, item INTEGER)")

    def touch(self, item: int) -> None:
        with self._transaction() if self.together else contextlib.nullcontext():
            for _ in range(self.rows):
                self.written += 1
                self.db.execute("REPLACE INTO log VALUES (?, ?)", (self.written % self.TABLE, item))

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self.db.execute("BEGIN")
        yield
        self.db.execute("COMMIT")


class Buffer(Healthy):
    """Packs `samples` samples at each request: into one buffer that is kept, or each into bytes of its own."""

    def __init__(self, samples: int = 1000, reference: bool = False) -> None:
        self.samples = tuple(n / 7 for n in range(samples))
        self.reuse = reference
        self.one, self.all = struct.Struct("<d"), struct.Struct(f"<{samples}d")
        self.packed = bytearray(self.all.size)

    def touch(self, item: int) -> None:
        if self.reuse:
            self.all.pack_into(self.packed, 0, *self.samples)
        else:
            self.packed = bytearray(b"".join([self.one.pack(sample) for sample in self.samples]))


class Format(Healthy):
    """Writes a page of `lines` lines at each request: joined once, or longer by one line each time."""

    def __init__(self, lines: int = 600, reference: bool = False) -> None:
        self.lines, self.joined = lines, reference
        self.template = string.Template("<li><a href='/items/$item'>item $item of our shop</a></li>\n")
        self.page = ""

    def touch(self, item: int) -> None:
        if self.joined:
            line = f"<li><a href='/items/{item}'>item {item} of our shop</a></li>\n"
            self.page = "".join([line for _ in range(self.lines)])
        else:
            self.page = ""
            for _ in range(self.lines):
                self.page += self.template.substitute(item=item)


class Nesting(Healthy):
    """Measures how deep an answer is nested, at one request in `every`: by a loop, or by recursion.

    Every `per_level` requests make it deeper, to `deepest` levels.
    """

    def __init__(self, per_level: int = 3, deepest: int = 1500, every: int = 8, reference: bool = False) -> None:
        self.per_level, self.deepest, self.every = per_level, deepest, every
        self.measure = self._loop if reference else self._recurse
        self.nested: list[Any] = []
        self.levels = self.touched = 0

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.per_level == 0 and self.levels < self.deepest:
            self.nested = [self.nested]
            self.levels += 1
        if self.touched % self.every == 0:
            self.measure(self.nested)

    def _loop(self, nested: list[Any]) -> int:
        depth = 0
        while nested:
            nested = nested[0]
            depth += 1
        return depth

    def _recurse(self, nested: list[Any]) -> int:
        return self._recurse(nested[0]) + 1 if nested else 0


class Resort(Healthy):
    """Keeps events in order, one more for every `per_event` requests: put where they belong, or all sorted anew.

    They come nearly in order; a quicksort whose pivot is the first of them then goes through all of them for each.
    """

    def __init__(self, per_event: int = 20, reference: bool = False) -> None:
        self.events: list[int] = []
        self.per_event, self.insort = per_event, reference
        self.touched = 0

    def touch(self, item: int) -> None:
        self.touched += 1
        if self.touched % self.per_event:
            if not self.insort:
                self.events = self._quicksort(self.events)
            return
        event = self.touched + item % (2 * self.per_event)
        if self.insort:
            insort(self.events, event)
        else:
            self.events.append(event)

    def _quicksort(self, events: list[int]) -> list[int]:
        done: list[int] = []
        left = [events]
        while left:
            part = left.pop()
            if len(part) < 2:
                done += part
                continue
            pivot, rest = part[0], part[1:]
            left += ([e for e in rest if e >= pivot], [pivot], [e for e in rest if e < pivot])
        return done


class Pinned(Fragmentation):
    """Remembers the first 600 bytes of one document in `keep`: copied apart, or cut down where the document lay.

    What is cut down pins the place between two documents, and the rest of it is too small for another one.
    """

    def __init__(self, document: int = 16384, keep: int = 16, recent: int = 64, reference: bool = False) -> None:
        super().__init__(document, keep, recent)
        self.copy = reference

    def head(self, document: bytearray) -> bytearray:
        return document[: self.HEAD] if self.copy else super().head(document)


class Preload(Healthy):
    """Prices a thing at each request: by a rule, or by a table of `rows` rows that is made at the start for all."""

    def __init__(self, rows: int = 300_000, reference: bool = False) -> None:
        self.rule = reference
        self.prices = {} if reference else {n: f"{n % 100}.{n % 97:02d}" for n in range(rows)}

    def touch(self, item: int) -> None:
        if self.rule:
            f"{item % 100}.{item % 97:02d}"
        else:
            self.prices.get(item)
