"""A real Redis on jemalloc whose heap is made to fragment, and the same traffic in an order that leaves it whole.

Redis speaks no HTTP, so load goes to a small front (`cache_front.py`), and Redis is what is watched: from outside, and
at its own door.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.harness import ROOT, Outcome, free_port, measured, scenario
from tests.e2e.test_real_servers import binary, not_sick, served

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(300)]


def soaked(folder: Path, order: str) -> Outcome:
    """A soak of a Redis behind a front that frees old values in this order."""
    port, redis_port = free_port(), free_port()
    redis = [binary("redis-server"), "--port", str(redis_port), "--save", "", "--bind", "127.0.0.1"]
    front = [sys.executable, str(ROOT / "tests/e2e/cache_front.py"), str(port), str(redis_port), order]
    file = scenario(
        folder,
        f"""
name: redis-{order}
target:
  url: "http://127.0.0.1:{port}"
  port: {redis_port}
  scrape: {{redis: "127.0.0.1:{redis_port}"}}
load: {{rate: 35/s, arrivals: constant, connections: 4, requests: [{{name: step, get: /}}]}}
phases: {{idle_before: 2s, warmup: 12s, soak: 45s, idle_after: 2s}}
criteria:
  - {{metric: errors.ratio, below: 1%}}
""",
    )
    with served(redis, redis_port, folder), served(front, port, folder):
        return measured(folder, "run", str(file))


def test_scattered_values_that_stay_fragment_its_heap(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, "scattered")
    assert outcome.code == 1, outcome.show()
    assert outcome.causes() == {"fragmentation"}, outcome.show()
    (finding,) = [f for f in outcome.verdict["findings"] if f["cause"] == "fragmentation"]
    assert finding["metric"] == "memory.anon"
    assert finding["confidence"] == "high", outcome.show()
    assert any("pages that hold live pieces too" in line for line in finding["evidence"])
    assert "memory, free pages kept" in outcome.err  # in the report, beside what is live and what is free


def test_the_same_values_freed_in_order_leave_it_whole(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, "whole")
    not_sick(outcome)
    assert "memory, free pages kept" in outcome.err
