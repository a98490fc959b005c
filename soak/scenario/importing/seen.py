"""What a source was seen to ask for, by endpoint, in bounded memory: ids become placeholders.

A path is a walk down a tree of segments. A segment that looks like an id (a number, a UUID, a digest, a long token) is
a hole at once. A node that turns out to have too many children becomes one, and the endpoints below it are merged.
Children that only ever gave errors are counted apart from the others: a public log has hundreds of paths that scanners
tried once, beside a dozen routes that keep their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from statistics import median
from urllib.parse import parse_qsl, quote, unquote

from soak.scenario.importing.secrets import LEFT_OUT, is_secret

MAX_CHILDREN = 40
"""A node with more different segments below it holds ids, whatever they look like."""
MAX_ENDPOINTS = 2_000
MAX_SAMPLES = 50
MAX_SEGMENTS = 30
MAX_NAMES = 20
HOLE = "\ud800"
"""Stands where a value stood; half a character, which no URL can spell."""
_ERROR = 400
_CACHED = 500  # characters; longer targets are rarely seen twice
_HEAVY, _HEAVY_LEAST, _HEAVY_MOST = 4, 10, 20
_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_ID = re.compile(
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"  # UUID
    r"|(?=[^/]*[0-9])[0-9A-Fa-f]{8,}"  # digest
    r"|[0-9A-HJKMNP-TV-Z]{26}"  # ULID
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}"  # date
    r"|[0-9]+"
    r"|(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[\w~.-]{24,}"  # token
)
_ASSET = re.compile(r"\.(?:css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|eot|mp4|webm)$", re.I)


@dataclass
class Values:
    """What stood in one hole: the range of numbers, or a sample of texts."""

    low: int | None = None
    high: int | None = None
    texts: dict[str, None] = field(default_factory=dict)
    count: int = 0

    def add(self, text: str, rng: Random) -> None:
        """Note a value; of texts a fair sample is kept (reservoir sampling, Vitter 1985)."""
        self.count += 1
        if not self.texts and _NUMBER.fullmatch(text):
            number = int(text)
            self.low = number if self.low is None else min(self.low, number)
            self.high = number if self.high is None else max(self.high, number)
            return
        if text in self.texts:
            return
        if len(self.texts) < MAX_SAMPLES:
            self.texts[text] = None
        elif (at := rng.randrange(self.count)) < MAX_SAMPLES:
            del self.texts[list(self.texts)[at]]
            self.texts[text] = None

    def merge(self, other: Values, rng: Random) -> None:
        """Take in what another hole held."""
        for text in [*other.texts, *(str(n) for n in (other.low, other.high) if n is not None)]:
            self.add(text, rng)


Path = tuple[str, ...]
Key = tuple[str, Path, tuple[str, ...]]
"""Method, segments with HOLE where a value stands, names of the query; HOLE is a value without a name."""


@dataclass
class Endpoint:
    """One kind of request: how often, with which answers, and what stood in its holes, path first."""

    count: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    holes: list[Values] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)
    """Keys of a scenario's request that the source gives too: a body, headers."""

    @property
    def only_errors(self) -> bool:
        """Whether no answer was seen that is none."""
        return bool(self.statuses) and min(self.statuses) >= _ERROR


class Seen:
    """Everything that a source asked for."""

    def __init__(self) -> None:
        self.endpoints: dict[Key, Endpoint] = {}
        self.folded = 0
        self.total = 0
        self.secrets = 0
        self._wide: dict[tuple[Path, bool], frozenset[str]] = {}
        """Nodes that hold ids, for requests that failed (True) or not: which children keep their names."""
        self._rng = Random(1)

    def add(self, method: str, target: str, status: int, extra: dict[str, object] | None = None) -> None:
        """Note one request: its path with the query, and the status of its answer (0: none)."""
        self.total += 1
        asked, names, values, secrets = (_read_once if len(target) <= _CACHED else _read)(target)
        self.secrets += secrets
        if len(asked) > MAX_SEGMENTS:
            self.folded += 1
            return
        path, holes = self._template(asked, status >= _ERROR)
        endpoint = self.endpoints.get((method, path, names))
        if endpoint is None:
            if len(self.endpoints) >= MAX_ENDPOINTS:
                self._shrink()
                path, holes = self._template(asked, status >= _ERROR)
            endpoint = self.endpoints.setdefault((method, path, names), Endpoint(extra=extra or {}))
            if not endpoint.holes:
                endpoint.holes = [Values() for _ in range(len(holes) + len(values))]
        endpoint.count += 1
        if status:
            endpoint.statuses[status] += 1
        for held, text in zip(endpoint.holes, (*holes, *values), strict=True):
            held.add(text, self._rng)

    def collapse(self) -> None:
        """Make every node with too many children a hole, from the root down."""
        depth = 0
        while any(len(path) > depth for _, path, _ in self.endpoints):
            nodes: dict[Path, dict[str, list[Endpoint]]] = {}
            for (_, path, _), endpoint in self.endpoints.items():
                if len(path) > depth and path[depth] != HOLE:
                    nodes.setdefault(path[:depth], {}).setdefault(path[depth], []).append(endpoint)
            wide = {node: kept for node, children in nodes.items() if (kept := self._widen(node, children)) is not None}
            if wide:
                self._merge(depth, wide)
            depth += 1

    def by_count(self) -> Iterator[tuple[Key, Endpoint]]:
        """Endpoints, the most frequent first."""
        yield from sorted(self.endpoints.items(), key=lambda item: (-item[1].count, item[0]))

    def _template(self, segments: Path, failed: bool) -> tuple[Path, list[str]]:
        path: Path = ()
        holes = []
        for segment in segments:
            kept = self._wide.get((path, failed)) if self._wide else None
            if (kept is not None and segment not in kept) or _NUMBER.fullmatch(segment) or _ID.fullmatch(segment):
                holes.append(segment)
                segment = HOLE
            path = (*path, segment)
        return path, holes

    def _widen(self, node: Path, children: dict[str, list[Endpoint]]) -> frozenset[str] | None:
        """The children of a node that keep their names, None when it is not too wide."""
        if (node, False) in self._wide:  # failures came before it was known
            return frozenset()
        answered = {name for name, found in children.items() if not all(e.only_errors for e in found)}
        if len(answered) > MAX_CHILDREN:
            self._wide[node, False] = self._wide[node, True] = frozenset()
            return frozenset()
        counts = {name: sum(e.count for e in found) for name, found in children.items() if name not in answered}
        if len(counts) <= MAX_CHILDREN:
            return None
        # what failed far more often than the rest is no guess: a login that is closed, a route that is gone
        least = max(_HEAVY_LEAST, _HEAVY * median(counts.values()))
        heavy = [name for name, n in Counter(counts).most_common(_HEAVY_MOST) if n >= least]
        self._wide[node, True] = frozenset(answered | set(heavy))
        return self._wide[node, True]

    def _merge(self, depth: int, wide: dict[Path, frozenset[str]]) -> None:
        """Endpoints that differ only at `depth` below a node that is wide are one."""
        before, self.endpoints = self.endpoints, {}
        for (method, path, query), old in before.items():
            holes = old.holes
            kept = wide.get(path[:depth]) if len(path) > depth else None
            if kept is not None and path[depth] != HOLE and path[depth] not in kept:
                single = Values()
                single.add(path[depth], self._rng)
                at = path[:depth].count(HOLE)
                holes = [*holes[:at], single, *holes[at:]]
                path = (*path[:depth], HOLE, *path[depth + 1 :])
            found = self.endpoints.get((method, path, query))
            if found is None:
                self.endpoints[method, path, query] = Endpoint(old.count, old.statuses, holes, old.extra)
                continue
            found.count += old.count
            found.statuses += old.statuses
            for mine, theirs in zip(found.holes, holes, strict=True):
                mine.merge(theirs, self._rng)

    def _shrink(self) -> None:
        """Make room: merge what is one, then let the rarest half go (lossy counting, Manku and Motwani 2002)."""
        self.collapse()
        kept = dict(list(self.by_count())[: MAX_ENDPOINTS // 2])
        self.folded += sum(e.count for e in self.endpoints.values()) - sum(e.count for e in kept.values())
        self.endpoints = kept
        alive = {path[:depth] for _, path, _ in kept for depth in range(len(path) + 1)}
        self._wide = {at: names for at, names in self._wide.items() if at[0] in alive}


def _read(target: str) -> tuple[Path, tuple[str, ...], tuple[str, ...], int]:
    """Segments of a target, names and values of its query in the order of the names, and how many secrets it had."""
    path, _, query = target.partition("#")[0].partition("?")
    segments = [unquote(s, errors="surrogateescape") for s in path.split("/")[1:]]
    secrets = 0
    for i, segment in enumerate(segments):
        named = segments[i - 1] if i and _ID.fullmatch(segment) and not _NUMBER.fullmatch(segment) else ""
        if is_secret(named, segment):
            segments[i] = LEFT_OUT
            secrets += 1
    pairs = []
    for name, value in sorted(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))[:MAX_NAMES]:
        if is_secret(name, value):
            value = LEFT_OUT
            secrets += 1
        if not value and (_NUMBER.fullmatch(name) or _ID.fullmatch(name)):  # ?1700000000, against caches
            name, value = HOLE, name
        pairs.append((name, value))
    return tuple(segments), tuple(name for name, _ in pairs), tuple(value for _, value in pairs), secrets


_read_once = lru_cache(maxsize=2_048)(_read)


def is_asset(path: str) -> bool:
    """Whether a path is that of a picture, a style or a script."""
    return bool(_ASSET.search(path.partition("#")[0].partition("?")[0]))


def literal(text: str) -> str:
    """A text as it stands in a scenario's path: percent-encoded, and no placeholder by accident."""
    return quote(text, safe="~-._!$'()*,;:@+", errors="surrogateescape")
