"""For whoever is on call: is something wrong, how much time is left, what to do."""

from __future__ import annotations

from soak.publish.grafana.boards.findings import findings, glance, verdicts
from soak.publish.grafana.boards.panels import Board, Row, lines, of_scrape, row_of_run, stat

_TREND = (
    lines(
        "p99 latency", "Exact p99 of each window, from the moment a request was due. Timeouts are in it, with that "
        "time; other failures are not.", "s",
        ('soak_latency_seconds{$of,side="candidate",endpoint="(all)",quantile="0.99"}', "{{scenario}}"),
    ),
    lines(
        "Errors", "Failed and timed out requests by all requests of a window.", "percentunit",
        ('soak_errors_ratio{$of,side="candidate",endpoint="(all)"}', "{{scenario}}"),
    ),
    lines(
        "Resident memory", "Of the whole process tree, beside the limit of its control group.", "bytes",
        ('soak_memory_rss_bytes{$of,side="candidate"}', "{{scenario}}"),
        ('soak_memory_limit_bytes{$of,side="candidate"}', "{{scenario}}, limit"),
    ),
    lines(
        "Stack headroom", "The share of its stack that the fullest thread never touched. At 0 the process dies.",
        "percentunit",
        ('soak_stack_headroom_ratio{$of,side="candidate"}', "{{scenario}}"),
        steps=((None, "red"), (0.2, "orange"), (0.5, "transparent")),
    ),
)  # fmt: skip

_DAEMON = (
    stat(
        "Daemon last at work", "How long ago its supervisor went through its runs. More than a minute: it hangs, or is "
        "not there.",
        "time() - max(soak_daemon_heartbeat_timestamp_seconds{$of})", "s", "quarter",
        steps=((None, "green"), (60.0, "red")),
    ),
    stat(
        "Starts runs", "1 while runs are started. 0: its disk is nearly full, or it is ending.",
        "min(soak_daemon_ready{$of})", "none", "quarter", steps=((None, "red"), (1.0, "green")),
    ),
    stat(
        "Runs queued", "Runs that wait for their turn.", 'sum(soak_daemon_runs{$of,state="queued"})', "none", "quarter",
        steps=((None, "blue"),),
    ),
    stat(
        "Run files that cannot be read", "Of these runs nothing is shown here.", "sum(soak_runs_unreadable{$of})",
        "none", "quarter", steps=((None, "green"), (1.0, "red")),
    ),
)  # fmt: skip

ONCALL = Board(
    "soak-oncall",
    "soak: on call",
    "Is something wrong, how much time is left, and what to do next.",
    (
        glance(),
        Row("Findings", (findings(), verdicts())),
        row_of_run("Trend", _TREND),
        Row("The daemon", tuple(of_scrape(p) for p in _DAEMON)),
    ),
)
