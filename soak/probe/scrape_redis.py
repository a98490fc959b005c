"""What a Redis or Valkey says of its memory, by its own protocol (RESP 2) and no more of it than INFO needs.

With jemalloc, the default on Linux, its figures part three things (Redis' src/zmalloc.c; jemalloc(3), stats.*):

    allocator_allocated   bytes that the program holds
    allocator_active      bytes of the pages that these lie in: what is more than allocated is free between them, and
                          only allocations of the same size class can use it (Redis: allocator_frag_bytes)
    allocator_resident    bytes of all pages that the allocator keeps: what is more than active is pages with nothing in
                          them, which it can give back at any time (Redis: allocator_rss_bytes)

So a heap full of holes has a large `memory.free_in_heap`, and one that was merely emptied a large `memory.retained`:
Redis' own mem_fragmentation_ratio does not tell them apart. Any other allocator gives Redis no such figures; it then
puts its resident memory for both, and free_in_heap is all that is resident and not held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from soak.core.scrape import Scrape
from soak.probe.line import DoorError, Line

_SECTIONS = ("memory", "keyspace", "stats")
"""Asked for one by one: before Redis 7.0, INFO took one section only."""
_LONGEST_LINE = 1024
_KEYS = re.compile(r"^keys=(\d{1,18})(?:,|$)")
_NUMBER = re.compile(r"[0-9]{1,18}")


def read_redis(scrape: Scrape, password: str | None) -> tuple[dict[str, float], str]:
    """Metrics of a Redis, and the name of its allocator. Raises DoorError."""
    with Line(scrape.host, scrape.tcp_port) as line:
        questions = [("INFO", section) for section in _SECTIONS]
        if password is not None:
            questions.insert(0, ("AUTH", password))
        line.send(b"".join(command(*words) for words in questions))
        answers = replies(line)
        if password is not None:
            next(answers)
        info: dict[str, str] = {}
        for _ in _SECTIONS:
            info |= parse_info(next(answers))
    return metrics_of(info), info.get("mem_allocator", "")[:40]


def command(*words: str) -> bytes:
    """A command as RESP has it: an array of bulk strings."""
    parts = [word.encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def replies(line: Line) -> Iterator[bytes]:
    """Answers one by one, as they come: of simple and bulk strings, the bytes. Raises DoorError, also for an error."""
    held = bytearray()

    def more() -> None:
        piece = line.receive()
        if not piece:
            raise DoorError("hangs up")
        held.extend(piece)

    while True:
        while (end := held.find(b"\r\n")) < 0:
            if len(held) > _LONGEST_LINE:
                raise DoorError("does not speak RESP")
            more()
        head = bytes(held[:end])
        del held[: end + 2]
        kind, rest = head[:1], head[1:]
        if kind == b"+":
            yield rest
        elif kind == b"-":
            raise DoorError(f"says: {rest[:200].decode(errors='replace')}")
        elif kind == b"$" and rest.isdigit() and len(rest) < 10:
            size = int(rest)
            while len(held) < size + 2:
                more()
            if held[size : size + 2] != b"\r\n":
                raise DoorError("does not speak RESP")
            yield bytes(held[:size])
            del held[: size + 2]
        else:
            raise DoorError("does not speak RESP")


def parse_info(text: bytes) -> dict[str, str]:
    """The fields of an answer to INFO."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    return {name: value.strip() for name, colon, value in lines if colon and not name.startswith("#")}


def metrics_of(info: Mapping[str, str]) -> dict[str, float]:
    """Metrics from the fields of INFO; those before Redis 4.0.10 lack the allocator's. Raises DoorError."""
    numbers = {name: float(value) for name, value in info.items() if _NUMBER.fullmatch(value)}
    live = numbers.get("allocator_allocated") or numbers.get("used_memory")
    if live is None:
        raise DoorError("has no used_memory in its INFO")
    values = {"memory.live": live}
    active, resident = numbers.get("allocator_active"), numbers.get("allocator_resident")
    if active:
        values["memory.free_in_heap"] = max(0.0, active - live)
        values["memory.fragmentation"] = values["memory.free_in_heap"] / max(active, live)
        if resident and info.get("mem_allocator", "").startswith("jemalloc"):
            values["memory.retained"] = max(0.0, resident - active)
    for metric, name in (("redis.dataset", "used_memory_dataset"), ("redis.evicted", "evicted_keys")):
        if name in numbers:
            values[metric] = numbers[name]
    if "evicted_keys" in numbers:  # a database without keys has no line: where INFO answers at all, none is zero
        keys = [_KEYS.match(v) for name, v in info.items() if re.fullmatch(r"db\d+", name)]
        values["redis.keys"] = float(sum(int(k[1]) for k in keys if k))
    return values
