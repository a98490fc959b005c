"""The runbook: a place for each cause and each end that an alert links to, in the words of the page of causes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reference import markdown
from reference.meanings import ROOMS

_PAGE = Path(__file__).parents[1] / "docs" / "alerts.md"
_ENDS: Mapping[str, tuple[str, str]] = {
    "run_fail": (
        "the run failed by its criteria, without a finding of the watch.",
        "look at the criteria that failed, in the report.",
    ),
    "run_invalid": (
        "the measurement cannot be trusted; nothing is said of the target, good or bad.",
        "mend the measurement, and soak again.",
    ),
    "run_inconclusive": (
        "the evidence does not settle it, and there had been an alert.",
        "do what the reasons say, most often soak longer or with more load.",
    ),
    "run_lost": (
        "a run stopped telling how it is, and had not ended. What it had found stands; what came since nobody knows.",
        "`soak runs` on its machine; `soak run --resume RUN` goes on with one that was cut off.",
    ),
    "daemon_silent": (
        "the daemon is gone, hangs, or cannot be scraped. Runs go on without it, but no new one begins.",
        "start it anew; it adopts what runs.",
    ),
}
"""What alerts tell that is no cause: what it means, and what helps."""


def page() -> str:
    """docs/alerts.md: what is written there by hand, and the runbook."""
    causes = {cause: (m.means, m.meanwhile) for room in ROOMS.values() for cause, m in room.items()}
    told = (
        f"### {name}\n\n{_capital(means)}\nUntil it is mended: {meanwhile}"
        for name, (means, meanwhile) in {**causes, **_ENDS}.items()
    )
    before = (
        "By cause. The next step stands in the alert; here is what it means, and what helps until it is mended.\n"
        "How each is told: [Causes](reference/causes.md)."
    )
    return markdown.with_end(_PAGE.read_text(encoding="utf-8"), "## Runbook", before, *told)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
