"""A leaking candidate beside a healthy reference, and what a judge would say of them; nothing is random."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from importlib import resources
from statistics import NormalDist
from typing import Any

import numpy as np

from soak.core.histogram import Histogram, index_of
from soak.core.records import Event, Phase, Recording, Series, SideRecording, Tally, Window
from soak.core.scenario import Scenario
from soak.core.verdict import Comparison, CriterionResult, Finding, Percentiles, SideVerdict, Validity, Verdict

MIB = 1024.0 * 1024.0
ODD = "</script><b>odd</b> | `x` @all \x1b[31m & \"q\" 'é'"
ENDPOINTS = ("browse", "buy", ODD)
SOAK_S = 7200.0
STARTED = 1_767_225_600.0
_WINDOW_S = 40.0
_STEP_S = 5.0
_BEGIN, _SOAK, _DRAIN = 60.0, 360.0, 360.0 + SOAK_S
END = _DRAIN + 12.0 + 300.0
_SHAPE = np.exp(0.35 * np.array([NormalDist().inv_cdf((i + 0.5) / 400) for i in range(400)]))
"""400 latencies of a log-normal distribution around 1."""

SCENARIO_TEXT = "name: checkout\nload:\n  rate: 200/s  # <b>not bold</b>\n"


def scenario() -> Scenario:
    """The scenario of the run, with a name that a scenario may not have: those of a locustfile are its own."""
    plain = Scenario.model_validate(
        {
            "name": "checkout",
            "target": {"url": "http://127.0.0.1:8000", "process": {"command": "shop --port 8000"}},
            "reference": {"url": "http://127.0.0.1:8001", "process": {"command": "shop-old --port 8001"}},
            "load": {
                "rate": "200/s",
                "requests": [
                    {"name": "browse", "get": "/"},
                    {"name": "buy", "post": "/cart", "json": {"item": 7}},
                    {"name": "odd", "get": "/odd"},
                ],
            },
            "phases": {"idle_before": "1m", "warmup": "5m", "soak": "2h", "idle_after": "5m"},
            "criteria": [
                {"metric": "errors.ratio", "below": "1%"},
                {"metric": "latency.p99", "endpoint": "odd", "below": "50ms"},
                {"metric": "latency.p999", "endpoint": "browse", "growth_below": "10%"},
                {"metric": "memory.rss", "growth_below": "1 MiB/h"},
                {"metric": "stack.headroom", "above": "50%"},
            ],
        }
    )
    requests = [r.model_copy(update={"name": ODD}) if r.name == "odd" else r for r in plain.load.requests]
    criteria = [c.model_copy(update={"endpoint": ODD}) if c.endpoint == "odd" else c for c in plain.criteria]
    load = plain.load.model_copy(update={"requests": requests})
    return plain.model_copy(update={"load": load, "criteria": criteria})


def histogram(middle: float, spread: float = 0.0) -> Histogram:
    """400 latencies around `middle` seconds."""
    slots = [index_of(max(1, int(v * 1e6))) for v in middle * _SHAPE ** (1 + spread)]
    index, counts = np.unique(np.array(slots, np.int64), return_counts=True)
    return Histogram(index, counts.astype(np.int64))


def side(leak_per_h: float, drift: float, failing: bool) -> SideRecording:
    """One side; `drift` is how much slower the odd endpoint is at the end."""
    windows: dict[Any, list[Window]] = {}
    tallies = []
    for i, start in enumerate(np.arange(_BEGIN, _DRAIN, _WINDOW_S)):
        share = max(0.0, (start - _SOAK) / SOAK_S)
        wave = 1 + 0.05 * np.sin(i)
        for k, endpoint in enumerate(ENDPOINTS):
            middle = (0.004, 0.009, 0.012 * (1 + drift * share))[k] * wave
            for clock, factor in (("latency", 1.0), ("service", 0.8)):
                key = (endpoint, "ok", clock)
                windows.setdefault(key, []).append(Window(start, _WINDOW_S, histogram(middle * factor, 0.3 * share)))
        bad = int(40 * share) if failing else 0
        tallies.append(
            Tally("candidate", "worker-0", i, start, _WINDOW_S, 8000, 8000 - bad, bad, 0, 0, 0,
                  0.002, 0.006 + 0.002 * np.cos(i), 0.001, 0.004, 0.21, 60_000_000, 2)
        )  # fmt: skip
        if bad:
            windows.setdefault(("buy", "failed", "latency"), []).append(Window(start, _WINDOW_S, histogram(0.002)))
    t = np.arange(0.0, END, _STEP_S)
    load = np.clip((t - _BEGIN) / 60, 0, 1)
    leaked = np.clip((t - _BEGIN) / 3600, 0, (_DRAIN - _BEGIN) / 3600) * leak_per_h
    ripple = 0.2 * MIB * np.sin(t / 37)
    rss = 120 * MIB + 30 * MIB * load + leaked + ripple
    rss = np.where((t > 4000) & (t < 4200), np.nan, rss)
    series = {
        "memory.rss": Series(t, rss),
        "memory.anon": Series(t, rss - 38 * MIB),
        "memory.pss": Series(t[::12], rss[::12] - 11 * MIB),
        "stack.high_water": Series(t, np.full_like(t, 132 * 1024.0)),
        "stack.limit": Series(t, np.full_like(t, 8 * MIB)),
        "process.threads": Series(t, 4 + 8 * np.round(load)),
        "process.fds": Series(t, 21 + np.round(50 * load)),
        "process.connections": Series(t, np.round(50 * load)),
        "process.cpu_seconds": Series(t, np.cumsum(0.02 + 0.6 * load) * _STEP_S),
    }
    return SideRecording(
        {k: tuple(v) for k, v in windows.items()}, tuple(tallies), series, {}, sum(y.scheduled for y in tallies)
    )


@cache
def recording() -> Recording:
    """Two hours of soak: the candidate leaks 24 MiB/h and slows down, the reference does neither."""
    t = np.arange(0.0, END, _STEP_S)
    return Recording(
        run="checkout-20260101-000000",
        scenario=scenario(),
        started=STARTED,
        phases=(
            Phase("idle_before", 0.0, _BEGIN),
            Phase("warmup", _BEGIN, _SOAK),
            Phase("soak", _SOAK, _DRAIN),
            Phase("drain", _DRAIN, _DRAIN + 12.0),
            Phase("idle_after", _DRAIN + 12.0, END),
        ),
        duration=END,
        finished=True,
        sides={"candidate": side(24 * MIB, 1.5, True), "reference": side(0.0, 0.0, False)},
        host={
            "host.cpu": Series(t, 0.35 + 0.05 * np.sin(t / 100)),
            "host.steal": Series(t, np.where((t > 5000) & (t < 5300), 0.08, 0.0)),
        },
        events=(
            Event(0.0, "phase", None, "idle_before", {"name": "idle_before"}),
            Event(
                3000.0,
                "error_sample",
                "candidate",
                "buy: 503 <Service Unavailable>",
                {"endpoint": "buy", "error": "HTTP 503 <Service Unavailable>", "count": 41},
            ),
            Event(5600.0, "restart", "candidate", "worker 4712 was replaced"),
        ),
        provenance={
            "soak": "0.1.0",
            "host": "bench-1",
            "packages": {"locust": "2.43.4"},
            "commands": {"candidate": "shop --port 8000"},
            "git_revision": None,
            "scenario_text": SCENARIO_TEXT,
        },
    )


def alone() -> Recording:
    """The same run without its reference."""
    return replace(recording(), sides={"candidate": recording().sides["candidate"]})


def percentiles(scale: float, failed: int = 0) -> Percentiles:
    """Percentiles of an endpoint whose median is `scale` ms."""
    return Percentiles(scale, 1.6 * scale, 2.4 * scale, 3.1 * scale, 3.9 * scale, 251.3 * scale, 480_000, failed)


MEMORY = Finding(
    cause="memory_growth",
    metric="memory.anon",
    endpoint=None,
    severity="fail",
    title="memory grows by 24.1 MiB/h (23.8 MiB/h to 24.4 MiB/h)",
    rate=24.1 * MIB,
    rate_unit="bytes/h",
    low=23.8 * MIB,
    high=24.4 * MIB,
    eta_s=42.5 * 3600,
    eta_low_s=41.9 * 3600,
    eta_high_s=43.2 * 3600,
    eta_limit="the container limit of 1 GiB",
    evidence=("the floor of anonymous memory rose from 112 MiB to 160 MiB", "that is 35 B for each request done"),
    advice="Compare two heap snapshots some minutes apart under this load.",
    start=_SOAK,
    end=_DRAIN,
)
DRIFT = Finding(
    cause="latency_drift",
    metric="latency.p99",
    endpoint=ODD,
    severity="fail",
    title=f"p99 of {ODD} grows: 29 ms to 86 ms over the soak (197 %)",
    rate=0.0285,
    rate_unit="s/h",
    low=0.027,
    high=0.030,
    evidence=("fitted over 60 windows of merged histograms",),
    advice="Profile the endpoint at the end of a soak and at its start.",
    start=_SOAK,
    end=_DRAIN,
)
RESTART = Finding(
    cause="restart",
    metric="process.restarts",
    endpoint=None,
    severity="warning",
    title="processes of the target were replaced under load (1 times)",
    evidence=("worker 4712 was replaced",),
    advice="Read the target's log at these times.",
    start=5600.0,
    end=5600.0,
)
CACHE = Finding(
    cause="cache_fill",
    metric="memory.anon",
    endpoint=None,
    severity="info",
    title="memory grew and levels off, as a cache that fills does",
    advice="Nothing to mend.",
    start=_SOAK,
    end=_DRAIN,
)


def criteria() -> tuple[CriterionResult, ...]:
    """Results as a judge words them, for the criteria of `scenario`."""
    _, odd, p999, memory, stack = scenario().criteria
    return (
        CriterionResult("errors.ratio", "browse", "pass", 0.0, 0.0, 0.00012, 0.01, "ratio",
                        "0 % (0 % to 0.012 %)", "errors.ratio below 1% (browse)"),
        CriterionResult("latency.p99", ODD, "fail", 0.061, 0.0604, 0.0617, 0.05, "s",
                        "61 ms (60.4 ms to 61.7 ms) is not below the limit", odd.text()),
        CriterionResult("latency.p999", "browse", "inconclusive", 0.08, -0.02, 0.18, 0.1, "ratio",
                        "8 % over the soak (-2 % over the soak to 18 % over the soak): noise hides whether that is "
                        "below the limit; run 3 h more to settle it", p999.text()),
        CriterionResult("memory.rss", None, "fail", 24.1 * MIB, 23.8 * MIB, 24.4 * MIB, MIB, "bytes",
                        "24.1 MiB/h (23.8 MiB/h to 24.4 MiB/h)", memory.text()),
        CriterionResult("stack.headroom", None, "pass", 0.984, 0.984, 0.984, 0.5, "ratio", "98.4 %", stack.text()),
    )  # fmt: skip


def comparison() -> tuple[Comparison, ...]:
    """The candidate against the reference, one row of each kind."""
    return (
        Comparison("latency.p50", "browse", 0.00401, 0.004, "s", 1.0025, 0.998, 1.007, 0.3, 60, "same"),
        Comparison("latency.p99", ODD, 0.0217, 0.0121, "s", 1.79, 1.7, 1.88, 1e-9, 60, "worse"),
        Comparison("errors.ratio", "buy", 0.0026, 0.0, "ratio", math.inf, 80.0, math.inf, 1e-9, 60, "worse"),
        Comparison("memory.anon", None, 130 * MIB, 112 * MIB, "bytes", 1.16, 1.02, 1.31, 0.03, 24, "unclear"),
        Comparison("cpu.per_request", None, 0.002, 0.0025, "s", 0.8, 0.79, 0.81, 1e-9, 60, "better"),
        Comparison("allocations.per_request", None, 900.0, None, "count", None, None, None, None, 0, "unclear",
                   "allocations.per_request of the reference was not seen"),
    )  # fmt: skip


def verdict(**changes: Any) -> Verdict:
    """The verdict on `recording`; `changes` replace its fields."""
    validity = Validity(1_500_000, 1_496_150, 3_850, 0, 0, 180, 1, ())
    latency = {"browse": percentiles(4.01), "buy": percentiles(9.02, 3_850), ODD: percentiles(21.7)}
    service = {"browse": percentiles(3.2), "buy": percentiles(7.2), ODD: percentiles(17.4)}
    calm = {"browse": percentiles(4.0), "buy": percentiles(9.0), ODD: percentiles(12.1)}
    made = Verdict(
        run="checkout-20260101-000000",
        scenario="checkout",
        verdict="fail",
        headline=f"FAIL: {MEMORY.title} (and 3 more)",
        reasons=(MEMORY.title, DRIFT.title),
        interrupted=False,
        soak_s=SOAK_S,
        criteria=criteria(),
        candidate=SideVerdict((MEMORY, DRIFT, RESTART), validity, latency, service),
        reference=SideVerdict((CACHE,), replace(validity, done=1_500_000, failed=0), calm, service),
        comparison=comparison(),
        notes=("the reference is calm | and <well>",),
    )
    return replace(made, **changes)


def passed() -> Verdict:
    """A pass without a reference and without findings."""
    own = verdict().candidate
    good = tuple(c for c in criteria() if c.result == "pass")
    return verdict(
        verdict="pass",
        headline="PASS: all 2 criteria hold, and nothing grows that matters",
        reasons=(),
        criteria=good,
        candidate=replace(own, findings=()),
        reference=None,
        comparison=(),
        notes=(),
    )


def schema(of: str) -> dict[str, Any]:
    """The JSON Schema that is shipped for a `verdict` or a `comparison`."""
    loaded: dict[str, Any] = json.loads((resources.files("soak.report") / f"{of}.schema.json").read_text())
    return loaded
