"""One run in depth: latency, memory, stack, processes, cost, and whether the instrument can be trusted."""

from __future__ import annotations

from soak.publish.grafana.boards.findings import criteria, findings, glance, verdicts
from soak.publish.grafana.boards.panels import Board, Panel, Query, Row, lines, row_of_run

_ENDPOINTS = 'side="candidate",endpoint=~"$endpoint"'
_CANDIDATE = 'side="candidate"'

_LATENCY = (
    lines(
        "Latency from the intended start", "Exact percentiles of each window. A target that stands still shows here at "
        "once: requests that were due meanwhile have waited.", "s",
        (f'soak_latency_seconds{{$of,{_ENDPOINTS},quantile=~"0.5|0.99|0.999|1.0"}}', "{{endpoint}} q{{quantile}}"),
    ),
    lines(
        "Service time beside it", "p99 from the actual send. Where latency is far above, requests waited for a slot: "
        "the target is slower than its load.", "s",
        (f'soak_latency_seconds{{$of,{_ENDPOINTS},quantile="0.99"}}', "{{endpoint}} latency"),
        (f'soak_service_seconds{{$of,{_ENDPOINTS},quantile="0.99"}}', "{{endpoint}} service"),
    ),
    lines(
        "Requests", "Answers a second, by what became of them.", "reqps",
        (f"sum by (endpoint, outcome) (rate(soak_requests_total{{$of,{_CANDIDATE}}}[$__rate_interval]))",
         "{{endpoint}} {{outcome}}"),
    ),
    lines(
        "Errors", "Failed and timed out requests by all requests of a window.", "percentunit",
        (f"soak_errors_ratio{{$of,{_ENDPOINTS}}}", "{{endpoint}}"),
    ),
    Panel(
        "All latencies", "How many requests took how long, over time: two modes, or a tail that climbs, show here.",
        (Query("sum by (le) (increase(soak_request_seconds_bucket{$of,side=\"candidate\"}[$__rate_interval]))",
               "{{le}}", heatmap=True),),
        "s", "heatmap", "full",
        options={"calculate": False, "yAxis": {"unit": "s"}, "cellGap": 0,
                 "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64}, "tooltip": {"mode": "single"}},
    ),
)  # fmt: skip

_MEMORY = (
    lines(
        "Memory: resident, live, free but kept", "Live that climbs is a leak or data; free but kept that climbs is "
        "fragmentation. Live and free need an agent or a door of the target.", "bytes",
        (f"soak_memory_rss_bytes{{$of,{_CANDIDATE}}}", "resident"),
        (f"soak_memory_anon_bytes{{$of,{_CANDIDATE}}}", "anonymous"),
        (f"soak_memory_live_bytes{{$of,{_CANDIDATE}}}", "live"),
        (f"soak_memory_free_in_heap_bytes{{$of,{_CANDIDATE}}}", "free in the heap"),
        (f"soak_memory_retained_bytes{{$of,{_CANDIDATE}}}", "whole free pages kept"),
        (f"soak_memory_limit_bytes{{$of,{_CANDIDATE}}}", "limit"),
    ),
    lines(
        "Fragmentation", "The share of the heap that is free but kept.", "percentunit",
        (f"soak_memory_fragmentation_ratio{{$of,{_CANDIDATE}}}", "fragmentation"),
        steps=((None, "transparent"), (0.4, "orange")),
    ),
    lines(
        "Stack headroom", "The share of its stack that the fullest thread never touched. At 0 the process dies.",
        "percentunit",
        (f"soak_stack_headroom_ratio{{$of,{_CANDIDATE}}}", "headroom"),
        steps=((None, "red"), (0.2, "orange"), (0.5, "transparent")),
    ),
    lines(
        "Stack, deepest so far", "High-water marks never fall; they step up when something goes deeper.", "bytes",
        (f"soak_stack_high_water_bytes{{$of,{_CANDIDATE}}}", "main thread"),
        (f"soak_stack_thread_high_water_bytes{{$of,{_CANDIDATE}}}", "fullest thread"),
    ),
    lines(
        "Python frames", "The deepest that was seen, beside the depth at which RecursionError comes.", "none",
        (f"soak_stack_depth{{$of,{_CANDIDATE}}}", "frames"),
        (f"soak_stack_depth_limit{{$of,{_CANDIDATE}}}", "limit"),
    ),
    lines(
        "Allocations of a request", "From short windows of all allocations, if there is an agent.", "short",
        (f"soak_allocations_per_request{{$of,{_CANDIDATE}}}", "allocations"),
        (f"soak_allocations_bytes_per_request{{$of,{_CANDIDATE}}}", "bytes"),
    ),
)  # fmt: skip

_PROCESSES = (
    lines(
        "Cores used", "CPU time a second of the process tree.", "short",
        (f"rate(soak_process_cpu_seconds_total{{$of,{_CANDIDATE}}}[$__rate_interval])", "cores"),
    ),
    lines(
        "CPU of a request", "CPU time of the process tree by a request: it climbs where work grows with the data.",
        "s", (f"soak_cpu_per_request_seconds{{$of,{_CANDIDATE}}}", "CPU of a request"),
    ),
    lines(
        "Threads, descriptors, connections", "What is opened and not given back climbs without end.", "none",
        (f"soak_process_threads{{$of,{_CANDIDATE}}}", "threads"),
        (f"soak_process_fds{{$of,{_CANDIDATE}}}", "descriptors"),
        (f"soak_process_connections{{$of,{_CANDIDATE}}}", "connections"),
        (f"soak_process_zombies{{$of,{_CANDIDATE}}}", "zombies"),
    ),
    lines(
        "Restarts", "Processes of the tree that were replaced, in the time between two points.", "none",
        (f"increase(soak_process_restarts_total{{$of,{_CANDIDATE}}}[$__rate_interval])", "restarts"),
    ),
    lines(
        "Cost in cores", "Cores that the rate and the instances of the scenario's `cost` take at the CPU of a request. "
        "Empty without `cost`.", "short",
        (f"soak_cost_cores{{$of,{_CANDIDATE}}}", "cores"),
    ),
    lines(
        "Cost in money", "What these cores cost an hour, in the currency of the scenario.", "short",
        (f"soak_cost_per_hour{{$of,{_CANDIDATE}}}", "{{currency}} an hour"),
    ),
)  # fmt: skip

_INSTRUMENT = (
    lines(
        "How late the generator is", "Longest lag of its event loop, and p99 of how late it sent: no latency below "
        "that can be told.", "s",
        (f"soak_generator_loop_lag_max_seconds{{$of,{_CANDIDATE}}}", "loop, longest"),
        (f"soak_generator_wake_p99_seconds{{$of,{_CANDIDATE}}}", "sending, p99"),
    ),
    lines(
        "Arrivals", "What fell due and what became of it, a second. Unserved found no free slot in time.", "reqps",
        (f"sum(rate(soak_arrivals_scheduled_total{{$of,{_CANDIDATE}}}[$__rate_interval]))", "scheduled"),
        (f"sum by (outcome) (rate(soak_arrivals_total{{$of,{_CANDIDATE}}}[$__rate_interval]))", "{{outcome}}"),
    ),
    lines(
        "Slots", "Requests under way, and the fewest slots that were free. At 0 arrivals wait for one.", "none",
        (f"soak_generator_in_flight{{$of,{_CANDIDATE}}}", "in flight"),
        (f"soak_generator_free_slots{{$of,{_CANDIDATE}}}", "free"),
    ),
    lines(
        "The host", "Its cores that are busy, time stolen by the hypervisor, and time in which some task waited.",
        "percentunit",
        ("soak_host_cpu_ratio{$of}", "busy"),
        ("soak_host_steal_ratio{$of}", "stolen"),
        ("soak_host_psi_cpu_ratio{$of}", "waiting for a core"),
        ("soak_host_psi_memory_ratio{$of}", "waiting for memory"),
        ("soak_host_psi_io_ratio{$of}", "waiting for a disk"),
    ),
)  # fmt: skip


RUN_IN_DEPTH = Board(
    "soak-run",
    "soak: one run",
    "Everything that was measured in one run, and whether it can be trusted.",
    (
        glance(),
        Row("Verdict", (verdicts(), findings(), criteria())),
        row_of_run("Latency", _LATENCY),
        row_of_run("Memory and stack", _MEMORY),
        row_of_run("Processes and cost", _PROCESSES),
        row_of_run("The instrument", _INSTRUMENT),
    ),
    single=True,
    endpoints=True,
)
