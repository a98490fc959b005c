"""Each specimen has the one truth that it is named for; the real server, asked a few thousand times."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak.probe import procfs
from soak.scenario import load
from soak.specimens.sickness import SICKNESSES
from tests.e2e.harness import free_port

ROOT = Path(__file__).parents[2]


class Shop:
    """A specimen that runs, and a connection to it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, times: int = 1, first: int = 0) -> int:
        """Look up some items; the last status."""
        status = 0
        for i in range(first, first + times):
            self.client.request("GET", f"/items/{i}")
            response = self.client.getresponse()
            response.read()
            status = response.status
        return status

    def seen(self) -> dict[str, float]:
        """Memory and stack as the kernel has them."""
        values = procfs.parse_status(procfs.read(self.process.pid, "status"))
        return values | {"cpu": procfs.stat(self.process.pid).cpu_seconds}


@contextmanager
def shop(name: str, *options: str) -> Iterator[Shop]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.specimens", name, "--port", str(port), *options], stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, "the specimen did not start"
                time.sleep(0.05)
        running = Shop(process, port)
        yield running
        running.client.close()
    finally:
        process.terminate()
        process.wait(10)


def test_a_healthy_one_answers_and_keeps_nothing() -> None:
    with shop("healthy") as it:
        it.client.request("POST", "/cart", json.dumps({"item": 7}))
        response = it.client.getresponse()
        assert (response.status, json.loads(response.read())) == (201, {"ordered": 7})
        it.ask(500)
        before = it.seen()["memory.anon"]
        it.ask(2000)
        assert it.seen()["memory.anon"] - before < 512 * 1024


def test_a_leak_keeps_what_it_says_for_each_request() -> None:
    with shop("leak", "--per-request", "4096") as it:
        it.ask(300)
        before = it.seen()["memory.anon"]
        it.ask(1500)
        each = (it.seen()["memory.anon"] - before) / 1500
        assert 4096 < each < 5200


def test_a_cache_fills_and_then_stays() -> None:
    with shop("cache_fill", "--size", "500", "--value", "8192") as it:
        it.ask(100)
        early = it.seen()["memory.anon"]
        it.ask(600)
        full = it.seen()["memory.anon"]
        it.ask(1500)
        assert full - early > 2.5e6
        assert it.seen()["memory.anon"] - full < 512 * 1024


def test_a_sawtooth_keeps_nothing_of_its_garbage() -> None:
    with shop("gc_sawtooth") as it:
        it.ask(2000)  # some waves: the heap has found its size
        before = it.seen()["memory.anon"]
        it.ask(3000)
        made = 3000 * 30 * 600
        assert it.seen()["memory.anon"] - before < made / 3


def test_fragmentation_grows_by_more_than_it_pins() -> None:
    with shop("fragmentation") as it:
        it.ask(600)
        before = it.seen()["memory.anon"]
        it.ask(3000)
        grown = it.seen()["memory.anon"] - before
        assert grown > 1.5 * (3000 / 2 * 640)


def test_recursion_deepens_the_stack_with_every_link() -> None:
    with shop("recursion", "--per-link", "4") as it:
        depths = []
        for i in range(4):
            it.ask(300, i * 300)
            depths.append(it.seen()["stack.high_water"])
        assert depths == sorted(set(depths))
        assert depths[-1] > 1e6


def test_quadratic_work_costs_more_and_more() -> None:
    with shop("quadratic") as it:
        spent = []
        for i in range(4):
            before = it.seen()["cpu"]
            it.ask(1500, i * 1500)
            spent.append(it.seen()["cpu"] - before)
        assert spent[3] > 1.3 * spent[0]


def test_a_stall_freezes_the_whole_server() -> None:
    with shop("stall", "--every", "2.0", "--length", "0.8") as it:
        end = time.monotonic() + 4
        waits = []
        while time.monotonic() < end:
            before = time.monotonic()
            it.ask()
            waits.append(time.monotonic() - before)
        assert max(waits) > 0.5
        assert sorted(waits)[len(waits) // 2] < 0.25


def test_a_crash_is_by_sigsegv() -> None:
    with shop("crash", "--after", "50") as it:
        with pytest.raises((http.client.HTTPException, OSError)):
            it.ask(60)
        assert it.process.wait(10) == -signal.SIGSEGV


@pytest.mark.parametrize("name", sorted(SICKNESSES))
def test_every_specimen_has_a_scenario_that_says_its_truth(name: str) -> None:
    path = ROOT / "scenarios" / f"{name}.yaml"
    loaded = load(path)
    assert loaded.scenario.name == name
    assert loaded.text.startswith("# The truth: ")
    assert loaded.scenario.target.process is not None
    assert f"soak.specimens {name} " in loaded.scenario.target.process.command


def test_scenarios_do_not_share_ports() -> None:
    ports = [load(p).scenario.target.tcp_port for p in (ROOT / "scenarios").glob("*.yaml")]
    assert len(ports) == len(set(ports)) == len(SICKNESSES)
