"""A run in hindsight, as text. That Prometheus gives back the p99 of the report is in tests/e2e/test_prometheus.py."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace

import numpy as np
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from soak.core.records import Recording
from soak.judge import judge
from soak.publish.openmetrics import openmetrics
from soak.report.charts import charts
from tests import making

Told = dict[tuple[str, str], list[tuple[float, float]]]
"""By name and labels as they are written: times (s) and values, in the order of the text."""


def told(recording: Recording) -> str:
    return openmetrics(recording, judge(recording)) + "\n"


def lines(text: str) -> Told:
    found: Told = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value, moment = re.fullmatch(r"(\w+)\{(.*)\} (\S+) (\d+\.\d{3})", line).groups()  # type: ignore[union-attr]
            found.setdefault((name, labels), []).append((float(moment), float(value)))
    return found


def test_every_series_is_in_seconds_and_in_order() -> None:
    recording = making.recording()
    for series in lines(told(recording)).values():
        times = [moment for moment, _ in series]
        assert all(a < b for a, b in itertools.pairwise(times))
        assert recording.started < times[0] <= times[-1] <= recording.started + recording.duration + 1e-3


def test_a_strict_parser_takes_it() -> None:
    """Of each series the first point: the parser of prometheus_client drops later ones of summaries and histograms."""
    text = told(making.recording())
    assert text.endswith("\n# EOF\n")
    seen: set[str] = set()
    kept = []
    for line in text.splitlines():
        series = line if line.startswith("#") else line.partition("} ")[0]
        if series not in seen:
            seen.add(series)
            kept.append(line)
    families = {f.name: f.type for f in parsed("\n".join([*kept, ""]))}
    assert families["soak_latency_seconds"] == "summary"
    assert families["soak_request_seconds"] == "histogram"
    assert families["soak_arrivals"] == "counter"


def test_the_points_of_a_series_stand_together() -> None:
    """OpenMetrics asks for it: all of one set of labels, time after time, then the next one."""
    groups = [
        re.sub(r',?(quantile|le)="[^"]*"', "", line.partition("} ")[0]).replace("_bucket{", "{").replace("_count{", "{")
        for line in told(making.recording()).splitlines()
        if line.startswith(("soak_latency_seconds", "soak_request_seconds", "soak_run_state"))
    ]
    runs = [group.replace("_sum{", "{") for group in groups]
    assert len([k for k, _ in itertools.groupby(runs)]) == len(set(runs))


def test_its_p99_is_that_of_the_chart_at_the_end_of_each_window() -> None:
    recording = making.recording()
    found = lines(told(recording))
    p99 = 'scenario="made",side="candidate",endpoint="browse",quantile="0.99"'
    samples = {round(moment - recording.started, 3): value for moment, value in found["soak_latency_seconds", p99]}
    traces = [t for c in charts(recording) if c.id == "latency" for t in c.traces if t.name.endswith("p99")]
    (trace,) = [t for t in traces if t.endpoint == "browse"]
    half = float(trace.series.t[1] - trace.series.t[0]) / 2
    for t, value in zip(trace.series.t, trace.series.v, strict=True):
        if np.isfinite(value):
            assert abs(samples[round(float(t) + half, 3)] - value) < 1e-9
    assert len(samples) >= 120


def test_what_is_held_stands_at_the_end_and_once() -> None:
    recording = making.recording()
    found = lines(told(recording))
    held = {labels: series for (name, labels), series in found.items() if name == "soak_run_verdict"}
    end = round(recording.wall(recording.duration), 3)
    assert all(len(series) == 1 and series[0][0] == end for series in held.values())
    assert [labels for labels, ((_, value),) in held.items() if value] == [
        f'scenario="made",result="{judge(recording).verdict}"'
    ]
    assert [value for _, value in found["soak_run_state", 'scenario="made",state="ended"']][-2:] == [0, 1]


def test_a_run_without_anything_in_it_is_told_all_the_same() -> None:
    whole = making.recording()
    side = replace(whole.sides["candidate"], windows={}, tallies=(), series={}, processes={})
    empty = replace(whole, sides={"candidate": side}, host={}, phases=(), duration=0.0, provenance={}, finished=False)
    families = {name for name, _ in lines(told(empty))}
    assert "soak_run_info" in families
    assert "soak_latency_seconds" not in families
