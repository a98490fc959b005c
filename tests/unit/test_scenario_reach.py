"""Where load may go: resolved for real, connected to for real, on this machine only."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from soak.core.errors import TargetError
from soak.core.scenario import Scenario
from soak.core.target import Target
from soak.scenario import port_in_use, refuse_foreign, refuse_unreachable
from tests.making import scenario


def going_to(url: str, **more: object) -> Scenario:
    return scenario(target={"url": url, "process": {"command": "x"}}, **more)


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def silent_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "localhost", "[::ffff:127.0.0.1]"])
def test_loopback_needs_no_leave(host):
    refuse_foreign(going_to(f"http://{host}:8000"), ())


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "[2001:db8::1]", "[::ffff:192.0.2.1]", "169.254.169.254"])
def test_anywhere_else_needs_leave(host):
    bare = host.strip("[]")
    with pytest.raises(TargetError, match="candidate") as caught:
        refuse_foreign(going_to(f"http://{host}:8000"), ["127.0.0.1", f"{host}:9000"])
    assert f"--allow-host {bare}" in str(caught.value)
    for leave in (bare, host, f"{host}:8000"):
        refuse_foreign(going_to(f"http://{host}:8000"), [leave])


def test_leave_ignores_case_and_needs_no_resolver():
    refuse_foreign(going_to("http://shop.invalid"), ["SHOP.invalid"])


def test_a_host_that_does_not_resolve_is_an_error_with_its_name():
    for host in ("shop.invalid", "a" * 70 + ".invalid"):
        with pytest.raises(TargetError, match="cannot be resolved") as caught:
            refuse_foreign(going_to(f"http://{host}"), ())
        assert host in str(caught.value)


def test_the_reference_is_held_to_the_same():
    spec = going_to("http://127.0.0.1:1", reference={"url": "http://192.0.2.1"})
    with pytest.raises(TargetError, match="reference"):
        refuse_foreign(spec, ())


def test_a_name_counts_as_loopback_only_with_all_its_addresses(monkeypatch):
    def two(*_: object, **__: object) -> list[object]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.1", 80)), (*kind, ("192.0.2.7", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with pytest.raises(TargetError, match=r"192\.0\.2\.7"):
        refuse_foreign(going_to("http://shop.example"), ())


def test_a_listening_target_is_reached(listening):
    target = Target(url=f"http://127.0.0.1:{listening}")
    refuse_unreachable(target)
    assert port_in_use(target)


def test_a_silent_target_is_refused_with_the_reason(silent_port):
    target = Target(url=f"http://127.0.0.1:{silent_port}")
    assert not port_in_use(target)
    with pytest.raises(TargetError, match="refused") as caught:
        refuse_unreachable(target)
    assert f"127.0.0.1:{silent_port}" in str(caught.value)
    assert "start the target first" in str(caught.value)


def test_a_host_that_is_no_name_is_refused_without_a_traceback():
    target = Target(url="http://" + "a" * 70 + ".invalid")
    assert not port_in_use(target)
    with pytest.raises(TargetError):
        refuse_unreachable(target)


@pytest.mark.parametrize("door", [{"redis": "192.0.2.1:6379"}, {"prometheus": "http://192.0.2.1/metrics"}])
def test_a_door_elsewhere_needs_leave_too(door):
    target = {"url": "http://127.0.0.1:8000", "scrape": door}
    with pytest.raises(TargetError, match="the door") as caught:
        refuse_foreign(scenario(target=target), ())
    assert "--allow-host 192.0.2.1" in str(caught.value)
    refuse_foreign(scenario(target=target), ["192.0.2.1"])


def test_a_door_of_the_targets_own_machine_has_the_targets_leave():
    target = {"url": "http://shop.invalid", "scrape": {"redis": "shop.invalid:6379"}}
    refuse_foreign(scenario(target=target), ["shop.invalid"])
    refuse_foreign(scenario(target={"url": "http://127.0.0.1:8000", "scrape": {"redis": "[::1]:6379"}}), ())
