"""The charts of a run: latency, rate, memory, stack, handles, CPU, the instrument and the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from soak.core import units
from soak.core.bins import Bins, rate
from soak.core.records import Clock, Recording, Series, SideRecording, Tally, Window
from soak.report.chart import Chart, Style, Trace

_LATENCIES: tuple[tuple[str, float, Clock, Style], ...] = (
    ("p50", 50.0, "latency", "dot"),
    ("p99", 99.0, "latency", "solid"),
    ("p99.9", 99.9, "latency", "dash"),
    ("p99 service", 99.0, "service", "thin"),
)
_CPU_POINTS = 480
_HEAP = "As agents inside or a door of the target's own tell it: what the program holds, and what is free but kept."


def charts(recording: Recording) -> list[Chart]:
    """Every chart that has something to show, in the order of the page."""
    made = [
        _latency(recording),
        _rate(recording),
        _probed(
            recording,
            Chart("memory", "Memory", "bytes", (), ("memory",), "Of the whole process tree."),
            (
                ("memory.rss", "resident", "solid"),
                ("memory.anon", "anonymous", "dash"),
                ("memory.pss", "proportional", "points"),
            ),
        ),
        _probed(
            recording,
            Chart("heap", "Inside the heap", "bytes", (), ("memory",), _HEAP),
            (
                ("memory.live", "live", "solid"),
                ("memory.free_in_heap", "free between", "dash"),
                ("memory.retained", "free pages", "dot"),
                ("memory.pymalloc_slack", "free in Python's arenas", "thin"),
            ),
        ),
        _probed(
            recording,
            Chart("stack", "Stack", "bytes", (), ("stack",), "The deepest that stacks have been."),
            (
                ("stack.high_water", "main thread", "solid"),
                ("stack.thread_high_water", "fullest other thread", "dash"),
            ),
        ),
        _probed(
            recording,
            Chart("handles", "Threads, descriptors, connections", "count", (), ("process",), "Of the process tree."),
            (
                ("process.threads", "threads", "dot"),
                ("process.fds", "file descriptors", "solid"),
                ("process.connections", "connections", "dash"),
            ),
        ),
        _cpu(recording),
        _instrument(recording),
        _host(recording),
    ]
    return [chart for chart in made if any(np.isfinite(t.series.v).any() for t in chart.traces)]


def endpoints(recording: Recording) -> list[str]:
    """All endpoints and journeys of all sides, sorted."""
    return sorted({name for side in recording.sides.values() for name in side.endpoints + side.journeys})


def _named(recording: Recording, side: str, name: str) -> str:
    return f"{side} {name}" if len(recording.sides) > 1 else name


def _latency(recording: Recording) -> Chart:
    traces: list[Trace] = []
    everywhere = endpoints(recording)
    # "" stands for all of them merged; with one endpoint alone it would be the same picture twice
    wanted: list[str] = ["", *everywhere] if len(everywhere) > 1 else everywhere
    width, answers = 0.0, []
    for name, side in recording.sides.items():
        bins = Bins.over(w for windows in side.windows.values() for w in windows)
        width = max(width, bins.width) if bins.count else width
        for endpoint in wanted:
            for clock in ("latency", "service"):
                merged = bins.merge(_windows(side, endpoint, clock))
                answers += [h.total for h in merged if h.total]
                for label, q, of, style in _LATENCIES:
                    if of == clock:
                        values = np.array([h.percentile(q) for h in merged], np.float64)
                        label = _named(recording, name, label)
                        traces.append(Trace(label, name, style, Series(bins.middles, values), endpoint=endpoint))
    usual = float(np.median(answers)) if answers else 0.0
    caption = (
        f"Each point is a percentile of all answers within {units.duration(width)} (about {usual:,.0f} of them), from "
        "merged histograms. Time runs from the intended start of a request; the thin line is p99 from the actual send. "
        "A request that was given up at its timeout is in it with that time; one that failed otherwise is not."
    )
    return Chart("latency", "Latency", "time", tuple(traces), ("latency", "service"), caption, log=True)


def _windows(side: SideRecording, endpoint: str, clock: str) -> list[Window]:
    return [
        window
        for (name, outcome, of), windows in side.windows.items()
        if outcome != "failed"
        and (of == clock or (of == "journey" and clock == "latency" and endpoint))
        and endpoint in ("", name)
        for window in windows
    ]


def _rate(recording: Recording) -> Chart:
    traces = []
    fields: tuple[tuple[str, Style, str], ...] = (
        ("scheduled", "dot", "muted"),
        ("done", "solid", "side"),
        ("failed", "solid", "bad"),
        ("unserved", "dash", "warn"),
    )
    for name, side in recording.sides.items():
        bins = Bins.over(side.tallies)
        for field, style, tone in fields:
            series = bins.fold(side.tallies, rate(field))
            # both sides get the same arrivals: their schedule is drawn once
            if (field == "scheduled" and name != "candidate") or (tone in ("bad", "warn") and not np.nansum(series.v)):
                continue
            label = field if field == "scheduled" else _named(recording, name, field)
            style = "dash" if name != "candidate" and tone == "bad" else style
            traces.append(Trace(label, name, style, series, tone))  # type: ignore[arg-type]
    caption = "Arrivals a second: what the schedule asked for, and what became of it."
    return Chart("rate", "Rate", "rate", tuple(traces), ("throughput", "errors"), caption, from_zero=True)


def _probed(recording: Recording, empty: Chart, metrics: Sequence[tuple[str, str, Style]]) -> Chart:
    traces = tuple(
        Trace(_named(recording, name, label), name, style, side.series[metric])
        for name, side in recording.sides.items()
        for metric, label, style in metrics
        if metric in side.series
    )
    return Chart(empty.id, empty.title, empty.dimension, traces, empty.rooms, empty.caption)


def _cpu(recording: Recording) -> Chart:
    traces = []
    for name, side in recording.sides.items():
        series = side.series.get("process.cpu") or _cores(side.series.get("process.cpu_seconds"))
        if series is not None:
            traces.append(Trace(_named(recording, name, "process tree"), name, "solid", series))
    candidate = recording.sides.get("candidate")
    if candidate is not None:
        used = Bins.over(candidate.tallies).fold(candidate.tallies, _worst("cpu"))
        traces.append(Trace("generator, busiest worker", "generator", "dot", used, "other"))
    caption = "In cores. A generator worker near 1 core is at its limit."
    return Chart("cpu", "CPU", "count", tuple(traces), ("cpu",), caption, from_zero=True)


def _cores(seconds: Series | None) -> Series | None:
    """Cores used, from the cumulative CPU time; a counter that falls back belongs to another process."""
    if seconds is None or len(seconds) < 2:
        return None
    every = max(2, math.ceil(len(seconds) / _CPU_POINTS)) if len(seconds) > 3 else 1
    t, v = seconds.t[::every], seconds.v[::every]
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.diff(v) / np.diff(t)
    return Series((t[:-1] + t[1:]) / 2, np.where(used >= 0, used, np.nan))


def _worst(field: str) -> Callable[[Sequence[Tally]], float]:
    """The largest value of one field among tallies."""
    return lambda tallies: max(float(getattr(t, field)) for t in tallies)


def _instrument(recording: Recording) -> Chart:
    traces = []
    for name, side in recording.sides.items():
        bins = Bins.over(side.tallies)
        lag, wake = (bins.fold(side.tallies, _worst(f)) for f in ("lag_max", "wake_p99"))
        traces.append(Trace(_named(recording, name, "longest loop lag"), name, "solid", lag))
        traces.append(Trace(_named(recording, name, "p99 of sending late"), name, "dash", wake))
    caption = "How late the generator itself was. Latencies below this are below the instrument's floor."
    return Chart("instrument", "Generator", "time", tuple(traces), ("generator",), caption, from_zero=True)


def _host(recording: Recording) -> Chart:
    lines: tuple[tuple[str, str, Style], ...] = (("host.cpu", "busy", "solid"), ("host.steal", "stolen", "dash"))
    traces = [
        Trace(label, "host", style, recording.host[metric], "other")
        for metric, label, style in lines
        if metric in recording.host
    ]
    caption = "Share of all cores. Stolen time went to other machines on the same hardware."
    return Chart("host", "Host CPU", "ratio", tuple(traces), ("host",), caption, from_zero=True)
