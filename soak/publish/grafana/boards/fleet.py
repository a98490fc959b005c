"""All runs beside each other: which go, which failed, which are nearest to an end, what waits."""

from __future__ import annotations

from soak.publish.grafana.boards.findings import RUN, SOON, TIME_LEFT, VERDICTS, glance, verdicts
from soak.publish.grafana.boards.panels import (
    TO_RUN,
    Board,
    Panel,
    Query,
    Row,
    column,
    lines,
    named,
    of_run,
    of_scrape,
    row_of_run,
    table,
)

_STATES = {"running": ("running", "blue"), "ended": ("ended", "text"), "lost": ("LOST", "red")}


def _all() -> Panel:
    columns = [
        ("scenario", "Scenario"), ("state", "State"), ("phase", "Phase"), ("Value #C", "Soaked"), ("Value #D", "Of"),
        ("Value #E", "Failing findings"), ("Value #F", "Least time left"),
    ]  # fmt: skip
    colored = {"type": "color-text"}
    return table(
        "Runs",
        "The run of each scenario that goes on, or the last one.",
        columns,
        f"max by ({RUN}, state) (soak_run_state{{$of}} == 1)",
        f"max by ({RUN}, phase) (soak_run_phase{{$of}} == 1)",
        f"max by ({RUN}) (soak_run_soaked_seconds{{$of}})",
        f"max by ({RUN}) (soak_run_planned_seconds{{$of}})",
        f'sum by ({RUN}) (soak_findings{{$of,severity="fail"}})',
        f"min by ({RUN}) ({TIME_LEFT})",
        place="full",
        height=9,
        overrides=(
            column("Scenario", links=TO_RUN),
            column("State", cell=colored, mappings=named(_STATES)),
            column("Soaked", unit="s"),
            column("Of", unit="s"),
            column("Failing findings", cell=colored, steps=((None, "green"), (1.0, "red"))),
            column("Least time left", unit="s", cell=colored, steps=SOON),
        ),
    )


def _timeline() -> Panel:
    """The verdicts over time: a line a scenario."""
    codes = {"pass": 1, "fail": 2, "inconclusive": 3, "invalid": 4}
    expr = " + ".join(
        f'{n} * max by (scenario) (soak_run_verdict{{$of,result="{result}"}})' for result, n in codes.items()
    )
    running = {"0": ("under way", "blue")}
    return Panel(
        "Verdicts over time",
        "What each scenario's runs came to, one after the other.",
        (Query(expr, "{{scenario}}"),),
        "none",
        "state-timeline",
        "full",
        6,
        defaults={"mappings": named(running | {str(n): VERDICTS[r] for r, n in codes.items()})},
        options={"mergeValues": True, "showValue": "auto", "rowHeight": 0.8},
    )


_BESIDE = (
    lines("p99 latency", "Exact p99 of each run's window, all its endpoints merged.", "s",
          ('soak_latency_seconds{$of,side="candidate",endpoint="(all)",quantile="0.99"}', "{{scenario}}")),
    lines("p99 of all runs together", "From buckets at a factor of 1.19, which can be summed: up to a bucket off.", "s",
          ('histogram_quantile(0.99, sum by (le) (rate(soak_request_seconds_bucket{$of,side="candidate"}'
           "[$__rate_interval])))", "all runs")),
    lines("Memory growth", "By how much resident memory grew over the span, in bytes an hour.", "bytes",
          ('3600 * deriv(soak_memory_rss_bytes{$of,side="candidate"}[$span])', "{{scenario}}")),
    lines("p99, now by then", "The median p99 of the last span by that of a span as long, a while ago.", "none",
          ('quantile_over_time(0.5, soak_latency_seconds{$of,side="candidate",endpoint="(all)",quantile="0.99"}[$span])'
           ' / quantile_over_time(0.5, soak_latency_seconds{$of,side="candidate",endpoint="(all)",quantile="0.99"}'
           "[$span] offset $ago)", "{{scenario}}")),
    lines("Requests", "Answers a second, of all endpoints.", "reqps",
          ('sum by (scenario) (rate(soak_requests_total{$of,side="candidate"}[$__rate_interval]))', "{{scenario}}")),
    lines("Cost", "Cores at the rate and the instances of each scenario's `cost`; empty without it.", "short",
          ('soak_cost_cores{$of,side="candidate"}', "{{scenario}}")),
)  # fmt: skip

_QUEUE = (
    lines("Queue of the daemon", "Runs by their state.", "none", ("soak_daemon_runs{$of}", "{{instance}} {{state}}")),
    lines("Longest wait", "How long the oldest queued run has waited.", "s",
          ("time() - soak_daemon_oldest_queued_timestamp_seconds{$of}", "{{instance}}")),
)  # fmt: skip

FLEET = Board(
    "soak-fleet",
    "soak: fleet of runs",
    "All runs beside each other.",
    (
        glance(),
        Row("Runs", (of_run(_all()), verdicts(), of_run(_timeline()))),
        row_of_run("Beside each other", _BESIDE),
        Row("The daemon", tuple(of_scrape(p) for p in _QUEUE)),
    ),
    spans=("1h", "15m", "6h", "24h"),
    time_from="now-7d",
)
