"""Doors of a service's own: what is read at them, and what they cannot do to a run."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import prometheus_client
import psutil
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from soak.core.records import Event, Sample
from soak.core.scrape import Scrape
from soak.probe import line as line_module
from soak.probe.line import DoorError, Line
from soak.probe.scrape import ScrapeSense
from soak.probe.scrape_prometheus import metrics_of as metrics_of_page
from soak.probe.scrape_prometheus import read_prometheus
from soak.probe.scrape_redis import command, metrics_of, parse_info, read_redis, replies
from tests.e2e.harness import free_port

MEMORY = (
    b"# Memory\r\nused_memory:900\r\nused_memory_rss:5000\r\nused_memory_dataset:400\r\n"
    b"allocator_allocated:1000\r\nallocator_active:1600\r\nallocator_resident:2100\r\nmem_allocator:jemalloc-5.3.0\r\n"
)
KEYSPACE = b"# Keyspace\r\ndb0:keys=7,expires=0,avg_ttl=0\r\ndb3:keys=5,expires=1,avg_ttl=9\r\n"
STATS = b"# Stats\r\nevicted_keys:3\r\n"


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


INFO = bulk(MEMORY) + bulk(KEYSPACE) + bulk(STATS)
GO = """
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 42
# TYPE go_memstats_heap_alloc_bytes gauge
go_memstats_heap_alloc_bytes 3e+06
go_memstats_heap_inuse_bytes 4e+06
go_memstats_heap_idle_bytes 9e+06
go_memstats_heap_released_bytes 2e+06
process_resident_memory_bytes 2e+07
process_open_fds 11
go_gc_duration_seconds{quantile="0"} 1e-05
a line that is none } {
"""
JVM = """
# TYPE jvm_memory_used_bytes gauge
jvm_memory_used_bytes{area="heap",id="G1 Eden Space"} 100.0
jvm_memory_used_bytes{area="heap",id="G1 \\"Old\\" Gen"} 200.0
jvm_memory_used_bytes{area="nonheap",id="Metaspace"} 50.0
jvm_memory_committed_bytes{area="heap",id="G1 Eden Space"} 400.0
jvm_memory_committed_bytes{area="heap",id="G1 Old Gen"} -1
"""


class Served:
    """A server of one answer; it does with each connection what it was told."""

    def __init__(self, answer: Callable[[socket.socket], None], listen_first: bool) -> None:
        self._answer = answer
        self._listen_first = listen_first
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.asked = bytearray()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                with peer, contextlib.suppress(OSError):
                    if self._listen_first:
                        self.asked += peer.recv(65_536)
                    self._answer(peer)

    def close(self) -> None:
        self._server.close()


@contextlib.contextmanager
def served(answer: bytes | Callable[[socket.socket], None], listen_first: bool = True) -> Iterator[Served]:
    server = Served((lambda peer: peer.sendall(answer)) if isinstance(answer, bytes) else answer, listen_first)
    try:
        yield server
    finally:
        server.close()


def page(body: str, head: str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n") -> bytes:
    return f"{head}\r\n{body}".encode()


def redis_at(port: int) -> Scrape:
    return Scrape(redis=f"127.0.0.1:{port}")


def prometheus_at(port: int) -> Scrape:
    return Scrape(prometheus=f"http://127.0.0.1:{port}/metrics")


def test_what_a_redis_tells() -> None:
    with served(INFO) as server:
        values, allocator = read_redis(redis_at(server.port), None)
    assert allocator == "jemalloc-5.3.0"
    assert values == {
        "memory.live": 1000,
        "memory.free_in_heap": 600,
        "memory.fragmentation": 0.375,
        "memory.retained": 500,
        "redis.dataset": 400,
        "redis.keys": 12,
        "redis.evicted": 3,
    }
    assert bytes(server.asked) == command("INFO", "memory") + command("INFO", "keyspace") + command("INFO", "stats")


def test_without_jemalloc_nobody_knows_what_is_whole_pages() -> None:
    info = parse_info(MEMORY.replace(b"jemalloc-5.3.0", b"libc")) | parse_info(STATS)
    values = metrics_of(info)
    assert values["memory.free_in_heap"] == 600
    assert "memory.retained" not in values
    assert values["redis.keys"] == 0


def test_an_old_redis_tells_what_is_used_alone() -> None:
    assert metrics_of({"used_memory": "900"}) == {"memory.live": 900}


def test_a_password_goes_first_and_a_wrong_one_is_said() -> None:
    with served(b"+OK\r\n" + INFO) as server:
        values, _ = read_redis(redis_at(server.port), "päss")
    assert values["memory.live"] == 1000
    assert bytes(server.asked).startswith(b"*2\r\n$4\r\nAUTH\r\n$5\r\np\xc3\xa4ss\r\n")
    with served(b"-WRONGPASS invalid username-password pair\r\n" * 4) as server, pytest.raises(DoorError) as caught:
        read_redis(redis_at(server.port), "x")
    assert "says: WRONGPASS" in str(caught.value)


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"", "hangs up"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak RESP"),
        (b"x" * 5000, "does not speak RESP"),
        (b"$5\r\nab", "hangs up"),
        (b"$2\r\nabcdef", "does not speak RESP"),
        (b"$-1\r\n", "does not speak RESP"),
        (b"$99999999999999\r\n", "does not speak RESP"),
        (b"$" + "٣".encode() + b"\r\nabc\r\n", "does not speak RESP"),
        (b"*1\r\n$1\r\na\r\n", "does not speak RESP"),
        (b"-NOAUTH Authentication required.\r\n", "says: NOAUTH"),
        (bulk(b"") * 3, "no used_memory"),
        (bulk(b"used_memory:-5\r\nused_memory:\xff\xfe\r\nused_memory:1e9") * 3, "no used_memory"),
        (b"$999999999\r\n" + b"x" * (5 * 1024 * 1024), "says too much"),
    ],
)
def test_what_no_redis_would_say_is_one_plain_sentence(answer: bytes, words: str) -> None:
    with served(answer) as server, pytest.raises(DoorError) as caught:
        read_redis(redis_at(server.port), None)
    assert words in str(caught.value)


class Pieces(Line):
    """Bytes as they might come in, in pieces of any size."""

    def __init__(self, data: bytes, cuts: list[int]) -> None:
        edges = [0, *sorted(c % (len(data) + 1) for c in cuts), len(data)]
        self._pieces = [p for a, b in pairwise(edges) if (p := data[a:b])]

    def receive(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.lists(st.integers(0, 2000), max_size=8))
def test_bulk_strings_are_read_whole_however_they_are_cut(texts: list[bytes], cuts: list[int]) -> None:
    answers = replies(Pieces(b"".join(map(bulk, texts)), cuts))
    assert [next(answers) for _ in texts] == texts


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_answers_or_refused(data: bytes, cuts: list[int]) -> None:
    with pytest.raises(DoorError):  # in the end at least: whatever it is, it does not go on for ever
        list(replies(Pieces(data, cuts)))


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_any_fields_give_numbers_or_a_refusal(info: dict[str, str]) -> None:
    with contextlib.suppress(DoorError):
        assert all(value >= 0 for value in metrics_of(info | {"used_memory": "1"}).values())


def test_a_command_is_an_array_of_bulk_strings() -> None:
    assert command("INFO", "memory") == b"*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n"


def test_what_a_go_program_tells() -> None:
    with served(page(GO)) as server:
        values, whose = read_prometheus(prometheus_at(server.port))
    assert whose == "Go"
    assert values == {
        "memory.live": 3e6,
        "memory.free_in_heap": 1e6,
        "memory.fragmentation": 0.25,
        "memory.retained": 7e6,
        "go.goroutines": 42,
        "memory.rss": 2e7,
        "process.fds": 11,
    }
    assert bytes(server.asked).startswith(b"GET /metrics HTTP/1.0\r\n")


def test_a_page_tells_how_much_data_there_is_by_the_name_that_was_asked_for() -> None:
    text = 'shop_orders_total{area="eu"} 4\nshop_orders_total{area="us"} 5\nshop_orders_totals 7\ngo_goroutines 2\n'
    with served(page(text)) as server:
        values, _ = read_prometheus(prometheus_at(server.port), "shop_orders_total")
    assert values == {"shop_orders_total": 9, "go.goroutines": 2}
    with served(page("go_goroutines 2\n")) as server:  # it has counted nothing yet
        assert read_prometheus(prometheus_at(server.port), "shop_orders_total")[0] == {"go.goroutines": 2}


def test_what_a_jvm_tells_of_all_its_pools() -> None:
    assert metrics_of_page(JVM) == {"memory.live": 300, "memory.retained": 100, "jvm.nonheap": 50}
    old = 'jvm_memory_bytes_used{area="heap",} 7\njvm_memory_bytes_committed{area="heap",} 9\n'
    assert metrics_of_page(old) == {"memory.live": 7, "memory.retained": 2}


@pytest.mark.parametrize(
    "answer, words",
    [
        (b"", "does not speak HTTP"),
        (b"\x00\xff" * 500, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ngo_goroutines 4\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not speak HTTP"),
        (page("", "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n"), "answers with status 302"),
        (page("go_goroutines 1", "HTTP/1.1 503 No\r\n"), "answers with status 503"),
        (page("other_metric 1\n"), "no figures of Go"),
        (page("go_goroutines NaN\n"), "no figures of Go"),
        (page("go_goroutines -1\n"), "no figures of Go"),
        (page("go_goroutines four\n"), "no page in Prometheus' text format"),
        (page('jvm_memory_used_bytes{area="heap 5\n'), "no page in Prometheus' text format"),
        (page("x" * 5_000_000), "says too much"),
    ],
)
def test_what_is_no_page_of_metrics_is_one_plain_sentence(answer: bytes, words: str) -> None:
    with served(answer) as server, pytest.raises(DoorError) as caught:
        read_prometheus(prometheus_at(server.port))
    assert words in str(caught.value)


@given(st.text(alphabet='go_rutinesjvm{}="#\\ \n0.19e+-', max_size=80))
def test_any_text_is_a_page_or_refused(text: str) -> None:
    for prefix in ("go_goroutines", "jvm_memory_used_bytes{", ""):
        with contextlib.suppress(DoorError):
            assert all(value >= 0 for value in metrics_of_page(prefix + text).values())


def test_a_door_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes soon enough; all of them together never do."""
    monkeypatch.setattr(Line.__init__, "__defaults__", (False, 0.3))
    ended = threading.Event()

    def drip(peer: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                peer.sendall(b"+")
        ended.set()

    with served(drip) as server, pytest.raises(DoorError) as caught:
        read_prometheus(prometheus_at(server.port))
    ended.set()
    assert "does not answer within 0.3 s" in str(caught.value)
    assert line_module.PATIENCE_S == 5.0


def test_nobody_there_is_said() -> None:
    with pytest.raises(DoorError, match="cannot be reached: Connection refused"):
        read_redis(redis_at(free_port()), None)


def test_a_page_that_no_tls_is_behind_is_not_trusted() -> None:
    with served(page(GO)) as server, pytest.raises(DoorError, match="cannot be"):
        read_prometheus(Scrape(prometheus=f"https://127.0.0.1:{server.port}/metrics"))


def test_tls_is_verified_and_a_page_behind_it_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def answer(peer: socket.socket) -> None:
        with context.wrap_socket(peer, server_side=True) as secured:
            secured.recv(65_536)
            secured.sendall(page(GO))

    with served(answer, listen_first=False) as server:
        door = Scrape(prometheus=f"https://127.0.0.1:{server.port}/metrics")
        with pytest.raises(DoorError, match="cannot be trusted: TLS"):
            read_prometheus(door)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        values, _ = read_prometheus(door)
    assert values["go.goroutines"] == 42


@contextlib.contextmanager
def sensed(scrape: Scrape, watched: bool = True, agent: bool = False) -> Iterator[ScrapeSense]:
    sense = ScrapeSense("candidate", scrape, 0.05, watched, lambda: agent)
    try:
        yield sense
    finally:
        sense.close()


def until(sense: ScrapeSense, kinds: list[str], patience: float = 20) -> tuple[list[Sample], list[Event]]:
    """All that the sense gives, until these events have happened and a sample came."""
    samples: list[Sample] = []
    events: list[Event] = []
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline and ([e.kind for e in events] != kinds or (kinds == ["door"] and not samples)):
        samples += sense.look(1.0, ())
        events += sense.events()
        time.sleep(0.01)
    assert [e.kind for e in events] == kinds
    return samples, events


def test_a_door_is_greeted_once_and_its_figures_are_the_sides() -> None:
    with served(INFO) as server, sensed(redis_at(server.port)) as sense:
        samples, events = until(sense, ["door"])
    assert "jemalloc-5.3.0" in events[0].text
    assert {s.source for s in samples} == {"candidate"}
    assert samples[0].values["redis.keys"] == 12


def test_a_door_that_fails_is_one_event_and_one_more_when_it_is_back() -> None:
    answers = [INFO, b"", b"?", b"", INFO, INFO]

    def next_one(peer: socket.socket) -> None:
        peer.sendall(answers.pop(0) if len(answers) > 1 else answers[0])

    with served(next_one) as server, sensed(redis_at(server.port)) as sense:
        _, events = until(sense, ["door", "door_lost", "door_back"])
    assert "hangs up" in events[1].text
    assert all("Traceback" not in e.text for e in events)


def test_what_a_door_says_cannot_command_a_terminal() -> None:
    with served(b"-ERR \x1b[2J\x07 no\r\n") as server, sensed(redis_at(server.port)) as sense:
        _, events = until(sense, ["door_lost"])
    assert events[0].text.endswith("says: ERR ?[2J? no")


def test_what_others_see_better_is_left_to_them() -> None:
    with served(page(GO)) as server:
        with sensed(prometheus_at(server.port), watched=False) as sense:
            alone, _ = until(sense, ["door"])
        with sensed(prometheus_at(server.port), watched=True, agent=True) as sense:
            beside, _ = until(sense, ["door"])
    assert {"memory.rss", "memory.live"} <= set(alone[0].values)
    assert set(beside[0].values) == {"memory.retained", "go.goroutines"}


def test_a_slow_door_delays_no_look() -> None:
    held = threading.Event()
    with served(lambda _: held.wait(30)) as server, sensed(redis_at(server.port)) as sense:  # type: ignore[arg-type]
        looked = [sense.look(float(t), ()) for t in range(100)]
        assert sense.events() == []
        held.set()
    assert looked == [[]] * 100


def test_a_real_page_is_read_as_its_own_server_gives_it() -> None:
    server, thread = prometheus_client.start_http_server(0, "127.0.0.1")
    try:
        values, _ = read_prometheus(prometheus_at(server.server_port))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert values["memory.rss"] == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert values["process.fds"] >= 3


def test_a_real_redis_is_asked_with_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    server = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--requirepass", "sesame"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    monkeypatch.setenv("REDIS_SESAME", "sesame")
    door = Scrape(redis=f"127.0.0.1:{port}", password="${REDIS_SESAME}")
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                values, allocator = read_redis(door, "sesame")
                break
            except DoorError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with pytest.raises(DoorError, match="NOAUTH"):
            read_redis(door, None)
        with sensed(door) as sense:
            until(sense, ["door"])
    finally:
        server.terminate()
        server.wait(10)
    assert allocator
    assert values["redis.keys"] == 0
    assert values["memory.live"] > 500_000
