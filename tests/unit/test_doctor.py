"""What the doctor says of a machine and a target, and that each finding comes with what it means and its fix."""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from soak.core.checkup import Check
from soak.core.scenario import Scenario
from soak.core.target import Target
from soak.doctor import examine, kernel, machine, network, software, target
from soak.report import render_checkup
from tests.making import scenario
from tests.unit.observing import Fake, answered, answering


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def checked(given: dict[str, object], folder: Path = Path()) -> list[Check]:
    return target.checks("candidate", Target.model_validate(given), 1.0, folder)


def spec(**load: object) -> Scenario:
    return scenario(load={"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]} | load)


def test_every_finding_has_its_meaning_and_its_fix_and_what_is_well_has_neither(tmp_path: Path) -> None:
    for check in examine(tmp_path / "runs", scenario()):
        assert bool(check.means) == bool(check.fix) == (check.state != "ok"), check


def test_a_kernel_too_old_is_told() -> None:
    assert kernel._version("4.19.0-26-amd64").state == "warning"
    assert kernel._version("5.3.0").state == kernel._version("6.18.44-fc").state == "ok"


@pytest.mark.parametrize(
    "scope,user,state",
    [(None, 1000, "ok"), ("0", 1000, "ok"), ("1", 1000, "warning"), ("2", 0, "ok"), ("3", 0, "warning")],
)
def test_ptrace_scope_counts_for_whom_it_restricts(scope: str | None, user: int, state: str) -> None:
    assert kernel._ptrace(scope, user).state == state


def test_a_slow_clock_source_is_told() -> None:
    assert kernel._clock("hpet").state == "warning"
    assert kernel._clock("tsc").state == kernel._clock(None).state == "ok"


def test_too_few_descriptors_for_a_scenario_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert by_name(machine.limits(2000))["open files"].state == "problem"
    assert by_name(machine.limits(50))["open files"].state == "ok"
    assert by_name(machine.limits(0))["open files"].state == "warning"


@pytest.mark.parametrize("free,state", [(50 * 1024**2, "problem"), (500 * 1024**2, "warning"), (5 * 1024**3, "ok")])
def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str) -> None:
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))
    (check,) = machine.disk(tmp_path / "not" / "there")
    assert check.state == state


@pytest.mark.parametrize("late,state", [(0.0005, "ok"), (0.005, "warning"), (0.05, "problem")])
def test_timers_that_are_late_are_told_by_how_much(monkeypatch: pytest.MonkeyPatch, late: float, state: str) -> None:
    monkeypatch.setattr(machine, "lateness", lambda: [late] * 100)
    assert by_name(machine.now())["timers"].state == state


def test_the_lateness_of_timers_is_measured() -> None:
    late = machine.lateness()
    assert late
    assert min(late) >= 0.0


def test_ports_that_churn_needs_are_counted_with_those_that_wait() -> None:
    assert network.ports_needed(spec(rate="100/s", timeout="10s", connections=50)) == 50
    assert network.ports_needed(spec(rate="2/s", timeout="10s", connections=50)) == 20
    assert network.ports_needed(spec(rate="1000/s", churn="100%", connections=50)) == 50 + 60_000
    checks = by_name(network.checks(spec(rate="1000/s", churn="100%")))
    assert checks["ports"].state == "problem"
    assert by_name(network.checks(None))["ports"].state == "ok"


def test_the_kernel_s_tables_are_read() -> None:
    assert network.ports("1024\t65535") == (1024, 65535)
    assert network.ports(None) == (32768, 60999)
    assert network.time_wait("sockets: used 9\nTCP: inuse 5 orphan 0 tw 42 alloc 7 mem 1\n") == 42
    assert network.time_wait(None) == 0


def test_a_missing_package_is_a_problem_and_memray_only_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(software, "_version", lambda _: None)
    checks = by_name(software.checks())
    assert checks["packages"].state == "problem"
    assert checks["memray"].state == "warning"


def test_a_port_that_is_taken_is_a_problem_for_a_target_that_soak_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        given = {"url": f"http://127.0.0.1:{port}", "process": {"command": "server"}}
        assert by_name(checked(given))["candidate: port"].state == "problem"
    assert by_name(checked(given))["candidate: port"].state == "ok"


def test_a_target_that_runs_is_found_and_read_and_one_that_does_not_is_a_problem() -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            checks = by_name(checked({"url": url, "pid": sleeper.pid}))
        assert [checks[f"candidate: {name}"].state for name in ("reachable", "process", "/proc")] == ["ok"] * 3
        assert checks["candidate: agent"].state == "warning"  # nobody brought one in
    finally:
        sleeper.kill()
        sleeper.communicate()
    gone = by_name(checked({"url": url, "pid": sleeper.pid}))
    assert gone["candidate: reachable"].state == gone["candidate: process"].state == "problem"
    nowhere = by_name(checked({"url": "http://shop..example:8000"}))
    assert nowhere["candidate: reachable"].state == "problem"
    unwatched = by_name(checked({"url": url}))
    assert unwatched["candidate: process"].state == "warning"


def test_what_it_may_not_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find", lambda _: type("Root", (), {"pid": os.getpid()}))
    monkeypatch.setattr(target, "readable", lambda _: ["smaps_rollup"])
    check = by_name(checked({"url": "http://127.0.0.1:1", "port": 1}))
    assert "smaps_rollup" in check["candidate: /proc"].found
    assert check["candidate: /proc"].state == "warning"


def test_it_is_shown_with_meaning_and_fix_and_counted() -> None:
    checks = [Check("disk", "problem", "1 KiB free", "it ends", "make room"), Check("python", "ok", "3.12")]
    text = render_checkup(checks, as_json=False)
    assert "PROBLEM  disk" in text
    assert "fix    make room" in text
    assert text.endswith("1 problem")
    document = json.loads(render_checkup(checks, as_json=True))
    assert document["schema"] == "soak.doctor/1"
    assert document["checks"][0]["fix"] == "make room"


def test_an_observer_is_asked_as_a_run_asks_it(tmp_path: Path) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def seen(url: str, **observer: str) -> Check:
        found = checked({"url": "http://127.0.0.1:1", "observer": {"url": url, **observer}}, tmp_path)
        return by_name(found)["candidate: observer"]

    with answering(Fake().reply, tls) as (url, _):
        assert seen(url, ca="ca.pem").state == "ok"
        assert "process 7" in seen(url, ca="ca.pem").found
        untrusted = seen(url)
    assert untrusted.state == seen(url, ca="ca.pem").state == "problem"  # nobody vouches for it; it is gone
    assert "observer.ca" in untrusted.found
    with answering(answered(401)) as (url, _):
        assert "wants a token in $SHOP_TOKEN" in (refused := seen(url, token="${SHOP_TOKEN}")).found
    assert refused.state == "problem"
    assert "$SHOP_TOKEN" in refused.fix
