"""The names that Prometheus sees, at the end of its page."""

from __future__ import annotations

from pathlib import Path

from reference import markdown
from soak.publish.names import FAMILIES

_PAGE = Path(__file__).parents[1] / "docs" / "prometheus.md"


def page() -> str:
    """docs/prometheus.md: what is written there by hand, and all names."""
    rows = ((markdown.code(f.sample), ", ".join(map(markdown.code, f.labels)), f.help) for f in FAMILIES.values())
    table = markdown.table(("name", "labels", "meaning"), rows)
    return markdown.with_end(_PAGE.read_text(encoding="utf-8"), "## All names", table)
