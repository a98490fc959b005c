"""Runs against runs, as text for a terminal and as JSON."""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import Any

from soak.core import units
from soak.core.comparison import RunsCompared
from soak.report import phrases
from soak.report.text import aligned, middle, wrap


def render_compared(found: RunsCompared, *, as_json: bool) -> str:
    """The comparison, in 96 columns or as `soak.comparison/1`."""
    if as_json:
        return json.dumps(found.to_json(), indent=2, allow_nan=False)
    lines = wrap(phrases.clean(found.headline))
    for note in found.notes:
        lines += wrap(f"Note: {phrases.clean(note)}", rest="      ")
    if found.candidate or found.reference:
        for name, runs in (("candidate", found.candidate), ("reference", found.reference)):
            lines += wrap(f"{name}: {', '.join(map(phrases.clean, runs))}", rest="  ")
    lines += ["", *_table(found)] if found.comparison else []
    for result in found.criteria:
        lines += wrap(f"{result.result}: {phrases.clean(result.text)}: {phrases.clean(result.reason)}", "  ", "    ")
    return "\n".join(lines)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the JSON form."""
    text = resources.files("soak.report").joinpath("comparison.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def _table(found: RunsCompared) -> list[str]:
    sds = {(s.metric, s.endpoint): units.percent(s.sd) for s in found.spreads}
    table = [("METRIC", "candidate", "reference", "ratio", "95 % interval", "run to run" if sds else "seen from", "")]
    for c, visible in zip(found.comparison, found.visible, strict=True):
        seen = f"{units.percent(visible - 1)}" if visible is not None and math.isfinite(visible) else ""
        table.append(
            (
                "  " + middle(phrases.clean(f"{c.metric} of {c.endpoint}" if c.endpoint else c.metric), 34),
                phrases.quantity(c.candidate, c.unit),
                phrases.quantity(c.reference, c.unit),
                phrases.quantity(c.ratio, "ratio"),
                phrases.interval(c.low, c.high, "ratio") if c.ratio is not None else "",
                sds.get((c.metric, c.endpoint), "") if sds else seen,
                c.change,
            )
        )
    return aligned(table)
