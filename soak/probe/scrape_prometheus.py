"""What a service says of its own runtime on a page of metrics in Prometheus' text format: Go, the JVM, or any process.

    Go    heap_alloc is live (and garbage not collected yet: its floor is live); heap_inuse - heap_alloc is free between
          what is live, for its size class only; heap_idle - heap_released is whole spans kept for later (Go's
          runtime.MemStats says what each of them bounds)
    JVM   used is live, and garbage as well; committed - used is free, in one piece after each collection that moves
          what is live, so it is kept and not fragmented

The names are those of client_golang, client_java (0.x and 1.x) and Micrometer.
"""

from __future__ import annotations

import io
import math
import re
import socket
from collections import defaultdict
from http.client import HTTPException, HTTPResponse
from typing import cast

from prometheus_client.parser import text_string_to_metric_families

from soak.core.scrape import Scrape
from soak.probe.line import DoorError, Line

_RUNTIME = "go_memstats_heap_(?:alloc|inuse|idle|released)_bytes|go_goroutines"
_JVM = "jvm_memory_(?:used_bytes|committed_bytes|bytes_used|bytes_committed)"
_PROCESS = "process_resident_memory_bytes|process_open_fds"
_WANTED = re.compile(rf"^(?:{_RUNTIME}|{_JVM}|{_PROCESS})[ \t{{]")
_MOST_LINES = 1000
_LONGEST_LINE = 2000


def read_prometheus(scrape: Scrape, size: str | None = None) -> tuple[dict[str, float], str]:
    """Metrics of a page, with the one named `size` as it stands, and whose allocator it tells of. Raises DoorError."""
    values = metrics_of(page(scrape), size)
    return values, "Go" if "go.goroutines" in values else "the JVM" if "jvm.nonheap" in values else ""


def page(scrape: Scrape) -> str:
    """The text of the page. It follows no redirection: that may lead to another machine. Raises DoorError."""
    host = f"[{scrape.host}]" if ":" in scrape.host else scrape.host
    request = (
        f"GET {scrape.path} HTTP/1.0\r\nHost: {host}:{scrape.tcp_port}\r\nAccept: text/plain;version=0.0.4\r\n"
        "Connection: close\r\nUser-Agent: soak\r\n\r\n"
    )
    raw = bytearray()
    with Line(scrape.host, scrape.tcp_port, scrape.tls) as line:
        line.send(request.encode())
        while piece := line.receive():  # to its end: HTTP/1.0 has the server hang up
            raw += piece
    try:
        answer = HTTPResponse(cast("socket.socket", _Said(bytes(raw))))
        answer.begin()
        body = answer.read()
    except (HTTPException, ValueError, OSError):
        raise DoorError("does not speak HTTP, or hangs up too early") from None
    if answer.status != 200:
        raise DoorError(f"answers with status {answer.status}")
    return body.decode(errors="replace")


class _Said:
    """All that a server said, in place of a connection to it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, *_: object, **__: object) -> io.BytesIO:
        return io.BytesIO(self._raw)


def metrics_of(text: str, size: str | None = None) -> dict[str, float]:
    """Metrics from a page, and `size` by its own name, its series added up; other families are not even parsed.

    Raises DoorError.
    """
    sums = _sums(text, _WANTED if size is None else re.compile(rf"{_WANTED.pattern}|^{re.escape(size)}[ \t{{]"))
    values = _go(sums) | _jvm(sums)
    if size is not None:
        told = [value for name, value in sums.items() if name.partition(" ")[0] == size]
        if told:  # a counter may not be there before it has counted something
            values[size] = sum(told)
    for metric, name in (
        ("memory.rss", "process_resident_memory_bytes"),
        ("process.fds", "process_open_fds"),
    ):
        if name in sums:
            values[metric] = sums[name]
    if not values:
        raise DoorError("has no figures of Go, the JVM, or a process")
    return values


def _sums(text: str, wanted: re.Pattern[str]) -> dict[str, float]:
    """Families by name, and by area for the JVM's; their series added up."""
    lines = [line for line in text.splitlines() if len(line) < _LONGEST_LINE and wanted.match(line)][:_MOST_LINES]
    sums: dict[str, float] = defaultdict(float)
    try:
        for family in text_string_to_metric_families("\n".join(lines) + "\n"):
            for sample in family.samples:
                if math.isfinite(sample.value) and sample.value >= 0:  # -1: the JVM has no such bound
                    area = sample.labels.get("area")
                    sums[f"{sample.name} {area}" if area else sample.name] += sample.value
    except (ValueError, KeyError, IndexError):
        raise DoorError("has no page in Prometheus' text format") from None
    return sums


def _go(sums: dict[str, float]) -> dict[str, float]:
    values = {}
    alloc, inuse, idle, released = (
        sums.get(f"go_memstats_heap_{part}_bytes") for part in ("alloc", "inuse", "idle", "released")
    )
    if alloc is not None:
        values["memory.live"] = alloc
        if inuse:
            values["memory.free_in_heap"] = max(0.0, inuse - alloc)
            values["memory.fragmentation"] = values["memory.free_in_heap"] / max(inuse, alloc)
        if idle is not None and released is not None:
            values["memory.retained"] = max(0.0, idle - released)
    if "go_goroutines" in sums:
        values["go.goroutines"] = sums["go_goroutines"]
    return values


def _jvm(sums: dict[str, float]) -> dict[str, float]:
    values = {}
    for used_name, committed_name in (
        ("jvm_memory_used_bytes", "jvm_memory_committed_bytes"),
        ("jvm_memory_bytes_used", "jvm_memory_bytes_committed"),
    ):
        used, committed = sums.get(f"{used_name} heap"), sums.get(f"{committed_name} heap")
        if used is not None:
            values["memory.live"] = used
            if committed is not None:
                values["memory.retained"] = max(0.0, committed - used)
        if f"{used_name} nonheap" in sums:
            values["jvm.nonheap"] = sums[f"{used_name} nonheap"]
    return values
