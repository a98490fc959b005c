"""What a team leaves on: a run by the calendar whose secret is nowhere, TLS with a certificate of its own, uploads."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import trustme
import urllib3

from soak.daemon.config import STATE
from soak.daemon.process import alive, interrupt
from soak.daemon.state import State
from tests.e2e.harness import SOAK, environment, free_port
from tests.unit.serving import SCENARIO, Daemon, launch, library, refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]

GUARDED = """
import http.server, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        known = self.headers["X-Key"] == os.environ["SHOP_SECRET"] and self.headers["Authorization"] is not None
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SECRET_SCENARIO = """
name: guarded
target: {{url: "http://127.0.0.1:{port}", process: {{command: "{{python}} guarded.py {port}"}}}}
load:
  rate: 20/s
  headers: {{X-Key: "${{SHOP_SECRET}}"}}
  auth: {{bearer: "${{SHOP_SECRET}}"}}
  requests: [{{name: browse, get: /}}]
phases: {{warmup: 1s, soak: 6s}}
criteria: [{{metric: errors.ratio, below: 50%}}]
"""
CALENDAR = """
scenarios = "scenarios"
runs = "runs"
log = "json"
[[schedules]]
name = "often"
cron = "* * * * *"
scenario = "guarded.yaml"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Whatever runs in the end is ended."""
    yield tmp_path
    with State(tmp_path / "runs" / STATE) as state:
        for process in [job.process for job in state.open_jobs() if job.process is not None]:
            while alive(process):
                interrupt(process)
                time.sleep(1)


def until_ended(daemon: Daemon, number: int, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = daemon.ask("GET", f"/v1/runs/{number}")
        if answer.status == 200 and answer.json["state"] == "ended":
            run: dict[str, Any] = answer.json
            return run
        time.sleep(0.3)
    raise AssertionError(answer.body)


def test_the_calendar_makes_a_run_and_its_secret_is_nowhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = f"s3cr3t/{uuid4().hex}"
    monkeypatch.setenv("SHOP_SECRET", secret)
    scenarios = library(folder)
    (scenarios / "guarded.py").write_text(GUARDED)
    (scenarios / "guarded.yaml").write_text(SECRET_SCENARIO.format(port=free_port()))
    (folder / "serve.toml").write_text(CALENDAR)
    daemon = launch(folder, "--config", "serve.toml")
    try:
        run = until_ended(daemon, 1, 200)
        assert (run["asked_by"], run["scenario"]) == ("calendar", "guarded.yaml")
        verdict = daemon.ask("GET", "/v1/runs/1/verdict").json
        assert verdict["validity"]["done"] > 50, run  # the target had the secret, in both places
        assert verdict["validity"]["failed"] == 0
        answers = [
            daemon.ask("GET", path).body
            for path in (
                "/v1/runs", "/v1/runs/1", "/v1/runs/1/events", "/v1/runs/1/verdict", "/v1/scenarios", "/v1/calendar",
                "/v1/audit", "/openapi.json",
                *(f"/v1/runs/1/report?format={f}" for f in ("html", "json", "junit", "markdown", "text")),
            )
        ]  # fmt: skip
        assert all(answers)
    finally:
        daemon.process.terminate()
        _, said = daemon.process.communicate(timeout=30)
    files = {}
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # the next minute's run may be at work
            files[path] = path.read_bytes()
    assert {".soak", ".log", ".json", ".html", ".sqlite"} <= {path.suffix for path in files}
    spellings = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode(), secret.rpartition("/")[2]}
    for where, content in [*files.items(), *enumerate(answers), ("log", "".join([*daemon.said, said]).encode())]:
        assert not [s for s in spellings if s.encode() in content], where


def test_it_serves_tls_and_takes_a_renewed_certificate(folder: Path) -> None:
    library(folder, shop=free_port())
    old, new = trustme.CA(), trustme.CA()

    def issue(authority: trustme.CA) -> None:
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(folder / "key.pem")
        issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")

    issue(old)
    old.cert_pem.write_to_path(folder / "old.pem")
    new.cert_pem.write_to_path(folder / "new.pem")
    token = refused(folder, "--add-token", "ci", "--role", "run")[1].strip()
    daemon = launch(folder, "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    url = f"https://localhost:{daemon.port}"

    def run_on(authority: str, shown: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SOAK, "run", "--on", url, "shop.yaml"], cwd=folder, capture_output=True, text=True, timeout=90,
            env=environment(folder) | {"SSL_CERT_FILE": str(folder / authority), "SOAK_TOKEN": shown}, check=False,
        )  # fmt: skip

    def trusted(authority: str) -> bool:
        context = ssl.create_default_context(cafile=str(folder / authority))
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=20) as pool:
            try:
                return pool.request("GET", f"{url}/healthz").status == 200
            except urllib3.exceptions.SSLError:
                return False

    try:
        asked = run_on("old.pem", token)
        assert (asked.returncode, "nothing answers at 127.0.0.1" in asked.stderr) == (2, True), asked.stderr
        stranger = run_on("new.pem", token)
        assert stranger.returncode == 2
        assert "no daemon to talk to there" in stranger.stderr
        assert "Traceback" not in stranger.stderr
        assert run_on("old.pem", "soak_wrong").returncode == 2
        issue(new)
        os.kill(daemon.process.pid, signal.SIGHUP)
        deadline = time.monotonic() + 60
        while not trusted("new.pem"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert not trusted("old.pem")
    finally:
        daemon.process.terminate()
        daemon.process.communicate(timeout=30)


def test_a_ci_job_brings_its_scenario_along(folder: Path) -> None:
    library(folder)
    mine = folder / "mine.yaml"
    mine.write_text(SCENARIO.format(name="mine", port=free_port()))
    harm = folder / "harm.yaml"
    harm.write_text(mine.read_text().replace("target: {", 'target: {process: {command: "id"}, '))
    daemon = launch(folder, "--allow-uploads")

    def brought(file: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SOAK, "run", "--on", f"http://127.0.0.1:{daemon.port}", str(file), "--upload"], cwd=folder,
            env=environment(folder), capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    try:
        asked = brought(mine)
        assert (asked.returncode, "nothing answers at 127.0.0.1" in asked.stderr) == (2, True), asked.stderr
        refusal = brought(harm)
        assert refusal.returncode == 2
        assert "target.process: not in an uploaded scenario" in refusal.stderr
        (run,) = daemon.ask("GET", "/v1/runs").json["runs"]
        assert (run["name"], run["scenario"].startswith("sha256:")) == ("mine", True)
        assert json.loads(daemon.ask("GET", "/v1/audit").body)["entries"][0]["action"] == "refused"
    finally:
        daemon.process.terminate()
        daemon.process.communicate(timeout=30)
