"""soak soaks soak: the shipped scenario that soaks the daemon, for a short while."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import shipped, soak

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(280)]


def test_the_daemon_stands_a_soak_of_its_own(tmp_path: Path) -> None:
    path = shipped(tmp_path, "daemon", idle_before="1s", warmup="5s", soak="25s", idle_after="1s")
    outcome = soak(tmp_path, "run", str(path), "--json")
    assert outcome.code in (0, 3, 4), outcome.show()  # too short for each criterion; 4: too busy to measure on
    assert outcome.causes() == set(), outcome.show()
    account = outcome.verdict["validity"]
    assert account["balanced"]
    assert account["done"] > 2_000
    assert account["failed"] == 0, outcome.show()  # each answer was the one that the scenario expects
    asked = outcome.verdict["latency"]
    assert {"submit", "watch", "stop", "events", "unchanged", "a_run", "foreign", "nowhere"} <= asked.keys()
    assert asked["a_run"]["count"] > 20
