"""The pages of docs/reference/, each with who makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reference import api, causes, commands, metrics, scenario, settings, verdict

PAGES: Mapping[str, Callable[[], str]] = {
    "scenario.md": scenario.page,
    "metrics.md": metrics.page,
    "causes.md": causes.page,
    "cli.md": commands.page,
    "verdict.md": verdict.page,
    "api.md": api.page,
    "settings.md": settings.page,
}
