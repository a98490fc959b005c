"""What a part of the benchmark gives back: rows of one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `value` is what was measured, `against` what it is held against, `ratio` the one by the other.

    `bar` says in words what must hold; `met` is None where there is no bar, or nothing could be measured.
    """

    part: str
    what: str
    value: str
    against: str = ""
    ratio: float | None = None
    bar: str = ""
    met: bool | None = None


def table(rows: Sequence[Row]) -> str:
    """The rows as a markdown table."""
    head = ("part", "what", "measured", "against", "ratio", "bar", "met")
    body = [
        (
            row.part,
            row.what,
            row.value,
            row.against,
            "" if row.ratio is None else f"{row.ratio:.3f}",
            row.bar,
            {True: "yes", False: "NO", None: ""}[row.met],
        )
        for row in rows
    ]
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (head, *body)]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
