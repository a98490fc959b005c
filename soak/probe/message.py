"""What an observer says: looks, numbered, in JSON that a person can read too.

    GET /v1/samples?after=SEQ&session=ID

    {"format": "soak.observer/1", "session": ID, "now": s, "first": SEQ, "next": SEQ, "about": {...}, "looks": [...]}

`now` is the moment of the answer and `t` of a look the moment of the look, both in seconds since the observer began,
on the monotonic clock of its host. `first` is the number of the first look in the answer: more than SEQ + 1 when the
ones before have given way. Of another session than the asker's, the looks begin with the oldest that is kept.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from soak.core.records import Event, Sample

FORMAT = "soak.observer/1"
TARGET = "target"
"""What an observer calls what it watches; the run that asks knows which side that is."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment of the observer (s since it began), and what happened since the moment before."""

    t: float
    samples: tuple[Sample, ...]
    events: tuple[Event, ...]

    def pack(self) -> bytes:
        """Compressed JSON: names repeat from process to process."""
        plain = {
            "t": self.t,
            "samples": [[s.t, s.source, dict(s.values)] for s in self.samples],
            "events": [[e.t, e.kind, e.side, e.text, dict(e.data)] for e in self.events],
        }
        return zlib.compress(json.dumps(plain, separators=(",", ":")).encode(), 1)

    @classmethod
    def read(cls, plain: Any) -> Self:
        """From the JSON inside a pack. Raises ValueError, TypeError or KeyError at anything else."""
        return cls(
            float(plain["t"]),
            tuple(
                Sample(float(t), str(source), {str(k): float(v) for k, v in values.items()})
                for t, source, values in plain["samples"]
            ),
            tuple(
                Event(float(t), str(kind), None if side is None else str(side), str(text), dict(data))
                for t, kind, side, text, data in plain["events"]
            ),
        )


def write(head: Mapping[str, Any], first: int, looks: list[bytes]) -> bytes:
    """An answer from its head and the packed looks from number `first` on."""
    start = json.dumps({**head, "format": FORMAT, "first": first}, separators=(",", ":"))
    return start[:-1].encode() + b',"looks":[' + b",".join(zlib.decompress(look) for look in looks) + b"]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was read; `about` says what is observed, how often (`every`, s), and where."""

    session: str
    now: float
    first: int
    next: int
    about: Mapping[str, Any]
    looks: tuple[Look, ...]

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Raises ValueError with the reason, in words that follow 'it is'."""
        try:
            plain = json.loads(body)
            told = str(plain["format"])
        except (ValueError, TypeError, LookupError, RecursionError):
            raise ValueError("not a soak observer") from None
        if told != FORMAT:
            raise ValueError(f"of another version: it speaks {told[:40]}, this soak {FORMAT}; install the same on both")
        try:
            if not math.isfinite(float(plain["now"])) or not float(plain["about"]["every"]) > 0:
                raise ValueError
            return cls(
                session=str(plain["session"]),
                now=float(plain["now"]),
                first=int(plain["first"]),
                next=int(plain["next"]),
                about=dict(plain["about"]),
                looks=tuple(Look.read(look) for look in plain["looks"]),
            )
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
            raise ValueError(f"not a soak observer, although it says {FORMAT}") from None
