"""What Prometheus is told: text that its own parser takes, by its conventions, of this life of the service only."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from soak.core.records import Event, Sample
from soak.probe.present import Present

TREE = {
    "process.processes": 2.0,
    "process.cpu_seconds": 12.5,
    "process.restarts": 0.0,
    "memory.rss": 4096.0,
    "memory.fragmentation": 0.25,
    "stack.thread_high_water": 8192.0,
    "stack.thread_limit": 65536.0,
    "python.live": 1000.0,
    "gc.collections": 7.0,
    "agent.recursion_errors": 1.0,
    "gc.enabled": 1.0,
}
HOST = {"host.cpu": 0.5, "host.psi_io": 0.1, "host.memory_total": 1e9, "host.oom_kills": 2.0}


def seen(*events: Event, **tree: float) -> Present:
    present = Present()
    look(present, *events, **tree)
    return present


def look(present: Present, *events: Event, **tree: float) -> None:
    """One more look; values have `__` for the dot of a metric."""
    values = {n.replace("__", "."): v for n, v in tree.items()} or TREE
    present.see(
        [
            Sample(1.0, "host", HOST),
            Sample(1.0, "target", values),
            Sample(1.0, "target/7@1", {"memory.rss": 99.0, "process.processes": 1.0}),
        ],
        events,
    )


def values(present: Present) -> dict[str, float]:
    return {s.name: s.value for f in plain(present.text("")[0].decode()) for s in f.samples if not s.labels}


def test_it_is_valid_in_both_formats_with_units_and_types() -> None:
    present = seen()
    text, kind = present.text("text/plain")
    assert kind.startswith("text/plain")
    types = {f.name: f.type for f in plain(text.decode())}
    newer, kind = present.text("application/openmetrics-text;version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    assert {f.name: f.type for f in openmetrics(newer.decode())} == types
    for counter in (
        "soak_process_cpu_seconds",
        "soak_process_restarts",
        "soak_gc_collections",
        "soak_agent_recursion_errors",
        "soak_host_oom_kills",
        "soak_observer_cpu_seconds",
        "soak_observer_looks",
        "soak_observer_events",
    ):
        assert types[counter] == "counter", counter
    found = values(present)
    assert found["soak_target_up"] == 1
    assert found["soak_process_cpu_seconds_total"] == 12.5
    assert found["soak_memory_rss_bytes"] == 4096  # of the tree: processes come and go, and would be ever new series
    assert found["soak_memory_fragmentation_ratio"] == 0.25
    assert found["soak_stack_thread_high_water_bytes"] == 8192
    assert found["soak_stack_thread_limit_bytes"] == 65536
    assert found["soak_python_live_bytes"] == 1000
    assert found["soak_gc_enabled"] == 1
    assert found["soak_host_cpu_ratio"] == 0.5
    assert found["soak_host_psi_io_ratio"] == 0.1
    assert all(f.documentation for f in plain(text.decode()))


def test_events_are_counted_by_kind() -> None:
    present = seen(Event(1.0, "restart", "target", "again"), Event(1.0, "note", "target", "hm"))
    look(present, Event(2.0, "restart", "target", "and again"))
    (family,) = [f for f in plain(present.text("")[0].decode()) if f.name == "soak_observer_events"]
    assert {s.labels["kind"]: s.value for s in family.samples} == {"restart": 2, "note": 1}


def test_a_costly_value_stays_until_the_next_but_not_beyond_the_life_of_the_service() -> None:
    present = seen(process__processes=1.0, memory__pss=77.0)
    look(present, process__processes=1.0, memory__rss=5.0)
    assert values(present)["soak_memory_pss_bytes"] == 77
    look(present, Event(2.0, "restart", "target", "anew"), process__processes=1.0)
    assert "soak_memory_pss_bytes" not in values(present)


def test_a_process_that_is_gone_has_no_values() -> None:
    present = seen()
    assert present.alive
    present.see([Sample(2.0, "host", HOST)], [Event(2.0, "target_exit", "target", "gone")])
    assert not present.alive
    found = values(present)
    assert found["soak_target_up"] == 0
    assert "soak_memory_rss_bytes" not in found
    assert found["soak_host_cpu_ratio"] == 0.5


def test_promtool_has_no_complaint() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    text, _ = seen(Event(1.0, "restart", "target", "again")).text("")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("accept", ["", "*/*", "nonsense;;q=x", "application/json"])
def test_any_accept_header_gets_text(accept: str) -> None:
    text, kind = seen().text(accept)
    assert kind.startswith("text/plain")
    assert list(plain(text.decode()))
