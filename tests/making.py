"""Synthetic recordings with a known truth, for the tests of judge and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from soak.core.histogram import Recorder
from soak.core.records import (
    Event,
    Phase,
    Recording,
    Series,
    SideRecording,
    Tally,
    Window,
)
from soak.core.scenario import Scenario

MIB = 1024.0 * 1024.0
Shape = Callable[[np.ndarray], np.ndarray]


def scenario(**changes: Any) -> Scenario:
    """A small valid scenario; `changes` replace top-level keys of its YAML form."""
    document: dict[str, Any] = {
        "name": "made",
        "target": {"url": "http://127.0.0.1:8000", "process": {"command": "server"}},
        "load": {"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]},
        "phases": {"idle_before": "5s", "warmup": "10s", "soak": "120s", "idle_after": "5s"},
        "criteria": [{"metric": "errors.ratio", "below": "1%"}],
    }
    return Scenario.model_validate(document | changes)


def side(
    spec: Scenario,
    *,
    latency: Shape = lambda t: np.full_like(t, 0.005),
    sigma: float = 0.3,
    series: Mapping[str, Shape] | None = None,
    failed_share: Shape = lambda t: np.zeros_like(t),
    lag_max: float = 0.005,
    until: float | None = None,
    seed: int = 1,
) -> SideRecording:
    """One side: log-normal latencies around `latency(t)`, and probe series by shape over time."""
    rng = np.random.default_rng(seed)
    begin = spec.phases.idle_before
    stop = min(begin + spec.load_s, until if until is not None else np.inf)
    rate = spec.load.rate or 100.0
    step = spec.interval_s
    windows: dict[Any, list[Window]] = {}
    tallies = []
    for i, start in enumerate(np.arange(begin, stop, step)):
        n = int(rate * step)
        share = float(failed_share(np.array([start]))[0])
        bad = int(rng.binomial(n, share))
        for outcome, count in (("ok", n - bad), ("failed", bad)):
            if not count:
                continue
            for clock in ("latency", "service"):
                recorder = Recorder()
                middle = float(latency(np.array([start + step / 2]))[0])
                for value in middle * np.exp(sigma * rng.standard_normal(count)):
                    recorder.record(float(value))
                windows.setdefault(("browse", outcome, clock), []).append(Window(float(start), step, recorder.take()))
        tallies.append(
            Tally("candidate", "worker-0", i, float(start), step, n, n - bad, bad, 0, 0, 0,
                  0.002, lag_max, 0.001, 0.004, 0.1, 50_000_000, 1)
        )  # fmt: skip
    end = stop + 1 + spec.phases.idle_after
    t = np.arange(0.0, end, spec.probe.every)
    shapes: dict[str, Shape] = {
        "memory.rss": lambda t: 50 * MIB + rng.normal(0, 0.02 * MIB, len(t)),
        "memory.anon": lambda t: 40 * MIB + rng.normal(0, 0.02 * MIB, len(t)),
        "stack.high_water": lambda t: np.full_like(t, 132 * 1024.0),
        "stack.limit": lambda t: np.full_like(t, 8 * MIB),
        "process.threads": lambda t: np.full_like(t, 4.0),
        "process.fds": lambda t: np.full_like(t, 20.0),
        "process.connections": lambda t: np.full_like(t, 10.0),
        "process.processes": lambda t: np.full_like(t, 1.0),
        "process.restarts": lambda t: np.zeros_like(t),
        "process.cpu_seconds": lambda t: 0.2 * t,
        **(series or {}),
    }
    made = {name: Series(t, shape(t)) for name, shape in shapes.items()}
    return SideRecording(
        windows={k: tuple(v) for k, v in windows.items()},
        tallies=tuple(tallies),
        series=made,
        processes={"4711@88": made},
        scheduled=sum(x.scheduled for x in tallies),
    )


def recording(
    spec: Scenario | None = None,
    candidate: SideRecording | None = None,
    reference: SideRecording | None = None,
    events: tuple[Event, ...] = (),
    finished: bool = True,
) -> Recording:
    """A finished run of `candidate` (healthy if not given), with all phases in place."""
    spec = spec or scenario()
    at, phases = 0.0, []
    lengths = {
        "idle_before": spec.phases.idle_before,
        "warmup": spec.phases.warmup_s,
        "soak": spec.phases.soak,
        "drain": 1.0,
        "idle_after": spec.phases.idle_after,
    }
    for name, length in lengths.items():
        if length:
            phases.append(Phase(name, at, at + length))  # type: ignore[arg-type]
            at += length
    sides = {"candidate": candidate or side(spec)}
    if reference is not None:
        sides["reference"] = reference
    t = np.arange(0.0, at, 1.0)
    return Recording(
        run="made-20260101-000000",
        scenario=spec,
        started=1_767_225_600.0,
        phases=tuple(phases),
        duration=at,
        finished=finished,
        sides=sides,
        host={
            "host.cpu": Series(t, np.full_like(t, 0.3)),
            "host.steal": Series(t, np.zeros_like(t)),
            "host.memory_available": Series(t, np.full_like(t, 8e9)),
        },
        events=events,
        provenance={"soak": "0.1.0", "host": "made"},
    )
