"""A page of samples: only names of the list, with all their labels, each series once.

One duplicate, or one label too few, and a scraper throws the whole page away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric

from soak.core.histogram import Histogram, highest_equivalent
from soak.publish.names import FAMILIES, Family

_LONGEST = 400
"""Characters of the value of a label: the advice of a finding is the longest."""
BOUNDS: tuple[float, ...] = tuple(2 ** (i / 4) for i in range(-52, 25))
"""Upper bounds of the buckets (s): by 2^(1/4) from 122 us to 64 s. Read from them, a quantile is within 19 %."""
_LE = tuple(repr(float(f"{bound:.6g}")) for bound in BOUNDS)


class Page:
    """Samples by name and labels."""

    def __init__(self) -> None:
        self._samples: dict[str, dict[tuple[str, ...], float]] = {}
        self._histograms: dict[tuple[str, ...], Histogram] = {}

    def add(self, name: str, labels: Sequence[str], value: float | None) -> None:
        """Add a sample, unless there is no value, or that series is there already."""
        family = FAMILIES[name]
        if len(labels) != len(family.labels):
            raise ValueError(f"{name} has the labels {family.labels}, got {labels}")
        if value is not None and value == value:  # not NaN
            self._samples.setdefault(name, {}).setdefault(tuple(map(shown, labels)), float(value))

    def choose(self, name: str, labels: Sequence[str], values: Iterable[str], which: str | None) -> None:
        """Add a state: 1 for the value that holds, 0 for the others."""
        for value in values:
            self.add(name, [*labels, value], float(value == which))

    def histogram(self, labels: Sequence[str], found: Histogram) -> None:
        """Add the latencies of an endpoint so far."""
        self._histograms.setdefault(tuple(map(shown, labels)), found)

    def take(self, other: Page) -> None:
        """Add all of another page."""
        for name, found in other._samples.items():
            for labels, value in found.items():
                self._samples.setdefault(name, {}).setdefault(labels, value)
        for labels, one in other._histograms.items():
            self._histograms.setdefault(labels, one)

    def samples(self, name: str) -> Mapping[tuple[str, ...], float]:
        """What was added under a name, by its labels."""
        return self._samples.get(name, {})

    def histograms(self) -> Mapping[tuple[str, ...], Histogram]:
        """Latencies so far, by scenario, side and endpoint."""
        return self._histograms

    def metrics(self) -> Iterator[Metric]:
        """All of them as prometheus_client writes them out, in the order of the list."""
        for family in FAMILIES.values():
            if family.kind == "histogram":
                if self._histograms:
                    yield _histogram(family, self._histograms)
            elif found := self._samples.get(family.name):
                made = Metric(family.name, family.help, family.kind)
                for labels, value in found.items():
                    made.add_sample(family.sample, dict(zip(family.labels, labels, strict=True)), value)
                yield made


def shown(value: str) -> str:
    """The value of a label: one line of bounded length."""
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def buckets(found: Histogram) -> list[tuple[str, float]]:
    """Cumulative counts by upper bound (s), with +Inf at last."""
    upper = highest_equivalent(found.index) / 1e6
    cumulative = [0, *found.counts.cumsum().tolist()]
    at = upper.searchsorted(BOUNDS, side="right").tolist()
    return [*((le, float(cumulative[i])) for le, i in zip(_LE, at, strict=True)), ("+Inf", float(found.total))]


def _histogram(family: Family, found: Mapping[tuple[str, ...], Histogram]) -> Metric:
    made = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, one in found.items():
        made.add_metric(labels, buckets(one), one.mean * one.total if one.total else 0.0)
    return made
