"""A real Alertmanager, and a real Prometheus, for a test; and who listens behind them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import free_port
from tests.unit.alerting import Listener


def wait_ready(url: str, seconds: float = 60) -> None:
    """Until a server says that it is ready."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} never became ready"
            time.sleep(0.1)


@contextmanager
def _program(folder: Path, *command: str) -> Iterator[None]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    with (folder / f"{command[0]}.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def alertmanager(folder: Path, hook: Listener) -> Iterator[str]:
    """An Alertmanager that tells `hook` of each alert at once; its base URL."""
    port = free_port()
    receiver = {"name": "hook", "webhook_configs": [{"url": hook.url, "send_resolved": True}]}
    route = {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
    (folder / "am.yml").write_text(json.dumps({"route": route, "receivers": [receiver]}))
    url = f"http://127.0.0.1:{port}"
    with _program(
        folder, "prometheus-alertmanager", "--config.file=am.yml", "--storage.path=am",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ):  # fmt: skip
        wait_ready(url)
        yield url


@contextmanager
def prometheus(folder: Path, config: dict[str, Any]) -> Iterator[str]:
    """A Prometheus with that configuration; its base URL."""
    port = free_port()
    (folder / "prometheus.yml").write_text(json.dumps(config))
    url = f"http://127.0.0.1:{port}"
    with _program(
        folder, "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    ):  # fmt: skip
        wait_ready(url)
        yield url


def alerts_of(hook: Listener) -> list[dict[str, Any]]:
    """Each alert that an Alertmanager delivered, in order."""
    return [alert for post in hook.posts for alert in post.body["alerts"]]
