"""Whole soaks take their time: they run beside each other, two at once, and each test waits for its own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.harness import Outcome, shipped, soak

# how long the phases of each shipped scenario are here
SOAKS: dict[str, dict[str, str]] = {
    "healthy": {"soak": "80s"},
    "leak": {"soak": "60s"},
    "recursion": {"soak": "60s"},
    "quadratic": {"soak": "90s"},
    "crash": {},
    "stall": {"soak": "80s"},
    "cache_fill": {"soak": "80s"},
    "gc_sawtooth": {"soak": "80s"},
    "fragmentation": {"soak": "60s"},
}
AT_ONCE = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that the others find their place beside it."""
    items.sort(key=lambda item: item.path.name != "test_soaks.py")


@pytest.fixture(scope="session")
def shipped_soaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Outcome]]:
    """Gives the outcome of a shipped scenario, or of the demo, by name; all are begun when the first is asked for."""
    folders = {name: tmp_path_factory.mktemp(name) for name in (*SOAKS, "demo")}  # pytest makes them in one thread only

    def run(name: str) -> Outcome:
        folder = folders[name]
        if name == "demo":
            return soak(folder, "demo")
        return soak(folder, "run", str(shipped(folder, name, **SOAKS[name])), "--json")

    pool = ThreadPoolExecutor(AT_ONCE)
    runs = {name: pool.submit(run, name) for name in folders}
    yield lambda name: runs[name].result()
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two hosts with two cables between them: 10.77.0.1 and 10.77.0.2 on cable, 10.78.0.1 and 10.78.0.2 on spare."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 to make two hosts")
    one, two = (f"soak{os.getpid()}{side}" for side in "ab")

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        ip("netns", "add", one)
        ip("netns", "add", two)
        for cable, net in (("cable", "10.77.0"), ("spare", "10.78.0")):
            ends = ((one, f"{cable}0", f"{net}.1/24"), (two, f"{cable}1", f"{net}.2/24"))
            ip("link", "add", f"{cable}0", "netns", one, "type", "veth", "peer", "name", f"{cable}1", "netns", two)
            for host, end, address in ends:
                ip("-n", host, "addr", "add", address, "dev", end)
                ip("-n", host, "link", "set", "lo", "up")
                ip("-n", host, "link", "set", end, "up")
        yield one, two
    finally:
        for host in (one, two):
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)
