"""A scenario file from what was seen: commented, ordered by weight, ready for `soak check`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from soak.core.template import escape
from soak.scenario.importing.seen import HOLE, Endpoint, Key, Seen, Values, literal

MAX_REQUESTS = 100
_EXPECTED_SHARE = 0.01
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")


@dataclass
class Import:
    """Everything that goes into the file besides the requests. `notes` become comments."""

    source: str
    url: str
    rate: float
    pattern: dict[str, str] | None = None
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compose(about: Import, seen: Seen) -> str:
    """The YAML text of the scenario. Raises ValueError when nothing was seen that could be asked for."""
    feeds: dict[str, list[str]] = {}
    lines, kept = [], 0
    usable = [(key, e) for key, e in seen.by_count() if key[0] in _METHODS]
    if not usable:
        raise ValueError("no requests in it")
    total = sum(e.count for _, e in usable)
    for key, endpoint in usable[:MAX_REQUESTS]:
        kept += endpoint.count
        request = {"weight": float(f"{100 * endpoint.count / total:.3g}"), key[0].lower(): _path(key, endpoint, feeds)}
        lines.append(f"    - {_flow(request | endpoint.extra | _expect(endpoint))}")
    notes = list(about.notes)
    if len(usable) > MAX_REQUESTS or seen.folded:
        notes.append(f"{total - kept + seen.folded:,} rarer requests, of more than {MAX_REQUESTS} kinds, are left out")
    if others := seen.total - total - seen.folded:
        notes.append(f"{others:,} requests with methods that soak does not send are left out")
    head = [f"# From {about.source}.", *(f"# {note}." for note in notes)]
    head += ["# Next: look through requests and criteria, then `soak check` this file.", "name: imported", ""]
    load = [f"  rate: {_rate(about.rate)}"]
    if about.pattern:
        load.append(f"  pattern: {_flow(about.pattern)}")
    for name, value in (("headers", about.headers), ("auth", about.auth)):
        if value:
            load.append(f"  {name}: {_flow(value)}")
    if feeds:
        load += ["  feeds:  # values that were seen", *(f"    {n}: {_flow({'choose': v})}" for n, v in feeds.items())]
    return "\n".join(
        [
            *head,
            "target:",
            f"  url: {json.dumps(about.url)}",
            "  # port: 8000          # watch who listens here, or: process, pid, name",
            "",
            "load:",
            *load,
            "  requests:  # weights are percent of what was seen",
            *lines,
            "",
            "phases: {warmup: 2m, soak: 1h}",
            "",
            "criteria:",
            "  - {metric: errors.ratio, below: 1%}",
            "  - {metric: latency.p99, growth_below: 20%}",
            "",
        ]
    )


def _path(key: Key, endpoint: Endpoint, feeds: dict[str, list[str]]) -> str:
    _, segments, query = key
    holes, last, parts = iter(endpoint.holes), "value", []
    for segment in segments:
        if segment == HOLE:
            parts.append(_placeholder(next(holes), last, feeds))
        else:
            parts.append(literal(segment))
            last = segment or last
    pairs = [f"{quote(name, safe='')}={_placeholder(next(holes), name, feeds)}" for name in query]
    return "/" + "/".join(parts) + ("?" + "&".join(pairs) if pairs else "")


def _placeholder(values: Values, name: str, feeds: dict[str, list[str]]) -> str:
    """What stands in a hole of the scenario: a range of numbers, one text, or a feed of the texts seen."""
    texts = list(values.texts)
    if not texts and values.low is not None:
        return str(values.low) if values.low == values.high else f"{{random:{values.low}-{values.high}}}"
    texts += [str(n) for n in (values.low, values.high) if n is not None]
    if len(set(texts)) < 2:
        return quote(texts[0], safe="") if texts else ""
    base = re.sub(r"\W+", "_", name).strip("_").lower() or "value"
    base = f"v_{base}" if base[0].isdigit() or base == "uuid" else base
    unique, n = base, 1
    while unique in feeds and feeds[unique] != texts:
        n += 1
        unique = f"{base}_{n}"
    feeds[unique] = texts
    return f"{{{unique}}}"


def _expect(endpoint: Endpoint) -> dict[str, list[int]]:
    """The statuses that came at a fair share, when they are not only those that are done anyway."""
    total = sum(endpoint.statuses.values())
    common = sorted(s for s, n in endpoint.statuses.items() if n >= _EXPECTED_SHARE * total and 100 <= s <= 599)
    return {"expect": common} if any(not 200 <= s <= 399 for s in common) else {}


def _rate(rate: float) -> str:
    return f"{rate:.3g}/s" if rate >= 0.01 else f"{rate * 3600:.3g}/h"


def _flow(value: Any) -> str:
    """JSON is YAML in flow style; nothing in it is taken for something else."""
    return json.dumps(value, ensure_ascii=True)


def plain(value: Any) -> Any:
    """Data in which nothing is taken for a placeholder, and that JSON can say."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {escape(str(key)): plain(item) for key, item in value.items()}
    return value if isinstance(value, (int, float)) or value is None else str(value)
