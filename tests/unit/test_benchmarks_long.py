"""What the long soak's table says: a driver that finds all well must be able to find it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.long.__main__ import kept, told

MIB = 2.0**20


def finding(cause: str, **more: Any) -> dict[str, Any]:
    eta = dict.fromkeys(("eta_s", "eta_low_s", "eta_high_s", "eta_limit"))
    rate = {"rate": 2 * MIB, "low": 1.8 * MIB, "high": 2.2 * MIB}  # bytes an hour
    return {"cause": cause, "severity": "fail"} | rate | eta | more


def verdict(candidate: list[dict[str, Any]], reference: list[dict[str, Any]]) -> dict[str, Any]:
    account = {"scheduled": 9, "done": 9, "balanced": True, "invalid_intervals": 0, "intervals": 9}
    return {"findings": candidate, "reference": {"findings": reference}, "validity": account}


def met(rows: list[Any]) -> dict[str, bool | None]:
    return {row.what: row.met for row in rows}


def test_a_leak_that_is_told_has_its_rate_and_its_time_left() -> None:
    leak = finding("object_leak", eta_s=36e4, eta_low_s=18e4, eta_high_s=None, eta_limit="the memory limit")
    rows = told(verdict([leak], []))
    assert not any(row.met is False for row in rows)
    (rate,) = [row for row in rows if row.what == "memory an hour"]
    assert (rate.value, rate.against) == ("2.00 MiB", "1.80 to 2.20 MiB")
    (left,) = [row for row in rows if row.what == "time left to the memory limit"]
    assert (left.value, left.against) == ("100 h", "50 h to never")


def test_a_leak_that_is_missed_or_called_something_else_is_not_met() -> None:
    assert met(told(verdict([], [])))["the leak: its cause"] is False
    assert met(told(verdict([finding("latency_drift")], [])))["the leak: its cause"] is False


def test_a_reference_that_is_blamed_is_not_met() -> None:
    assert met(told(verdict([finding("object_leak")], [finding("memory_growth")])))["what fails it"] is False


@pytest.mark.parametrize("hourly,flat", [(0.0, True), (0.005, True), (0.03, False), (0.10, False)])
def test_own_memory_that_grows_is_not_met(hourly: float, flat: bool) -> None:
    t = np.arange(0, 5400, 15.0)
    noise = np.random.default_rng(1).normal(0, 0.5, len(t))
    held = 300 * (1 + hourly * t / 3600) + noise
    own = [(at, {"soak.cli": mib, "soak.probe": 20.0}) for at, mib in zip(t, held, strict=True)]
    own[-1][1]["soak.report"] = 90.0  # comes in when the run is over
    whole, run, probe = kept(own)
    assert whole.met is flat
    assert (run.met, probe.met) == (None, None)
    assert probe.value == "20.0 MiB"
