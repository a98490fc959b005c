"""A release against its reference, soaked side by side; and a run against its own past."""

from __future__ import annotations

from soak.publish.grafana.boards.findings import RUN, findings
from soak.publish.grafana.boards.panels import Board, Panel, Row, column, lines, row_of_run, table

_OF = '$of,endpoint=~"$endpoint",quantile="0.99"'
_WORSE = ((None, "transparent"), (1.1, "orange"), (1.25, "red"))
_SIDES = "{{side}}"


def _both(name: str, matchers: str = "") -> str:
    return f"{name}{{$of{matchers}}}"


def _ratio(metric: str, matchers: str) -> str:
    candidate, reference = (f'{metric}{{{matchers},side="{side}"}}' for side in ("candidate", "reference"))
    return f"{candidate} / ignoring (side) {reference}"


def _told() -> Panel:
    by = f"{RUN}, metric, endpoint"
    columns = [
        ("metric", "Metric"), ("endpoint", "Endpoint"), ("Value #A", "Candidate by reference"),
        ("Value #B", "At the least"), ("Value #C", "At the most"),
    ]  # fmt: skip
    colored = {"type": "color-text"}
    steps = ((None, "green"), (1.1, "orange"), (1.25, "red"))
    return table(
        "What differs",
        "The candidate by the reference over the soak, window by window, with its interval (95 %). More than 1 is more "
        "of it: for throughput that is better.",
        columns,
        f"max by ({by}) (soak_reference_ratio{{$of}})",
        f"max by ({by}) (soak_reference_ratio_low{{$of}})",
        f"max by ({by}) (soak_reference_ratio_high{{$of}})",
        place="full",
        height=8,
        overrides=(column("Candidate by reference", cell=colored, steps=steps, decimals=3),),
    )


_SIDE_BY_SIDE = (
    lines(
        "p99 latency", "Both sides, under the very same arrivals.", "s",
        (f"soak_latency_seconds{{{_OF}}}", "{{side}} {{endpoint}}"),
    ),
    lines(
        "p99, candidate by reference", "1 is the same. Both had the same arrivals on the same host: what differs is "
        "the release.", "none",
        (_ratio("soak_latency_seconds", _OF), "{{endpoint}}"), steps=_WORSE,
    ),
    lines(
        "Drift ratio: now by then", "The median p99 of the last span by that of a span as long, a while ago. What the "
        "reference does too is the host's.", "none",
        (f"quantile_over_time(0.5, soak_latency_seconds{{{_OF}}}[$span]) / "
         f"quantile_over_time(0.5, soak_latency_seconds{{{_OF}}}[$span] offset $ago)", "{{side}} {{endpoint}}"),
        steps=_WORSE,
    ),
    lines("Errors", "Failed and timed out requests by all of a window.", "percentunit",
          (_both("soak_errors_ratio", ',endpoint=~"$endpoint"'), "{{side}} {{endpoint}}")),
)  # fmt: skip

_MEMORY = (
    lines("Resident memory", "Of the whole process tree.", "bytes", (_both("soak_memory_rss_bytes"), _SIDES)),
    lines("Memory, candidate less reference", "A leak under what both sides do shows here.", "bytes",
          ('soak_memory_rss_bytes{$of,side="candidate"} - ignoring (side) soak_memory_rss_bytes{$of,side="reference"}',
           "candidate less reference")),
    lines("Live memory", "What the program holds in its allocators.", "bytes",
          (_both("soak_memory_live_bytes"), _SIDES)),
    lines("Fragmentation", "The share of the heap that is free but kept.", "percentunit",
          (_both("soak_memory_fragmentation_ratio"), _SIDES)),
    lines("Stack headroom", "The share of its stack that the fullest thread never touched.", "percentunit",
          (_both("soak_stack_headroom_ratio"), _SIDES)),
)  # fmt: skip

_COST = (
    lines("CPU of a request", "CPU time of the process tree by a request done.", "s",
          (_both("soak_cpu_per_request_seconds"), _SIDES)),
    lines("CPU, candidate by reference", "1 is the same.", "none",
          (_ratio("soak_cpu_per_request_seconds", "$of"), "candidate by reference"), steps=_WORSE),
    lines("Cost in cores", "Cores at the rate and the instances of the scenario's `cost`; empty without it.", "short",
          (_both("soak_cost_cores"), _SIDES)),
    lines("What the release costs more", "The candidate less the reference, an hour, in the scenario's currency.",
          "short",
          ('soak_cost_per_hour{$of,side="candidate"} - ignoring (side) soak_cost_per_hour{$of,side="reference"}',
           "{{currency}} an hour")),
)  # fmt: skip


REFERENCE = Board(
    "soak-reference",
    "soak: release against reference",
    "A candidate and a trusted reference soaked side by side, and a run against its own past.",
    (
        row_of_run("What differs", (_told(),)),
        Row("Findings", (findings(),)),
        row_of_run("Latency", _SIDE_BY_SIDE),
        row_of_run("Memory and stack", _MEMORY),
        row_of_run("Cost", _COST),
    ),
    single=True,
    endpoints=True,
    spans=("15m", "1h", "6h", "24h"),
)
