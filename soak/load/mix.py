"""The request mix: which request an arrival makes, and the path its placeholders become."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from soak.core.scenario import Request

_RANDOM = re.compile(r"\{random:(\d+)-(\d+)\}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request ready to be made: method, endpoint name, path for a draw, and what counts as success."""

    method: str
    endpoint: str
    path: Callable[[int], str]
    headers: dict[str, str]
    json: Any
    expect: frozenset[int] | None


class Mix:
    """Requests by weight. `pick` in [0, 1) chooses one, so a seeded schedule repeats the same mix."""

    def __init__(self, requests: list[Request]) -> None:
        total = sum(r.weight for r in requests)
        self._upper = [w / total for w in accumulate(r.weight for r in requests)][:-1]
        self.calls = [
            Call(
                r.method,
                r.endpoint,
                path_of(r.path),
                r.headers,
                r.json_body,
                frozenset(r.expect) if r.expect else None,
            )
            for r in requests
        ]

    def choose(self, pick: float) -> Call:
        """The request for an arrival's pick."""
        return self.calls[bisect_right(self._upper, pick)]


def path_of(template: str) -> Callable[[int], str]:
    """A function from a 63-bit draw to the path with its `{random:LOW-HIGH}` filled in."""
    parts = _RANDOM.split(template)
    if len(parts) == 1:
        return lambda _draw: template
    texts = parts[0::3]
    ranges = [(int(a), int(b) - int(a) + 1) for a, b in zip(parts[1::3], parts[2::3], strict=True)]

    def fill(draw: int) -> str:
        out = texts[0]
        for (low, span), text in zip(ranges, texts[1:], strict=True):
            draw, rest = divmod(draw, span)
            out += f"{low + rest}{text}"
        return out

    return fill
