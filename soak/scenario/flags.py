"""A soak without a file: the flags of `soak run --url` become a scenario that can be kept."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from soak.scenario.load import Loaded, loads


def from_flags(
    *,
    url: str,
    rate: str,
    duration: str,
    command: str | None = None,
    port: int | None = None,
    pid: int | None = None,
    name: str | None = None,
) -> Loaded:
    """The scenario that the flags stand for, with default criteria. Raises ScenarioError."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else url
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    ways = {
        "process": {"command": command} if command is not None else None,
        "port": port,
        "pid": pid,
        "name": name,
    }
    watch = [f"  {key}: {json.dumps(value)}" for key, value in ways.items() if value is not None]
    lines = [
        "name: adhoc",
        "target:",
        f"  url: {json.dumps(origin)}",
        *watch,
        "load:",
        f"  rate: {json.dumps(rate)}",
        f"  requests: [{{get: {json.dumps(path)}}}]",
        f"phases: {{soak: {json.dumps(duration)}}}",
        "criteria:",
        "  - {metric: errors.ratio, below: 1%}",
        "  - {metric: latency.p99, growth_below: 20%}  # over the soak; small drifts need long runs",
    ]
    if watch:
        lines += [
            "  - {metric: memory.rss, growth_below: 5%}",
            "  - {metric: stack.headroom, above: 50%}",
        ]
    return loads("\n".join(lines) + "\n", "(command line)", Path.cwd())
