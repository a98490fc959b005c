"""The present state of what an observer watches, in Prometheus' text format.

Names follow its conventions (https://prometheus.io/docs/practices/naming/): base units, `_total` on what only rises.
A value is shown until a newer one comes, since costly looks are rare, but not beyond the life of the service.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from time import process_time, time

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from soak.core.exposition import RISING, exposed, meaning
from soak.core.records import Event, Sample
from soak.probe.message import TARGET


class Present:
    """The last values that were seen of the target's tree and of its host, and how often what happened."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {"host": {}, TARGET: {}}
        self._happened: Counter[str] = Counter()
        self._looks = 0
        self._looked = 0.0
        self._lock = threading.Lock()
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.alive = False
        """Whether the target was there at the last look."""

    def see(self, samples: Sequence[Sample], events: Iterable[Event]) -> None:
        """Take in a look."""
        with self._lock:
            self._looks += 1
            self._looked = time()
            alive = any("process.processes" in s.values for s in samples if s.source == TARGET)
            renewed = False
            for event in events:
                self._happened[event.kind] += 1
                renewed = renewed or event.kind in ("restart", "target_exit")
            if renewed or not alive:
                self._values[TARGET] = {}
            self.alive = alive
            for sample in samples:
                if sample.source in self._values:
                    self._values[sample.source].update(sample.values)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The text, in the format that the `Accept` header of a scraper asks for, and its content type."""
        encode, kind = choose_encoder(accept)
        return encode(self._registry), kind

    def collect(self) -> Iterator[Metric]:
        """The values as prometheus_client's registry asks for them."""
        with self._lock:
            values = {**self._values["host"], **self._values[TARGET]}
            happened, looks, looked, alive = dict(self._happened), self._looks, self._looked, self.alive
        yield GaugeMetricFamily("soak_target_up", "whether the watched process is there", value=float(alive))
        yield CounterMetricFamily("soak_observer_looks", "looks taken", value=looks)
        name = "soak_observer_heartbeat_timestamp_seconds"
        yield GaugeMetricFamily(name, "when it last looked", value=looked)
        yield CounterMetricFamily("soak_observer_cpu_seconds", "CPU time of the observer itself", value=process_time())
        events = CounterMetricFamily("soak_observer_events", "what happened, by its kind", labels=["kind"])
        for kind, count in sorted(happened.items()):
            events.add_metric([kind], count)
        yield events
        for name, value in sorted(values.items()):
            yield _family(name, value)


def _family(name: str, value: float) -> Metric:
    family = CounterMetricFamily if name in RISING else GaugeMetricFamily
    return family(exposed(name), meaning(name), value=value)
