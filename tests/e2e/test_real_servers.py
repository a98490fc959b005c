"""Servers that nobody here wrote are soaked, and never called sick."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from soak.runfile import read
from tests.e2e.harness import Outcome, free_port, measured, scenario, soak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CRITERIA = """
criteria:
  - {metric: errors.ratio, below: 1%}
  - {metric: memory.rss, growth_below: 10%}
  - {metric: stack.headroom, above: 50%}
"""


def binary(name: str) -> str:
    found = shutil.which(name) or (f"/usr/sbin/{name}" if Path(f"/usr/sbin/{name}").exists() else None)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def served(command: list[str], port: int, cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server running, from when it accepts connections."""
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"{command[0]} did not start"
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(10)


def not_sick(outcome: Outcome) -> None:
    """Not called sick; on a machine that is too busy to measure on, that is what the verdict says."""
    assert outcome.code in (0, 3, 4), outcome.show()
    assert outcome.verdict["verdict"] != "fail", outcome.show()
    assert outcome.causes() == set(), outcome.show()
    assert outcome.verdict["validity"]["balanced"]
    assert outcome.verdict["validity"]["failed"] == 0, outcome.show()


def hung_up(outcome: Outcome) -> None:
    """The target had connections while there was load, and none of soak's when it was over."""
    run = read(outcome.run_file)
    open_ = run.sides["candidate"].series["process.connections"]
    before, after = run.phase("idle_before"), run.phase("idle_after")
    assert before is not None
    assert after is not None
    assert after.end is not None
    rest = open_.between(0, before.end or 0.0).v[-1]
    assert open_.v.max() > rest
    assert open_.between(after.start, after.end).v[-1] <= rest


def test_nginx_with_two_workers_is_healthy(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; worker_processes 2; user root; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;\n"
        "events { worker_connections 512; }\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{port};\n"
        '  location / { return 200 "ok"; } } }\n'
    )
    command = f"{binary('nginx')} -c {tmp_path}/nginx.conf -p {tmp_path}"
    file = scenario(
        tmp_path,
        f"""
name: nginx
target: {{url: "http://127.0.0.1:{port}", process: {{command: "{command}"}}}}
load: {{rate: 200/s, workers: 2, requests: [{{name: page, get: "/{{random:1-1000}}"}}]}}
phases: {{idle_before: 2s, warmup: 5s, soak: 30s, idle_after: 10s}}
{CRITERIA}
""",
    )
    outcome = measured(tmp_path, "run", str(file))
    not_sick(outcome)
    assert outcome.verdict["validity"]["done"] > 5_000  # latency leaves out what a busy machine spoiled
    hung_up(outcome)  # nginx itself would keep them for 75 s


@pytest.mark.long
def test_a_flask_app_under_waitress_is_healthy_and_found_by_its_port(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "app.py").write_text(
        "from flask import Flask, jsonify\napp = Flask(__name__)\n"
        "@app.get('/items/<int:i>')\ndef item(i):\n    return jsonify(id=i, name=f'item {i}')\n"
    )
    command = [sys.executable, "-m", "waitress", "--listen", f"127.0.0.1:{port}", "app:app"]
    with served(command, port, tmp_path):
        outcome = soak(
            tmp_path,
            *("run", "--url", f"http://127.0.0.1:{port}/items/7", "--rate", "80/s", "--for", "40s"),
            *("--port", str(port), "--json"),
        )
    not_sick(outcome)
    assert "criteria:" in outcome.err  # the scenario that it stood for


@pytest.mark.long
def test_redis_is_soaked_through_a_users_own_locustfile(tmp_path: Path) -> None:
    port = free_port()
    shutil.copy(Path(__file__).with_name("shoppers.py"), tmp_path / "shoppers.py")
    command = [binary("redis-server"), "--port", str(port), "--save", "", "--bind", "127.0.0.1"]
    file = scenario(
        tmp_path,
        f"""
name: redis
target: {{url: "tcp://127.0.0.1:{port}", port: {port}}}
load: {{rate: 150/s, connections: 20, locustfile: "shoppers.py::RedisUser"}}
phases: {{warmup: 4s, soak: 30s}}
{CRITERIA}
""",
    )
    with served(command, port, tmp_path):
        outcome = measured(tmp_path, "run", str(file))
    not_sick(outcome)
    latency = outcome.verdict["latency"]
    assert set(latency) == {"get", "exists", "set"}
    assert latency["get"]["count"] > 2 * latency["exists"]["count"]
    # its tasks followed the shared schedule: 150 arrivals a second, each one task
    account = outcome.verdict["validity"]
    assert account["scheduled"] == pytest.approx(150 * 34, rel=0.1)
    assert account["done"] == account["scheduled"]
