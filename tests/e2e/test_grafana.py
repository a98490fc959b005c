"""A real soak under a daemon, scraped by a real Prometheus: every panel has data, and the run annotates itself."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.publish.grafana.boards import boards
from soak.publish.grafana.rules import ALERTS
from tests.e2e.harness import free_port
from tests.e2e.test_prometheus import ask, prometheus, until
from tests.grafana_contract import DOCUMENT
from tests.grafana_standin import TOKEN, StandIn, standing_in
from tests.unit.serving import Daemon, launch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(290)]

_SCENARIO = """
name: {name}
target:
  url: http://127.0.0.1:{a}
  process: {{command: "{{python}} -m soak.specimens leak --port {a}"}}
reference:
  url: http://127.0.0.1:{b}
  process: {{command: "{{python}} -m soak.specimens healthy --port {b}"}}
load:
  rate: 80/s
  connections: 20
  requests:
    - {{name: browse, weight: 8, get: "/items/{{random:1-5000}}"}}
    - {{name: buy, weight: 2, post: /cart, json: {{item: 7}}, expect: [201]}}
phases: {{idle_before: 1s, warmup: 3s, soak: 45s, idle_after: 1s}}
criteria:
  - {{metric: errors.ratio, below: 1%}}
  - {{metric: memory.rss, growth_below: 5%}}
cost: {{rate: 10000/s, instances: 20, price: 0.05 USD/core-hour}}
"""


@pytest.fixture
def standin() -> Iterator[StandIn]:
    if not DOCUMENT.exists():
        pytest.skip(f"Grafana's OpenAPI document is not there: {DOCUMENT} (or $SOAK_GRAFANA_OPENAPI)")
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    with standing_in() as state:
        yield state


@pytest.fixture
def daemon(tmp_path: Path, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """A daemon whose runs annotate themselves."""
    monkeypatch.setenv("SOAK_ANNOTATE", standin.url)
    monkeypatch.setenv("SOAK_GRAFANA_TOKEN", TOKEN)
    (tmp_path / "scenarios").mkdir()
    ports = {"a": free_port(), "b": free_port()}
    for name in ("shop", "later"):  # on the same target: one waits for the other
        (tmp_path / "scenarios" / f"{name}.yaml").write_text(_SCENARIO.format(name=name, **ports))
    started = launch(tmp_path, port=free_port())
    yield started
    started.process.kill()
    started.process.wait()
    assert started.process.stderr is not None
    started.process.stderr.close()


_IF_THERE = re.compile(r"soak_memory_limit_bytes|soak_memory_retained_bytes")
"""Only of targets in a control group with a limit, or with an allocator that tells."""


def queries() -> dict[str, str]:
    """Each query of each panel, with everything chosen and times that a short soak has, and where it stands."""
    names = {"__rate_interval": "10s", "span": "5s", "ago": "10s", "scenario": "shop"}
    return {
        re.sub(r"\$(\w+)", lambda m: names.get(m[1], ".+"), target["expr"]): f"{model['uid']}: {panel['title']}"
        for model in boards()
        for panel in model["panels"]
        for target in panel.get("targets", ())
    }


def test_every_panel_has_data_and_a_run_annotates_itself(daemon: Daemon, standin: StandIn, tmp_path: Path) -> None:
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: soak, static_configs: [{{targets: ["127.0.0.1:{daemon.port}"]}}]}}]
"""
    (tmp_path / "prometheus").mkdir()
    unseen = {expr: where for expr, where in queries().items() if not _IF_THERE.search(expr)}
    alerts = {alert.name: alert.expr for alert in ALERTS}
    causes: set[str] = set()
    with prometheus(tmp_path / "prometheus", config) as url:
        first, second = (
            daemon.ask("POST", "/v1/runs", {"scenario": f"{n}.yaml"}).json["id"] for n in ("shop", "later")
        )

        def all_seen() -> bool:
            unseen_now = [expr for expr in unseen if not ask(url, "query", query=expr)]
            for expr in unseen.keys() - set(unseen_now):
                del unseen[expr]
            found = ask(url, "query", query=alerts["SoakFinding"])
            causes.update(s["metric"]["cause"] for s in found if s["metric"].get("advice"))
            return not unseen and bool(causes)

        with contextlib.suppress(AssertionError):  # what is missing is told below
            until(all_seen, 200)
        for number in (second, first):
            daemon.ask("POST", f"/v1/runs/{number}/stop")
            until(lambda n=number: daemon.ask("GET", f"/v1/runs/{n}").json["state"] == "ended", 90)
    assert unseen == {}
    assert "object_leak" in causes
    until(lambda: any("cause:object_leak" in a["tags"] for a in list(standin.annotations.values())), 60)
    tags = {tag for a in standin.annotations.values() for tag in a["tags"]}
    assert {"kind:phase", "kind:deploy", "kind:finding", "scenario:shop", "phase:soak"} <= tags
    assert standin.faults == []
