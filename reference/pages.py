"""The pages of docs/ that are made, each with who makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reference import api, causes, commands, exported, metrics, runbook, scenario, settings, verdict

PAGES: Mapping[str, Callable[[], str]] = {
    "reference/scenario.md": scenario.page,
    "reference/metrics.md": metrics.page,
    "reference/causes.md": causes.page,
    "reference/cli.md": commands.page,
    "reference/verdict.md": verdict.page,
    "reference/api.md": api.page,
    "reference/settings.md": settings.page,
    "alerts.md": runbook.page,
    "prometheus.md": exported.page,
}
