"""Filling placeholders: every text of a scenario becomes a function of the arrival that it is sent for.

A value is a pure function of the seed, the arrival's number and the place where it is used, so a run can
be repeated, a reference gets the same requests, and workers agree on the rows of a feed without a word.
"""

from __future__ import annotations

import os
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from soak.core import template
from soak.core.errors import LoadError
from soak.core.feedfile import cell, read_rows
from soak.core.template import Placeholder
from soak.core.traffic import Feed

_MASK = 2**64 - 1


@dataclass(slots=True)
class Values:
    """What the placeholders of one arrival are filled from: its number, its draw, and what it captured."""

    index: int
    draw: int
    captured: dict[str, object] = field(default_factory=dict)


Fill = Callable[[Values], object]


def mixed(draw: int, place: int) -> int:
    """64 well-mixed bits for one place of one arrival: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    z = (draw + place * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Filler:
    """Compiles texts with placeholders. `feeds` are read once, from `folder`; raises LoadError."""

    def __init__(self, feeds: Mapping[str, Feed], folder: Path) -> None:
        self._feeds = feeds
        self._folder = folder
        self._rows: dict[str, list[Mapping[str, object]]] = {}
        self._place = 0

    def text(self, text: str, encode: Callable[[str], str] = str) -> str | Callable[[Values], str]:
        """The text itself when nothing is to be filled in, else a function that gives it.

        `encode` is applied to what is filled in, such as percent-encoding in a path.
        """
        parts = [part if isinstance(part, str) else self._fill(part) for part in template.parse(text)]
        if all(isinstance(part, str) for part in parts):
            return "".join(part for part in parts if isinstance(part, str))
        if len(parts) == 1 and callable(only := parts[0]):
            return lambda values: encode(str(only(values)))

        def filled(values: Values) -> str:
            return "".join(part if isinstance(part, str) else encode(str(part(values))) for part in parts)

        return filled

    def path(self, text: str) -> str | Callable[[Values], str]:
        """A path and query; what is filled in is percent-encoded (RFC 3986)."""
        return self.text(text, lambda value: quote(value, safe=""))

    def data(self, value: object) -> object | Callable[[Values], object]:
        """Nested data; a text that is one placeholder keeps the type of what fills it."""
        if isinstance(value, str):
            parts = template.parse(value)
            return self._fill(parts[0]) if len(parts) == 1 and isinstance(parts[0], Placeholder) else self.text(value)
        if isinstance(value, list):
            items = [self.data(item) for item in value]
            if not any(callable(item) for item in items):
                return items
            return lambda values: [item(values) if callable(item) else item for item in items]
        if isinstance(value, dict):
            pairs = [(self.text(str(key)), self.data(item)) for key, item in value.items()]
            if not any(callable(x) for pair in pairs for x in pair):
                return dict(pairs)
            return lambda values: {
                key(values) if callable(key) else key: item(values) if callable(item) else item for key, item in pairs
            }
        return value

    def _fill(self, p: Placeholder) -> Fill:
        self._place += 1
        place = self._place
        if p.kind == "env":
            found = os.environ.get(p.name)
            if found is None:
                raise LoadError(f"the environment variable {p.name} is not set")
            return lambda _values: found
        if p.kind == "random":
            return _between(p.low, p.high, place)
        if p.kind == "uuid":
            return lambda values: _uuid(values.draw, place)
        if p.name in self._feeds:
            return self._feed(p.name, p.column)
        return lambda values: values.captured[p.name]

    def _feed(self, name: str, column: str | None) -> Fill:
        feed = self._feeds[name]
        place = zlib.crc32(name.encode()) + 2**32  # by name: all its uses in an arrival see the same row
        if feed.sequence is not None:
            first = feed.sequence
            return lambda values: first + values.index
        if feed.random is not None:
            return _between(*template.bounds(feed.random), place)
        if feed.uuid:
            return lambda values: _uuid(values.draw, place)
        column_values = feed.choose if feed.choose is not None else self._column(name, column or "")
        count = len(column_values)
        if feed.choose is not None or feed.order == "random":
            return lambda values: column_values[mixed(values.draw, place) % count]
        return lambda values: column_values[values.index % count]

    def _column(self, name: str, column: str) -> list[object]:
        feed = self._feeds[name]
        try:
            if name not in self._rows:
                self._rows[name] = read_rows(feed, self._folder)
            return [cell(row, column) for row in self._rows[name]]
        except KeyError:
            raise LoadError(f"feed {name}: {feed.file}: not every row has a {column!r}") from None
        except (OSError, ValueError) as error:
            raise LoadError(f"feed {name}: {feed.file}: {error}") from None


def _between(low: int, high: int, place: int) -> Fill:
    span = high - low + 1
    return lambda values: low + mixed(values.draw, place) % span


def _uuid(draw: int, place: int) -> str:
    bits = mixed(draw, place) << 64 | mixed(draw, place + 2**33)
    return str(uuid.UUID(int=bits, version=4))
