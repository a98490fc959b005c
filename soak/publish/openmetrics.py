"""A run in hindsight, as OpenMetrics text with timestamps: `promtool tsdb create-blocks-from openmetrics` reads it.

Each window of the run's charts is one moment, at the window's end; timestamps are in seconds, and `# EOF` is the last
line (https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md). What is held of the run stands
once, at its end.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import Metric

from soak.core.bins import Bins
from soak.core.records import Recording
from soak.core.verdict import Verdict
from soak.publish.collect import About, Standing, tell_end, tell_run, tell_standing
from soak.publish.measured import Measured, Stretch
from soak.publish.names import FAMILIES
from soak.publish.page import Page

Labels = tuple[str, ...]


def openmetrics(recording: Recording, verdict: Verdict) -> str:
    """The whole run, family by family, with `# EOF` and no newline at its end."""
    reference = "beside" if "reference" in recording.sides else "earlier" if recording.scenario.reference else ""
    told = recording.provenance
    version, host = (str(told.get(key, "")) for key in ("soak", "host"))
    about = About(recording.scenario.name, recording.run, recording.started, version, host, reference)
    pages = list(_measured(recording)) or [(recording.started, Page())]
    for moment, page in pages:
        tell_run(page, about, "ended" if page is pages[-1][1] else "running", moment)
    end, last = pages[-1]
    tell_end(last, about.scenario, end, verdict.verdict, verdict.headline)
    tell_standing(last, about.scenario, Standing(end, verdict.to_json()))
    found: dict[str, dict[Labels, list[str]]] = {}
    for moment, page in pages:
        for metric in page.metrics():
            of = found.setdefault(metric.name, {})
            for labels, line in _lines(metric, moment):
                of.setdefault(labels, []).append(line)
    text = []
    for family in FAMILIES.values():
        if family.name in found:
            text += [f"# TYPE {family.name} {family.kind}", f"# HELP {family.name} {family.help}"]
            text += [line for lines in found[family.name].values() for line in lines]
    return "\n".join([*text, "# EOF"])


def _measured(recording: Recording) -> Iterator[tuple[float, Page]]:
    """When each window of the run ended (s since 1970), and what there was then.

    Before, after and without load there are no windows of it, but there is a target: these stretches are as long.
    """
    bins = Bins.over(w for side in recording.sides.values() for of in side.windows.values() for w in of)
    width = bins.width if bins.count else max(1.0, recording.duration / 240)
    measured = Measured(recording)
    start = bins.start - width * int(bins.start / width)
    previous = 0.0
    while start < recording.duration:
        end = start + width
        now = min(end, recording.duration)
        page = Page()
        measured.tell(page, Stretch(start, end, now, previous))
        yield recording.wall(now), page
        start, previous = end, now


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')  # a page has no label with a line break


def _lines(metric: Metric, moment: float) -> Iterator[tuple[Labels, str]]:
    """A line for each sample, and the labels of the point that it is of: all quantiles, or all buckets, are one."""
    for sample in metric.samples:
        labels = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels.items())
        point = tuple(value for key, value in sample.labels.items() if key not in ("quantile", "le"))
        yield point, f"{sample.name}{{{labels}}} {sample.value:.10g} {moment:.3f}"
