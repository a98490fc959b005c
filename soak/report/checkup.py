"""What `soak doctor` found, as text for a terminal and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from soak.core.checkup import Check
from soak.report.phrases import clean
from soak.report.text import wrap

_MARKS = {"ok": "ok     ", "warning": "WARNING", "problem": "PROBLEM"}


def render_checkup(checks: Sequence[Check], *, as_json: bool) -> str:
    """Each check with what it means and its fix, in 96 columns or as `soak.doctor/1`."""
    if as_json:
        return json.dumps({"schema": "soak.doctor/1", "checks": [c.to_json() for c in checks]}, indent=2)
    width = max(len(c.name) for c in checks)
    lines = []
    for check in checks:
        lines += wrap(clean(f"{check.name:{width}}  {check.found}"), f"{_MARKS[check.state]}  ", " " * (width + 11))
        for label, text in (("means", check.means), ("fix", check.fix)):
            if text:
                lines += wrap(clean(text), f"{'':9}{label:5}  ", " " * 16)
    counts = Counter(c.state for c in checks)
    many = [f"{counts[s]} {s}{'s' if counts[s] > 1 else ''}" for s in ("problem", "warning") if counts[s]]
    return "\n".join([*lines, "", " and ".join(many) or "fit for soaks"])
