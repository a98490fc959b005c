"""The OpenAPI document of a daemon, asked of a real one: what it serves is what is told."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

_LONGEST_S = 60.0


def document() -> dict[str, Any]:
    """What `soak serve` serves at /openapi.json. Raises RuntimeError when it does not come up."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        (Path(folder) / "scenarios").mkdir()
        command = [sys.executable, "-m", "soak.cli", "serve", "--listen", address]
        places = ["--scenarios", f"{folder}/scenarios", "--runs", f"{folder}/runs", "--min-free", "0 GiB"]
        with (Path(folder) / "log").open("w+b") as log:
            daemon = subprocess.Popen([*command, *places], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            try:
                return _asked(f"http://{address}/openapi.json", daemon)
            except RuntimeError:
                log.seek(0)
                raise RuntimeError(log.read().decode(errors="replace")) from None
            finally:
                daemon.terminate()
                daemon.wait()


def _asked(url: str, daemon: subprocess.Popen[bytes]) -> dict[str, Any]:
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until and daemon.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("soak serve did not answer")
