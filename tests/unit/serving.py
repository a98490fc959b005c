"""A `soak serve` of the tests' own, and how to ask it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.e2e.harness import environment, free_port

SCENARIO = """
name: {name}
target: {{url: "http://127.0.0.1:{port}"}}
load: {{rate: 20/s, requests: [{{name: browse, get: /}}]}}
phases: {{warmup: 1s, soak: 10s}}
criteria: [{{metric: errors.ratio, below: 1%}}]
"""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Daemon:
    """A daemon that runs."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    said: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None, **headers: str) -> Answer:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        data = json.dumps(body).encode() if body is not None and not isinstance(body, bytes) else body
        if data is not None:
            given.setdefault("Content-Type", "application/json")
        with urllib3.PoolManager(retries=False, timeout=30) as pool:
            answer = pool.request(method, f"http://127.0.0.1:{self.port}{path}", body=data, headers=given)
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.data)


def library(folder: Path, **names: int) -> Path:
    """A scenarios folder with scenarios by name and port."""
    scenarios = folder / "scenarios"
    scenarios.mkdir(exist_ok=True)
    for name, port in names.items():
        (scenarios / f"{name}.yaml").write_text(SCENARIO.format(name=name, port=port))
    return scenarios


def launch(folder: Path, *options: str, port: int | None = None) -> Daemon:
    """Start `soak serve` in `folder` and wait until it serves."""
    at = port or free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "soak.cli", "serve", "--listen", f"127.0.0.1:{at}", *options],
        cwd=folder, env=environment(folder), stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "serving" in line:
            return Daemon(process, at, folder, said)
    raise AssertionError("".join(said))


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[Daemon]:
    daemon = launch(folder, *options)
    try:
        yield daemon
    finally:
        daemon.process.terminate()
        daemon.process.communicate(timeout=30)


def unread(daemon: Daemon) -> Daemon:
    """A daemon whose log nobody wants: it is taken from the pipe, which would else be full in time and make it wait."""

    def take(pipe: int) -> None:
        with contextlib.suppress(OSError):
            while os.read(pipe, 65536):
                pass

    assert daemon.process.stderr is not None
    threading.Thread(target=take, args=(daemon.process.stderr.fileno(),), daemon=True).start()
    return daemon


def refused(folder: Path, *options: str) -> tuple[int, str]:
    """The exit code of a `soak serve` that does not begin, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "soak.cli", "serve", *options],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr
