"""Each specimen has the one truth that it is named for; the real server, asked a few thousand times."""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.probe import procfs
from soak.specimens.catalogue import SPECIMENS
from soak.specimens.server import arguments, port, reader
from soak.specimens.sickness import CacheFill, Fragmentation
from tests.e2e.harness import free_port


class Shop:
    """A specimen that runs, and a connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], number: int) -> None:
        self.process = process
        self.client = http.client.HTTPConnection("127.0.0.1", number, timeout=20)

    def ask(self, times: int = 1, first: int = 0) -> int:
        """Look up some items; the last status."""
        status = 0
        for i in range(first, first + times):
            self.client.request("GET", f"/items/{i}")
            response = self.client.getresponse()
            response.read()
            status = response.status
        return status

    def order(self, body: str) -> tuple[int, object]:
        """Put something into the cart; the status and the answer."""
        self.client.request("POST", "/cart", body)
        response = self.client.getresponse()
        return response.status, json.loads(response.read())

    def seen(self) -> dict[str, float]:
        """Memory and stack as the kernel has them."""
        values = procfs.parse_status(procfs.read(self.process.pid, "status"))
        return values | {"cpu": procfs.stat(self.process.pid).cpu_seconds}


@contextmanager
def shop(name: str, *options: str) -> Iterator[Shop]:
    number = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.specimens", name, "--port", str(number), *options], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", number), 1).close()
                break
            except OSError:
                assert process.poll() is None, "the specimen did not start"
                time.sleep(0.05)
        running = Shop(process, number)
        yield running
        running.client.close()
    finally:
        process.terminate()
        process.wait(10)


def test_a_healthy_one_answers_and_keeps_nothing() -> None:
    with shop("healthy") as it:
        assert it.order('{"item": 7}') == (201, {"ordered": 7})
        it.client.request("GET", "/healthz")
        response = it.client.getresponse()
        assert (response.status, response.read()) == (200, b"ok")
        it.ask(500)
        before = it.seen()["memory.anon"]
        it.ask(2000)
        assert it.seen()["memory.anon"] - before < 128 * 1024


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"item": "x"}', '{"item": null}', '{"item": 1e999}'])
def test_an_order_that_is_none_is_refused(kept_shop: Shop, body: str) -> None:
    assert kept_shop.order(body)[0] == 400


@pytest.fixture(scope="module")
def kept_shop() -> Iterator[Shop]:
    with shop("healthy") as it:
        yield it


def test_sigterm_ends_it_though_a_connection_is_open() -> None:
    with shop("healthy") as it:
        it.ask()
        it.process.terminate()
        assert it.process.wait(10) == -signal.SIGTERM


def test_a_leak_keeps_what_it_says_for_each_request() -> None:
    with shop("leak", "--per-request", "4KiB") as it:
        it.ask(300)
        before = it.seen()["memory.anon"]
        it.ask(1500)
        each = (it.seen()["memory.anon"] - before) / 1500
        assert 4096 < each < 5200


def test_a_cache_fills_and_then_stays() -> None:
    with shop("cache_fill", "--size", "500", "--value", "8KiB") as it:
        it.ask(100)
        early = it.seen()["memory.anon"]
        it.ask(600)
        full = it.seen()["memory.anon"]
        it.ask(1500)
        assert full - early > 2.5e6
        assert it.seen()["memory.anon"] - full < 512 * 1024


def test_a_cache_fills_ever_slower_when_items_come_at_random() -> None:
    dice, cache, filled = random.Random(1), CacheFill(size=300, value=1), [0]
    for _ in range(4):
        for _ in range(300):
            cache.touch(dice.randint(1, 5000))
        filled.append(len(cache.pictures))
    steps = [b - a for a, b in pairwise(filled)]
    assert steps == sorted(steps, reverse=True)
    assert filled[-1] <= 300


def test_a_sawtooth_falls_back_to_one_floor_again_and_again() -> None:
    wave, scratch = 200, 32768
    with shop("gc_sawtooth", "--wave", str(wave), "--scratch", str(scratch)) as it:
        levels = []
        for i in range(72):
            it.ask(25, i * 25)
            levels.append(it.seen()["memory.anon"])
    floors = [b for a, b in pairwise(levels) if a - b > 0.5 * wave * scratch]
    assert len(floors) >= 6
    assert max(floors) - min(floors) < 0.4 * wave * scratch


def test_fragmentation_grows_by_many_times_what_it_keeps() -> None:
    with shop("fragmentation") as it:
        it.ask(1000)
        before = it.seen()["memory.anon"]
        it.ask(3000, 1000)
        grown = it.seen()["memory.anon"] - before
    sick = Fragmentation()
    for i in range(3000):
        sick.touch(i)
    kept = sum(sys.getsizeof(head) for head in sick.heads)
    assert sum(map(len, sick.recent)) == 64 * 16384  # the rest of what is alive does not grow
    assert grown > 10 * kept


def test_recursion_deepens_the_stack_with_every_link() -> None:
    with shop("recursion", "--per-link", "4") as it:
        depths = []
        for i in range(4):
            assert it.ask(300, i * 300) == 200
            depths.append(it.seen()["stack.high_water"])
        assert depths == sorted(set(depths))
        assert depths[-1] > 1e6


def test_recursion_ends_before_the_stack_does() -> None:
    with shop("recursion", "--per-link", "1") as it:
        assert it.ask(500) == 200
        deepest = it.seen()["stack.high_water"]
        assert it.ask(200) == 200
        assert it.seen()["stack.high_water"] == deepest < 4e6


def test_quadratic_work_costs_more_and_more_time_but_no_memory() -> None:
    with shop("quadratic", "--lines", "80") as it:
        it.ask(200)
        held, spent = it.seen()["memory.anon"], []
        for i in range(3):
            before = it.seen()["cpu"]
            it.ask(600, i * 600)
            spent.append(it.seen()["cpu"] - before)
        assert spent[2] > 1.5 * spent[0]
        assert it.seen()["memory.anon"] - held < 1.2e6  # 144,000 lines of two bytes, and room to grow


def test_a_stall_freezes_the_whole_server() -> None:
    with shop("stall", "--every", "2s", "--for", "800ms") as it:
        end = time.monotonic() + 4.5
        waits = []
        while time.monotonic() < end:
            before = time.monotonic()
            it.ask()
            waits.append(time.monotonic() - before)
        assert sum(w > 0.5 for w in waits) >= 2
        assert sorted(waits)[len(waits) // 2] < max(waits) / 3


def test_a_crash_is_by_sigsegv_at_the_request_it_was_told() -> None:
    with shop("crash", "--after", "50") as it:
        assert it.ask(49) == 200
        with pytest.raises((http.client.HTTPException, OSError)):
            it.ask()
        assert it.process.wait(10) == -signal.SIGSEGV


@pytest.mark.parametrize("name", sorted(SPECIMENS))
def test_every_specimen_is_on_the_command_line_with_its_own_defaults(name: str) -> None:
    given = vars(arguments().parse_args([name, "--port", "8001"]))
    assert (given.pop("name"), given.pop("port"), given.pop("host")) == (name, 8001, "127.0.0.1")
    assert given.get("reference", False) is False
    assert isinstance(SPECIMENS[name].make(**given), type(SPECIMENS[name].make()))


@pytest.mark.parametrize(
    "line,expected",
    [
        ("nonesuch", "invalid choice: 'nonesuch'"),
        ("leak --per-request 3KB", "expected a number above 0 such as 4500, 3KiB or 1.5s, got '3KB'"),
        ("leak --after 3", "unrecognized arguments: --after 3"),
        ("cache_fill --size 0.5", "got '0.5'"),
        ("healthy --port 65536", "expected a port from 1 to 65535, got '65536'"),
        ("stall --every 1s --for 2s", "--for 2 s leaves nothing of --every 1 s to serve in"),
    ],
)
def test_a_wrong_command_line_is_one_clear_message(line: str, expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "soak.specimens", *line.split()], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@given(st.integers(1, 10**9))
def test_a_size_is_read_in_its_unit(n: int) -> None:
    assert reader(int)(str(n)) == n
    assert reader(int)(f"{n}KiB") == 1024 * n
    assert reader(float)(f"{n}ms") == pytest.approx(n / 1000)


@given(st.text(max_size=20) | st.from_regex(r"[0-9]{0,400}(\.[0-9]*)? ?[A-Za-z]{0,3}", fullmatch=True))
def test_any_other_text_is_a_number_above_0_or_refused(text: str) -> None:
    for read in (reader(int), reader(float), port):
        with suppress(argparse.ArgumentTypeError):
            assert read(text) > 0
