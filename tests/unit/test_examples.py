"""The programs of examples/, which the journeys soak: they serve what the pages say they serve."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import requests

from tests.unit.documents import ROOT, Block, blocks

LONGEST_S = 60.0


@pytest.fixture
def shop() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, str(ROOT / "examples" / "shop.py"), str(port)])
    try:
        until = time.monotonic() + LONGEST_S
        while time.monotonic() < until and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def test_the_shop_sells_on_one_connection(shop: str) -> None:
    with requests.Session() as visitor:
        assert visitor.get(f"{shop}/items/7", timeout=LONGEST_S).json() == {"item": 7, "price": 12}
        assert visitor.get(f"{shop}/items/501", timeout=LONGEST_S).status_code == 404
        assert visitor.post(f"{shop}/cart", json={"item": 7}, timeout=LONGEST_S).status_code == 201
        assert visitor.get(f"{shop}/items/8", timeout=LONGEST_S).status_code == 200


@pytest.mark.parametrize("block", [b for b in blocks("python", "yaml") if b.page.name == "bring-your-locustfile.md"])
def test_what_a_journey_shows_is_what_lies_there(block: Block) -> None:
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "examples").iterdir() if path.is_file()]
    assert any(block.text in text for text in files)
