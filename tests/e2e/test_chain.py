"""The whole chain: a leak is soaked and scraped, a rule fires, Alertmanager delivers; silence resolves nothing."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, free_port, measured, shipped, soak
from tests.e2e.towers import alertmanager, alerts_of, prometheus
from tests.unit.alerting import Listener, listener, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(500)]


def growth(hook: Listener) -> list[str]:
    return [a["status"] for a in alerts_of(hook) if a["labels"]["alertname"] == "SoakGrowth"]


def asked(url: str, query: str) -> list[dict[str, object]]:
    where = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(where, timeout=10) as answer:
        found: list[dict[str, object]] = json.load(answer)["data"]["result"]
    return found


def test_a_leak_is_scraped_fires_is_delivered_and_is_resolved_by_a_run_without_it(tmp_path: Path) -> None:
    # the shipped rules, at the pace of a test
    rules = (ROOT / "deploy/prometheus/rules/soak.yml").read_text()
    rules = rules.replace("interval: 30s", "interval: 1s").replace("for: 5m", "for: 2s").replace("for: 3m", "for: 2s")
    (tmp_path / "soak.yml").write_text(rules)
    port = free_port()
    with listener(200) as hook, alertmanager(tmp_path, hook) as manager:
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["soak.yml"],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [manager.removeprefix("http://")]}]}]},
            "scrape_configs": [{"job_name": "soak", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        }
        with prometheus(tmp_path, config) as tower:
            serving = ("--metrics", f"127.0.0.1:{port}")
            leak = shipped(tmp_path, "leak", idle_before="1s", soak="60s", idle_after="1s")
            outcome = measured(tmp_path, "run", str(leak), *serving)
            assert outcome.code == 1, outcome.show()
            until(lambda: growth(hook))
            told = next(a for a in alerts_of(hook) if a["labels"]["alertname"] == "SoakGrowth")
            assert told["status"] == "firing"
            assert told["annotations"]["cause"] in ("object_leak", "memory_growth")
            assert told["annotations"]["next_step"]
            assert told["annotations"]["runbook"].startswith("docs/alerts.md#")

            until(lambda: not asked(tower, "soak_run_state"))
            until(lambda: asked(tower, "soak:finding:standing"))
            assert asked(tower, 'ALERTS{alertname="SoakGrowth",alertstate="firing"}'), "silence is no all-clear"
            before = growth(hook)

            healthy = shipped(tmp_path, "healthy", idle_before="1s", warmup="2s", soak="12s", idle_after="1s")
            healthy.write_text(healthy.read_text().replace("name: healthy", "name: leak"))
            soak(tmp_path, "run", str(healthy), *serving)
            until(lambda: growth(hook)[-1] == "resolved" and len(growth(hook)) > len(before), 120)
