"""Quantities by name: `50ms`, `200/s`, `8h`, `3%`, `1 MiB/h`; inside, everything is SI base units.

A number without its unit is refused wherever a unit could be guessed wrong: `timeout: 10` might be
seconds or milliseconds, and a soak that guesses is worthless after eight hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Dimension = Literal["time", "rate", "ratio", "bytes", "count"]

_TIME = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PER = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1.0,
    "kB": 1e3,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "TB": 1e12,
    "KiB": 2.0**10,
    "MiB": 2.0**20,
    "GiB": 2.0**30,
    "TiB": 2.0**40,
}
_NUMBER = r"([+-]?\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?)"
_QUANTITY = re.compile(rf"^\s*{_NUMBER}\s*([A-Za-zµ%]*)\s*(?:/\s*([a-z]+))?\s*$")
_COMPOUND_TIME = re.compile(r"^\s*(?:\d+(?:\.\d+)?\s*(?:us|µs|ms|s|min|m|h|d)\s*)+$")
_TIME_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s|min|m|h|d)")

EXAMPLES: dict[Dimension, str] = {
    "time": "50ms, 30s, 5m, 8h or 1h30m",
    "rate": "200/s, 6000/min or 0.5/s",
    "ratio": "3% or 0.03",
    "bytes": "512 KiB, 200 MiB or 2 GB",
    "count": "200",
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in SI base units: seconds, bytes, 1/s, a plain ratio (3% is 0.03) or a count.

    `per` is None for a plain quantity, else the length in seconds of the time unit that it grows by:
    `1 MiB/h` is Quantity(1048576, "bytes", per=3600).
    """

    value: float
    dimension: Dimension
    per: float | None = None

    @property
    def per_second(self) -> float:
        """The rate of growth in base units a second. Raises ValueError when this is no rate."""
        if self.per is None:
            raise ValueError("not a rate of growth")
        return self.value / self.per


def parse(text: object, expected: Dimension, *, growth: bool = False) -> Quantity:
    """Read `text` as a quantity of the dimension `expected`.

    With `growth`, a growth limit is read: an amount of `expected` or a percentage, each optionally by
    time ("10%", "2%/h", "1 MiB", "1 MiB/h", "5ms/h"). Raises ValueError with what was expected.
    """
    examples = f"10%, 2%/h, {_growth_example(expected)}" if growth else EXAMPLES[expected]
    wanted = f"expected {'a growth' if growth else _NAMES[expected]} such as {examples}"
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"{wanted}, got {_KINDS.get(type(text)) or str(text).lower()}")
    if isinstance(text, (int, float)) and not (expected == "count" or (expected == "ratio" and not growth)):
        raise ValueError(f"{wanted}, got {text!s:.40} (a number needs its unit)")
    if isinstance(text, str) and len(text) > _LONGEST:
        raise ValueError(f"{wanted}, got {text[:_LONGEST]!r}...")
    try:
        quantity = _read(text, expected, growth, f"{wanted}, got {text!r}")
    except OverflowError:
        raise ValueError(f"{wanted}, got a number beyond all measure") from None
    if not abs(quantity.value) <= _LARGEST:
        raise ValueError(f"{wanted}, got {text!r}, a number beyond all measure")
    return quantity


def _read(text: str | int | float, expected: Dimension, growth: bool, complaint: str) -> Quantity:
    if not isinstance(text, str):
        return Quantity(float(text), expected)
    if not growth and expected == "time" and _COMPOUND_TIME.match(text):
        return Quantity(sum(float(n) * _TIME[u] for n, u in _TIME_PART.findall(text)), "time")
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(complaint)
    number, unit, per = float(match[1].replace("_", "")), match[2], match[3]
    if per is not None and per not in _PER:
        raise ValueError(f"{complaint} (unknown time unit {per!r})")
    if expected == "rate" and not growth:
        if unit or per is None:
            raise ValueError(complaint)
        return Quantity(number / _PER[per], "rate")
    if per is not None and not growth:
        raise ValueError(complaint)
    span = _PER[per] if per is not None else None
    if unit == "%":
        if expected != "ratio" and not growth:
            raise ValueError(complaint)
        return Quantity(number / 100.0, "ratio", span)
    scale = _scale(unit, expected)
    if scale is None:
        raise ValueError(complaint)
    return Quantity(number * scale, expected, span)


_LONGEST = 64
"""Characters of a quantity; nobody needs more, and patterns must not be fed a book."""
_LARGEST = 1e18
"""In base units: an exabyte, or more than the age of the universe."""
_KINDS: dict[type, str] = {list: "a list", dict: "a mapping", type(None): "nothing"}
_NAMES: dict[Dimension, str] = {
    "time": "a duration",
    "rate": "a rate",
    "ratio": "a ratio",
    "bytes": "a size",
    "count": "a number",
}


def _growth_example(dimension: Dimension) -> str:
    return {"bytes": "1 MiB/h", "time": "5ms/h", "count": "20/h", "rate": "1/h", "ratio": "1%/h"}[dimension]


def _scale(unit: str, dimension: Dimension) -> float | None:
    if dimension == "time":
        return _TIME.get(unit)
    if dimension == "bytes":
        return _BYTES.get(unit)
    return 1.0 if unit == "" else None


def duration(seconds: float) -> str:
    """Seconds for people: `1.5 ms`, `45 s`, `2 min 5 s`, `8 h`, `3 d 4 h`."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 1e-3:
        return f"{_short(seconds * 1e6)} µs"
    if seconds < 1:
        return f"{_short(seconds * 1e3)} ms"
    if seconds < 60:
        return f"{_short(seconds)} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    shown = [(n, u) for n, u in parts if n]
    return " ".join(f"{n} {u}" for n, u in shown[:2])


def size(n: float) -> str:
    """Bytes for people, binary: `512 B`, `1.5 KiB`, `45.2 MiB`."""
    sign, n = ("-", -n) if n < 0 else ("", n)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{sign}{_short(n)} {unit}"
        n /= 1024
    return f"{sign}{_short(n)} TiB"


def percent(ratio: float) -> str:
    """A ratio for people: 0.031 is `3.1 %`."""
    return f"{_short(ratio * 100)} %"


def show(value: float, dimension: Dimension) -> str:
    """A value in base units for people."""
    if dimension == "time":
        return duration(value)
    if dimension == "bytes":
        return size(value)
    if dimension == "ratio":
        return percent(value)
    return f"{_short(value)}/s" if dimension == "rate" else _short(value)


def show_growth(per_second: float, dimension: Dimension) -> str:
    """A slope in base units a second, shown by the hour: `12.3 MiB/h`, `4 ms/h`, `2 %/h`."""
    return f"{show(per_second * 3600, dimension if dimension != 'rate' else 'count')}/h"


def _short(x: float) -> str:
    """Three significant digits, without a trailing `.0` or an exponent for everyday sizes."""
    if x == 0:
        return "0"
    if abs(x) >= 100:
        return f"{x:.0f}"
    text = f"{x:.3g}"
    return f"{x:.3f}".rstrip("0").rstrip(".") if "e" in text and abs(x) >= 1e-3 else text
