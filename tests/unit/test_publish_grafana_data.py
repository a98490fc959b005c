"""A recorded run in a real Prometheus: panels ask for what is there, tables show columns that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soak.core.records import Recording, Series
from soak.core.scenario import Scenario
from soak.core.verdict import Verdict
from soak.publish.grafana.boards import boards
from soak.publish.openmetrics import openmetrics
from tests.e2e.test_prometheus import ask, prometheus, until
from tests.unit.report_making import END, MIB, recording, verdict
from tests.unit.serving import library, serving

_BEGAN = round(time.time() - END - 600)
"""A Prometheus forgets what is old."""
_OF_THE_DAEMON = re.compile(r"soak_daemon_|soak_runs_unreadable")
_OF_A_LOOK = re.compile(r"soak_allocations_")
"""What a recorded run does not have: the daemon below has the one, tests/e2e/test_grafana.py the other."""


def whole() -> Recording:
    """A run of which everything is known that a probe can see."""
    made = recording()
    t = np.arange(0.0, END, 5.0)
    more = {
        "memory.live": 90 * MIB + t * 1000,
        "memory.free_in_heap": 20 * MIB + 0 * t,
        "memory.retained": 5 * MIB + 0 * t,
        "memory.fragmentation": 0.2 + 0 * t,
        "memory.limit": 512 * MIB + 0 * t,
        "stack.thread_high_water": 64 * 1024.0 + 0 * t,
        "stack.thread_limit": 8 * MIB + 0 * t,
        "stack.depth": 40 + 0 * t,
        "stack.depth_limit": 1000 + 0 * t,
        "process.zombies": 0 * t,
        "process.restarts": np.where(t > 5600, 1.0, 0.0),
    }
    series = {name: Series(t, values) for name, values in more.items()}
    host = {f"host.{name}": Series(t, 0.1 + 0 * t) for name in ("psi_cpu", "psi_memory", "psi_io")}
    scenario = made.scenario.model_copy(update={"cost": Scenario.model_validate(_COSTLY).cost})
    sides = {name: replace(side, series=dict(side.series) | series) for name, side in made.sides.items()}
    return replace(made, started=_BEGAN, scenario=scenario, sides=sides, host=dict(made.host) | host)


_COSTLY = {
    "name": "checkout",
    "target": {"url": "http://127.0.0.1:8000", "port": 8000},
    "load": {"rate": "1/s", "requests": [{"name": "browse", "get": "/"}]},
    "phases": {"soak": "1m"},
    "criteria": [{"metric": "errors.ratio", "below": "1%"}],
    "cost": {"rate": "10000/s", "instances": 20, "price": "0.05 USD/core-hour"},
}


def _verdict() -> Verdict:
    """What was held of it; its first finding is told with a place in the code."""
    made = verdict()
    first, *rest = made.candidate.findings
    told = replace(first, location="shop.py:7 (touch)")
    return replace(made, candidate=replace(made.candidate, findings=(told, *rest)))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that has the run."""
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    made = whole()
    (folder / "run.om").write_text(openmetrics(made, _verdict()) + "\n")
    fill = ["promtool", "tsdb", "create-blocks-from", "--max-block-duration=24h", "openmetrics", "run.om", "data"]
    subprocess.run(fill, cwd=folder, check=True, capture_output=True, timeout=120)
    with prometheus(folder, "global: {}\n") as url:
        yield url


def resolved(expr: str) -> str:
    """A query as Prometheus sees it, with all of everything chosen."""
    names = {"__rate_interval": "5m", "span": "10m", "ago": "30m"}
    return re.sub(r"\$(\w+)", lambda m: names.get(m[1], ".*"), expr)


def asked(server: str, expr: str) -> list[dict[str, Any]]:
    """What a query gives over the run; a run in hindsight has no job and instance."""
    return ask(server, "query_range", query=resolved(expr), start=_BEGAN, end=_BEGAN + END + 60, step=30)


def test_each_query_of_each_panel_has_data(server: str) -> None:
    empty = [
        (model["uid"], panel["title"], target["expr"])
        for model in boards()
        for panel in model["panels"]
        for target in panel.get("targets", ())
        if not _OF_THE_DAEMON.search(target["expr"])
        and not _OF_A_LOOK.search(target["expr"])
        and not asked(server, target["expr"])
    ]
    assert empty == []


def test_tables_show_only_columns_that_their_queries_give(server: str) -> None:
    for model in boards():
        for panel in (p for p in model["panels"] if p["type"] == "table"):
            labels = {x for t in panel["targets"] for s in asked(server, t["expr"]) for x in s["metric"]}
            values = {f"Value #{t['refId']}" if len(panel["targets"]) > 1 else "Value" for t in panel["targets"]}
            shown = set(panel["transformations"][1]["options"]["renameByName"])
            assert shown <= labels | values, (model["uid"], panel["title"], shown - labels - values)


def test_the_finding_is_read_with_its_time_left_and_next_step(server: str) -> None:
    panel = next(p for p in boards()[0]["panels"] if p["title"] == "What is wrong, and what to do")
    found = asked(server, panel["targets"][0]["expr"])
    growth = next(s for s in found if s["metric"]["cause"] == "memory_growth")
    assert growth["metric"]["severity"] == "fail"
    assert "heap" in growth["metric"]["advice"]
    assert float(growth["values"][-1][1]) > 0


def test_what_is_of_the_daemon_is_there_while_a_run_is_queued(tmp_path: Path) -> None:
    """Its disk is said to be too full for a run to be started: it waits for ever."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    library(tmp_path, shop=1)
    exprs = {t["expr"] for m in boards() for p in m["panels"] for t in p.get("targets", ())}
    unseen = {resolved(e) for e in exprs if _OF_THE_DAEMON.search(e)}
    assert len(unseen) >= 6
    with serving(tmp_path, "--min-free", "1000000 GiB") as daemon:
        assert daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}).status == 201
        scrape = f'{{job_name: soak, static_configs: [{{targets: ["127.0.0.1:{daemon.port}"]}}]}}'
        with prometheus(tmp_path, f"global: {{scrape_interval: 1s}}\nscrape_configs: [{scrape}]\n") as url:

            def all_seen() -> bool:
                unseen.difference_update([e for e in unseen if ask(url, "query", query=e)])
                return not unseen

            until(all_seen, 60)
            [ready] = ask(url, "query", query="soak_daemon_ready")
            assert ready["value"][1] == "0"
