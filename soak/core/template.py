"""Text with placeholders: `/items/{random:1-5000}?as={user.name}`, as paths, headers and bodies have them.

    {random:LOW-HIGH}   a whole number, drawn anew each time it is written
    {uuid}              a version 4 UUID (RFC 9562), drawn anew each time
    {NAME} {NAME.col}   a feed, a column of a feed, or a value that a journey captured
    ${NAME}             an environment variable, read where the load is made and kept nowhere
    {{NAME}}            {NAME} itself

Other braces are text: `{"a": {"b": 1}}` needs no escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_PART = re.compile(
    r"\{\{(?P<literal>[^{}]*)\}\}"
    r"|\$\{(?P<env>[A-Za-z_]\w*)\}"
    r"|\{(?P<kind>[a-z]+):(?P<argument>[^{}]*)\}"
    r"|\{(?P<name>[A-Za-z_]\w*)(?:\.(?P<column>[^{}]+))?\}"
)
_BOUNDS = re.compile(r"([0-9]{1,15})-([0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A hole in a text: what kind fills it; bounds are of `random` only, both included."""

    kind: Literal["random", "uuid", "name", "env"]
    name: str = ""
    column: str | None = None
    low: int = 0
    high: int = 0


Parts = tuple[str | Placeholder, ...]


def parse(text: str) -> Parts:
    """The parts of a text, in order. Raises ValueError at a placeholder that means nothing."""
    parts: list[str | Placeholder] = []
    end = 0
    for match in _PART.finditer(text):
        if match.start() > end:
            parts.append(text[end : match.start()])
        end = match.end()
        parts.append(_read(match))
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


def placeholders(value: object) -> Iterator[Placeholder]:
    """Every placeholder in a text, or in the texts of nested lists and mappings. Raises ValueError."""
    if isinstance(value, str):
        yield from (part for part in parse(value) if isinstance(part, Placeholder))
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from placeholders(key)
            yield from placeholders(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from placeholders(inner)


def outline(text: str) -> str:
    """The text with short names in its holes, fit for an endpoint's name: `/items/{random}`."""
    return "".join(part if isinstance(part, str) else "{" + (part.name or part.kind) + "}" for part in parse(text))


def escape(text: str) -> str:
    """A text that means itself: what would be a placeholder in it gets its braces doubled."""

    def doubled(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return "{" + match[0] + "}"
        return match[0].replace("{", "{{").replace("}", "}}")

    return _PART.sub(doubled, text)


def bounds(text: str) -> tuple[int, int]:
    """LOW and HIGH of `LOW-HIGH`. Raises ValueError."""
    match = _BOUNDS.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"expected LOW-HIGH with LOW up to HIGH, got {text[:40]!r}")
    return int(match[1]), int(match[2])


def _read(match: re.Match[str]) -> str | Placeholder:
    if match["literal"] is not None:
        return "{" + match["literal"] + "}"
    if match["env"]:
        return Placeholder("env", match["env"])
    if match["kind"]:
        try:
            low, high = bounds(match["argument"])
        except ValueError:
            low, high = 1, 0
        if match["kind"] != "random" or low > high:
            raise ValueError(
                f"expected {{random:LOW-HIGH}} with LOW up to HIGH, got {match[0][:60]}; "
                f"double the braces if it is text: {{{match[0][:60]}}}"
            )
        return Placeholder("random", low=low, high=high)
    if match["name"] == "uuid" and match["column"] is None:
        return Placeholder("uuid")
    return Placeholder("name", match["name"], match["column"])
