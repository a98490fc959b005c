"""A scenario file from what was seen: commented, ordered by weight, ready for `soak check`."""

from __future__ import annotations

import ipaddress
import json
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from soak.core.template import escape
from soak.core.traffic import BODIES, METHODS
from soak.scenario.document import scalar
from soak.scenario.importing.secrets import LEFT_OUT
from soak.scenario.importing.seen import HOLE, Endpoint, Key, Seen, Values, literal

MAX_REQUESTS = 100
_EXPECTED_SHARE = 0.01
_MAX_BODIES = 500_000  # characters in all: a scenario has at most 1 MiB
_NEVER_SENT = (444, 499)
"""Statuses that nginx logs when a connection was closed without an answer."""
_CONDITIONAL = (206, 304)
"""Answers to headers that a scenario does not send: without them it is a 200."""
_METHODS = tuple(method.upper() for method in METHODS)


@dataclass
class Import:
    """Everything that goes into the file besides the requests. `notes` become comments."""

    source: str
    url: str
    rate: float
    pattern: dict[str, str] | None = None
    trace: str | None = None
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def compose(about: Import, seen: Seen) -> str:
    """The YAML text of the scenario. Raises ValueError when nothing was seen that could be asked for."""
    feeds: dict[str, list[str]] = {}
    lines, kept, room, bodies, failing = [], 0, _MAX_BODIES, 0, 0
    usable = [(key, e) for key, e in seen.by_count() if key[0] in _METHODS]
    if not usable:
        raise ValueError("no requests in it that soak can send")
    total = sum(e.count for _, e in usable)
    for key, endpoint in usable[:MAX_REQUESTS]:
        kept += endpoint.count
        extra = dict(endpoint.extra)
        room -= len(_flow(extra))
        if room < 0 and (body := set(BODIES) & set(extra)):
            bodies += 1
            extra = {k: v for k, v in extra.items() if k not in body}
        expect = _expect(endpoint)
        failing += any(s >= 500 for s in expect.get("expect", ()))
        request = {"weight": float(f"{100 * endpoint.count / total:.3g}"), key[0].lower(): _path(key, endpoint, feeds)}
        lines.append(f"    - {_flow(request | extra | expect)}")
    notes = list(about.notes)
    if len(usable) > MAX_REQUESTS or seen.folded:
        notes.append(f"{total - kept + seen.folded:,} rarer requests, of more than {MAX_REQUESTS} kinds, are left out")
    if others := seen.total - total - seen.folded:
        notes.append(f"{others:,} requests with methods that soak does not send are left out")
    if seen.secrets:
        notes.append(f"{seen.secrets:,} values under names like token or password are left out: see {LEFT_OUT!r} below")
    if bodies:
        notes.append(f"{bodies} bodies are left out, the scenario would be too large")
    if failing:
        notes.append(f"{failing} requests expect a 5xx, since it was seen: take it out of `expect` if it was an outage")
    if host := _foreign(about.url):
        notes.append(f"load goes to {host}, not to this machine: soak needs `--allow-host {host}`, or another url here")
    head = [f"# From {about.source}.", *(f"# {note}." for note in notes)]
    head += ["# Next: look through requests and criteria, then `soak check` this file.", "name: imported", ""]
    head = ["".join(c if c.isprintable() else "?" for c in line) for line in head]
    load = [f"  rate: {_rate(about.rate)}"]
    if about.trace:
        load.append(f"  # pattern: {_flow({'kind': 'trace', 'file': about.trace})}   # instead of the rate: as it was")
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
    pairs = []
    for name in query:
        value = _placeholder(next(holes), last if name == HOLE else name, feeds)
        pairs.append(value if name == HOLE else f"{_quoted(name)}={value}")
    return "/" + "/".join(parts) + ("?" + "&".join(pairs) if pairs else "")


def _placeholder(values: Values, name: str, feeds: dict[str, list[str]]) -> str:
    """What stands in a hole of the scenario: a range of numbers, one text, or a feed of the texts seen."""
    texts = list(values.texts)
    if not texts and values.low is not None:
        return str(values.low) if values.low == values.high else f"{{random:{values.low}-{values.high}}}"
    texts += [str(n) for n in (values.low, values.high) if n is not None]
    if len(set(texts)) == 1:
        return _quoted(texts[0])
    texts = [text for text in texts if speakable(text) == text] or [""]
    if len(texts) == 1:
        return _quoted(texts[0])
    base = re.sub(r"\W+", "_", name).strip("_").lower() or "value"
    base = f"v_{base}" if base[0].isdigit() or base == "uuid" else base
    unique, n = base, 1
    while unique in feeds and feeds[unique] != texts:
        n += 1
        unique = f"{base}_{n}"
    feeds[unique] = texts
    return f"{{{unique}}}"


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _expect(endpoint: Endpoint) -> dict[str, list[int]]:
    """The statuses that came at a fair share, when they are not only those that are done anyway."""
    sent = Counter({s: n for s, n in endpoint.statuses.items() if 200 <= s <= 599 and s not in _NEVER_SENT})
    common = {s for s, n in sent.items() if n >= _EXPECTED_SHARE * sent.total()}
    if common & set(_CONDITIONAL):
        common.add(200)
    return {"expect": sorted(common)} if any(s >= 400 for s in common) else {}


def _rate(rate: float) -> str:
    return f"{rounded(rate):.12g}/s" if rate >= 0.01 else f"{rounded(rate * 3600):.12g}/h"


def rounded(number: float) -> float:
    """The number with three significant digits."""
    return float(f"{number:.3g}")


def _foreign(url: str) -> str | None:
    """The host of a URL when it is not, by its spelling, this machine."""
    try:
        host = urlsplit(url).hostname
        return host if host and host != "localhost" and not ipaddress.ip_address(host).is_loopback else None
    except ValueError:
        return host


def _flow(value: Any) -> str:
    """A value in YAML's flow style, read back as the same value; texts are quoted, so none is taken for a date."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(str(key))}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return scalar(value)
    number = json.dumps(value)
    return number.replace("e", ".0e") if isinstance(value, float) and "." not in number else number


def speakable(text: str) -> str:
    """The text without what a scenario refuses: control codes, and halves of characters."""
    bad = {c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r"}
    return "".join("\ufffd" if c in bad else c for c in text) if bad else text


def plain(value: Any) -> Any:
    """Data in which nothing is taken for a placeholder, and that a scenario can say."""
    if isinstance(value, str):
        return escape(speakable(value))
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {plain(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, bool) or value is None or (isinstance(value, int) and abs(value) < 10**15):
        return value
    if isinstance(value, (int, float)) and abs(value) < 1e300:  # neither infinite nor NaN
        return float(value)
    return str(value)
