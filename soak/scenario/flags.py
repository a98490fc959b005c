"""A soak without a file: the flags of `soak run --url` become a scenario that can be read and kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from soak.core.errors import Problem, ScenarioError
from soak.scenario.document import scalar
from soak.scenario.load import Loaded, loads

_NAME = "(command line)"
_FLAG_OF = {
    "target.url": "--url",
    "load.rate": "--rate",
    "load.users": "--users",
    "load": "--rate",
    "phases.soak": "--for",
    "target": "--command",
    "target.process.command": "--command",
    "target.port": "--port",
    "target.pid": "--pid",
    "target.name": "--name",
    "load.requests[0].get": "--url",
    "load.requests[0]": "--url",
}
"""Which flag a key of the scenario came from."""


def from_flags(
    *,
    url: str,
    rate: str | None = None,
    duration: str,
    command: str | None = None,
    port: int | None = None,
    pid: int | None = None,
    name: str | None = None,
    users: int | None = None,
) -> Loaded:
    """The scenario that the flags stand for, with default criteria; `text` is its YAML, comments included.

    `rate` and `duration` are quantities such as "50/s" and "10m"; `users` gives the closed model instead
    of `rate`. The process to watch is named by one of `command`, `port`, `pid` and `name` (that of a
    process), or by none. Raises ScenarioError that speaks of the flags.
    """
    text = _yaml(url, rate, duration, users, {"command": command, "port": port, "pid": pid, "name": name})
    try:
        return loads(text, _NAME, Path.cwd())
    except ScenarioError as error:
        raise ScenarioError(_NAME, [_by_flag(p) for p in error.problems]) from None


def _yaml(url: str, rate: str | None, duration: str, users: int | None, watch: dict[str, str | int | None]) -> str:
    origin, path = _split(url)
    watched = {key: value for key, value in watch.items() if value is not None}
    lines = ["name: adhoc", "target:", f"  url: {scalar(origin)}"]
    if (command := watched.pop("command", None)) is not None:
        lines.append(f"  process: {{command: {scalar(command)}}}")
    lines += [f"  {key}: {scalar(value)}" for key, value in watched.items()]
    if not any(value is not None for value in watch.values()):
        lines.append("  # nobody watches its process: say --port, --pid or --name, or let soak start it by --command")
    lines.append("load:")
    if rate is not None:
        lines.append(f"  rate: {scalar(rate)}  # arrivals, whatever the target does")
    if users is not None:
        lines.append(f"  users: {users}  # closed model: each waits for its answer")
    lines += [
        f"  requests: [{{get: {scalar(path)}}}]",
        f"phases: {{soak: {scalar(duration)}}}  # after a warm-up of a tenth of it, at most 5 minutes",
        "criteria:  # the defaults: growth is over the whole soak; for smaller limits soak longer",
        "  - {metric: errors.ratio, below: 1%}          # more is an outage, not a load test",
        "  - {metric: latency.p99, growth_below: 20%}   # wider than the noise of a short soak",
    ]
    if any(value is not None for value in watch.values()):
        lines += [
            "  - {metric: memory.rss, growth_below: 5%}     # a warm process has what it needs",
            "  - {metric: stack.headroom, above: 50%}       # half of the stack was never touched",
        ]
    return "\n".join(lines) + "\n"


def _split(url: str) -> tuple[str, str]:
    """Origin, and path with query; a URL that is none stays whole, for the scenario reader to refuse."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, "/"
    if not parts.netloc:
        return url, "/"
    return f"{parts.scheme}://{parts.netloc}", (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _by_flag(problem: Problem) -> Problem:
    """The same problem for somebody who wrote flags and has seen no line of YAML."""
    return replace(problem, key=_FLAG_OF.get(problem.key, problem.key), line=0, column=0)
