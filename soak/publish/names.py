"""Every name that soak gives to Prometheus: its kind, its labels and what it means.

Names follow Prometheus' conventions (https://prometheus.io/docs/practices/naming/): base units, `_total` on what only
rises. They are a contract: dashboards and alerts are written against them. `run_id` stands on `soak_run_info` alone,
so that a series goes on from run to run and a year of nights stays a few hundred series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from soak.core.exposition import RISING, exposed, meaning
from soak.core.metrics import METRICS, ONCE

Kind = Literal["gauge", "counter", "summary", "histogram"]
Room = Literal["run", "load", "target", "generator", "judge", "daemon", "exporter"]

ALL = "(all)"
"""The endpoint that stands for all of them merged: percentiles cannot be summed up by whoever reads them."""
MORE = "(more endpoints)"
"""The endpoint that those beyond the limit are counted under."""
MORE_SCENARIOS = "(more scenarios)"
"""The scenario that runs are counted under of which nothing is shown: those of scenarios beyond the limit."""
QUANTILES: Mapping[str, float] = {"0.5": 50.0, "0.9": 90.0, "0.99": 99.0, "0.999": 99.9, "0.9999": 99.99, "1.0": 100.0}
"""The label of a quantile, and its percentile. 1.0 is the maximum; Prometheus 3 would make 1.0 of 1."""
STATES = ("running", "ended", "lost")
PHASES = ("idle_before", "warmup", "soak", "burst", "recovery", "drain", "idle_after", "end")
SEVERITIES = ("fail", "warning", "info")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: its name (a counter's without `_total`), labels, and its meaning."""

    name: str
    kind: Kind
    room: Room
    labels: tuple[str, ...]
    help: str

    @property
    def sample(self) -> str:
        """The name that its samples have, and that queries use."""
        suffix = {"counter": "_total", "histogram": "_bucket"}.get(self.kind, "")
        return self.name + suffix


_RUN = ("scenario",)
_SIDE = ("scenario", "side")
_ENDPOINT = ("scenario", "side", "endpoint")
_QUANTILE = (*_ENDPOINT, "quantile")
_CRITERION = ("scenario", "criterion", "metric", "endpoint")
_FINDING = ("scenario", "side", "cause", "metric", "endpoint")
_COMPARED = ("scenario", "metric", "endpoint")

PROBED: tuple[str, ...] = (
    *(m for m in METRICS if m.startswith(("memory.", "stack.", "redis.", "go.", "jvm.")) and m not in ONCE),
    "memory.limit",
    "stack.limit",
    "stack.thread_limit",
    "stack.depth_limit",
    "process.cpu_seconds",
    "process.minor_faults",
    "process.major_faults",
    "process.restarts",
    "process.threads",
    "process.threads_limit",
    "process.fds",
    "process.fds_limit",
    "process.connections",
    "process.processes",
    "process.zombies",
    "cpu.per_request",
    "allocations.per_request",
    "allocations.bytes_per_request",
)
"""What is told of each side's target, by the names of the run file."""
HOST: tuple[str, ...] = (*(m for m in METRICS if m.startswith("host.")), "host.memory_total")


def _gauge(room: Room, name: str, labels: tuple[str, ...], help: str) -> Family:
    return Family(name, "gauge", room, labels, help)


def _counter(room: Room, name: str, labels: tuple[str, ...], help: str) -> Family:
    return Family(name, "counter", room, labels, help)


def _seen(room: Room, name: str, labels: tuple[str, ...]) -> Family:
    return Family(exposed(name), "counter" if name in RISING else "gauge", room, labels, meaning(name))


_ALL = [
    _gauge("run", "soak_run_info", ("scenario", "run_id", "version", "host", "reference"),
           "1 for the run that the series of a scenario are of"),
    _gauge("run", "soak_run_state", ("scenario", "state"),
           "1 for the state of the run: running, ended, or lost (nobody writes its file any more)"),
    _gauge("run", "soak_run_phase", ("scenario", "phase"), "1 for the phase that the run is in"),
    _gauge("run", "soak_run_verdict", ("scenario", "result"),
           "1 for the verdict of a run that has ended; all 0 before"),
    _gauge("run", "soak_run_headline_info", ("scenario", "headline"),
           "1 for the headline of a verdict; absent before the end"),
    _gauge("run", "soak_run_start_timestamp_seconds", _RUN, "when the run began"),
    _gauge("run", "soak_run_end_timestamp_seconds", _RUN, "when the run ended; absent before"),
    _gauge("run", "soak_run_heartbeat_timestamp_seconds", _RUN, "when something was last measured"),
    _gauge("run", "soak_run_planned_seconds", _RUN, "length of the soak phase by the scenario"),
    _gauge("run", "soak_run_soaked_seconds", _RUN, "length of the soak phase so far"),
    _counter("run", "soak_events", ("scenario", "kind"), "what happened in the run, by its kind"),
    _counter("load", "soak_arrivals_scheduled", _SIDE, "arrivals that fell due"),
    _counter("load", "soak_arrivals", (*_SIDE, "outcome"),
             "arrivals by what became of them: done, failed, unserved (no free slot in time) or lost"),
    _counter("load", "soak_requests", (*_ENDPOINT, "outcome"), "requests answered: ok, failed or timeout"),
    _gauge("load", "soak_window_seconds", _RUN, "length of the window that quantiles and ratios are of"),
    _gauge("load", "soak_window_requests", _ENDPOINT, "requests in that window, failed ones included"),
    Family("soak_latency_seconds", "summary", "load", _QUANTILE,
           "exact quantiles of the window from the intended start of a request; never average or sum them"),
    Family("soak_service_seconds", "summary", "load", _QUANTILE, "the same from the actual send of a request"),
    Family("soak_journey_seconds", "summary", "load", ("scenario", "side", "journey", "quantile"),
           "the same of whole journeys, without the pauses of the visitor"),
    _gauge("load", "soak_errors_ratio", _ENDPOINT, "failed and timed out requests of the window by all of it"),
    Family("soak_request_seconds", "histogram", "load", _ENDPOINT,
           "latency from the intended start in buckets by a factor of 2^(1/4), for sums over targets and time"),
    *(_seen("target", name, _SIDE) for name in PROBED),
    _gauge("target", "soak_cost_cores", _SIDE,
           "cores that the scenario's cost rate and instances take at the CPU time of a request in the window"),
    _gauge("target", "soak_cost_per_hour", (*_SIDE, "currency"), "what these cores cost an hour"),
    *(_seen("target", name, _RUN) for name in HOST),
    _gauge("generator", "soak_generator_workers", _SIDE, "load workers that reported in the window"),
    _seen("generator", "generator.loop_lag_max", _SIDE),
    _seen("generator", "generator.wake_p99", _SIDE),
    _seen("generator", "generator.cpu", _SIDE),
    _seen("generator", "generator.rss", _SIDE),
    _gauge("generator", "soak_generator_in_flight", _SIDE, "requests under way, of all workers"),
    _gauge("generator", "soak_generator_free_slots", _SIDE, "fewest free slots of a worker in the window"),
    _gauge("judge", "soak_judged_timestamp_seconds", _RUN, "when what is told of criteria and findings was judged"),
    _gauge("judge", "soak_criterion_state", (*_CRITERION, "result"),
           "1 for how a criterion stands: pass, fail, inconclusive or invalid"),
    _gauge("judge", "soak_criterion_value", (*_CRITERION, "unit"), "the value that the criterion is judged on"),
    _gauge("judge", "soak_criterion_limit", (*_CRITERION, "unit"), "the limit of the criterion"),
    _gauge("judge", "soak_findings", (*_SIDE, "severity"), "findings by severity; 0 is told"),
    _gauge("judge", "soak_finding_info", (*_FINDING, "severity", "confidence", "location", "advice"),
           "1 for each finding; fail goes first, then what leaves the least time"),
    _gauge("judge", "soak_finding_eta_seconds", _FINDING, "time left until a limit is reached, when it was judged"),
    _gauge("judge", "soak_finding_eta_low_seconds", _FINDING, "the time left at the least (95 %)"),
    _gauge("judge", "soak_finding_eta_high_seconds", _FINDING, "the time left at the most (95 %)"),
    _gauge("judge", "soak_finding_rate", (*_FINDING, "unit"), "how fast it grows, in its unit (bytes/h, s/h, ...)"),
    _gauge("judge", "soak_reference_ratio", _COMPARED, "the candidate by the reference, over the soak"),
    _gauge("judge", "soak_reference_ratio_low", _COMPARED, "lower end of its interval"),
    _gauge("judge", "soak_reference_ratio_high", _COMPARED, "upper end of its interval"),
    _gauge("judge", "soak_intervals", _RUN, "intervals of the candidate's load that were judged"),
    _gauge("judge", "soak_intervals_invalid", _RUN, "those that the generator's own trouble spoiled"),
    _gauge("exporter", "soak_left_out", ("scenario", "what"),
           "runs, endpoints, journeys, criteria, findings and comparisons beyond what is shown"),
    _gauge("exporter", "soak_runs_unreadable", (), "run files that could not be read"),
    _gauge("daemon", "soak_daemon_info", ("version",), "1 for the daemon"),
    _gauge("daemon", "soak_daemon_heartbeat_timestamp_seconds", (), "when the supervisor last did its work"),
    _gauge("daemon", "soak_daemon_ready", (), "1 while runs are started"),
    _gauge("daemon", "soak_daemon_runs", ("state",), "runs of the queue: queued or running"),
    _gauge("daemon", "soak_last_verdict", ("scenario", "result"),
           "1 for the verdict of the last run of a scenario that has ended, also while the next one goes on"),
    _gauge("daemon", "soak_last_verdict_timestamp_seconds", _RUN, "when that run ended"),
    _gauge("daemon", "soak_daemon_oldest_queued_timestamp_seconds", (), "when the oldest queued run was asked for"),
]  # fmt: skip

FAMILIES: Mapping[str, Family] = {f.name: f for f in _ALL}
