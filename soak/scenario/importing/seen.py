"""What a source was seen to ask for, by endpoint, in bounded memory: ids become placeholders.

A path is a walk down a tree of segments. A segment that looks like an id (a number, a UUID, a digest, a long token) is
a hole at once; a node that turns out to have too many children becomes one, and the endpoints below it are merged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from urllib.parse import parse_qsl, quote, unquote, urlsplit

MAX_CHILDREN = 40
"""A node with more different segments below it holds ids, whatever they look like."""
MAX_ENDPOINTS = 2_000
MAX_SAMPLES = 50
HOLE = "\0"
_NUMBER = re.compile(r"[0-9]{1,15}")
_ID = re.compile(
    r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"  # UUID
    r"|(?=[^/]*[0-9])[0-9A-Fa-f]{8,}"  # digest
    r"|[0-9A-HJKMNP-TV-Z]{26}"  # ULID
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}"  # date
    r"|[0-9]{16,}"
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
        if _NUMBER.fullmatch(text) and not self.texts:
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


Key = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Method, segments with HOLE where a value stands, names of the query."""


@dataclass
class Endpoint:
    """One kind of request: how often, with which answers, and what stood in its holes, path first."""

    count: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    holes: list[Values] = field(default_factory=list)
    extra: dict[str, object] = field(default_factory=dict)
    """Keys of a scenario's request that the source gives too: a body, headers."""


class Seen:
    """Everything that a source asked for."""

    def __init__(self) -> None:
        self.endpoints: dict[Key, Endpoint] = {}
        self.folded = 0
        self.total = 0
        self._children: dict[tuple[str, ...], set[str]] = {}
        self._wide: set[tuple[str, ...]] = set()
        self._rng = Random(1)

    def add(self, method: str, target: str, status: int, extra: dict[str, object] | None = None) -> None:
        """Note one request: its path with the query, and the status of its answer (0: none)."""
        self.total += 1
        parts = urlsplit(target)
        segments, holes = self._template([unquote(s) for s in parts.path.split("/")[1:]])
        query = sorted(parse_qsl(parts.query, keep_blank_values=True))[:20]
        key = (method, segments, tuple(name for name, _ in query))
        endpoint = self.endpoints.get(key)
        if endpoint is None:
            if len(self.endpoints) >= MAX_ENDPOINTS:
                self.folded += 1
                return
            endpoint = self.endpoints[key] = Endpoint(extra=extra or {})
            endpoint.holes = [Values() for _ in range(len(holes) + len(query))]
        endpoint.count += 1
        if status:
            endpoint.statuses[status] += 1
        for values, text in zip(endpoint.holes, [*holes, *(value for _, value in query)], strict=True):
            values.add(text, self._rng)

    def _template(self, segments: list[str]) -> tuple[tuple[str, ...], list[str]]:
        path: tuple[str, ...] = ()
        holes = []
        for segment in segments:
            if _NUMBER.fullmatch(segment) or _ID.fullmatch(segment) or path in self._wide:
                holes.append(segment)
                path = (*path, HOLE)
                continue
            children = self._children.setdefault(path, set())
            children.add(segment)
            if len(children) > MAX_CHILDREN:
                self._wide.add(path)
                children.clear()
                self._merge()
                holes.append(segment)
                path = (*path, HOLE)
                continue
            path = (*path, segment)
        return path, holes

    def _merge(self) -> None:
        """Endpoints below a node that has become wide are one."""
        before, self.endpoints = self.endpoints, {}
        for (method, segments, query), old in before.items():
            path: tuple[str, ...] = ()
            texts: list[Values] = []
            held = iter(old.holes)
            for segment in segments:
                if segment == HOLE:
                    texts.append(next(held))
                elif path in self._wide:
                    single = Values()
                    single.add(segment, self._rng)
                    single.count = old.count
                    texts.append(single)
                    segment = HOLE
                path = (*path, segment)
            texts += held
            found = self.endpoints.setdefault((method, path, query), Endpoint(extra=old.extra))
            found.count += old.count
            found.statuses += old.statuses
            if not found.holes:
                found.holes = [Values() for _ in texts]
            for mine, theirs in zip(found.holes, texts, strict=True):
                mine.merge(theirs, self._rng)

    def by_count(self) -> Iterator[tuple[Key, Endpoint]]:
        """Endpoints, the most frequent first."""
        yield from sorted(self.endpoints.items(), key=lambda item: (-item[1].count, item[0]))


def is_asset(path: str) -> bool:
    """Whether a path is that of a picture, a style or a script."""
    return bool(_ASSET.search(urlsplit(path).path))


def literal(text: str) -> str:
    """A text as it stands in a scenario's path: percent-encoded, and no placeholder by accident."""
    return quote(text, safe="~-._!$'()*,;:@+")
