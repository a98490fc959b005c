"""What whole soaks share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

LONGEST = (
    "soaks",
    "chain",
    "endings",
    "survival",
    "daemon_unattended",
    "traffic",
    "distributed",
    "daemon",
    "pages",
    "grafana",
)
"""Files of this folder that take a minute or more, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that the others find their place beside it."""
    place = {f"test_{name}.py": n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


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
