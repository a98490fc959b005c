"""Markdown as a git host reads it: pages, tables and anchors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MADE = "<!-- made from the code by `make reference`: change it there -->"


def page(title: str, *parts: str) -> str:
    """A page with the note that it is made."""
    return "\n\n".join([f"# {title}", MADE, *(part.strip("\n") for part in parts if part.strip())]) + "\n"


def with_end(page: str, head: str, *parts: str) -> str:
    """A page that is written by hand up to a heading, and made from there on."""
    by_hand, found, _ = page.partition(f"\n{head}\n")
    assert found, f"there is no {head}"
    return "\n\n".join([by_hand.rstrip("\n"), head, MADE, *(part.strip("\n") for part in parts)]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars within cells are escaped, line ends become spaces."""
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def code(text: object) -> str:
    """As code; what Markdown would read in it is left alone."""
    return f"`{text}`"


def slug(heading: str) -> str:
    """The anchor that a git host gives a heading: lower case, hyphens for spaces, punctuation left out."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")


def sentence(text: str) -> str:
    """A line of a docstring or description: whole, on one line."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Text that is no HTML by mistake: placeholders in angle brackets stay as they are."""
    return re.sub(r"<(?=\w)", "&lt;", text)


def _cell(text: str) -> str:
    return sentence(text).replace("|", "\\|")
