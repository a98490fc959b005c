"""Reports and comparisons of runs, made by `soak` as a process of its own: they are no work for the daemon."""

from __future__ import annotations

from pathlib import Path

from soak.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID, EXIT_PASS
from soak.daemon.making import Maker

MEDIA = {
    "html": "text/html; charset=utf-8",
    "json": "application/json",
    "junit": "application/xml",
    "markdown": "text/markdown; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}


def page_of(run_file: Path) -> Path | None:
    """The page that the run made at its end, if it has ended: a file to be sent piece by piece, as it is taken."""
    page = run_file.with_suffix(".html")
    return page if page.is_file() else None


class Reports:
    """Makes reports and comparisons, one at a time."""

    def __init__(self) -> None:
        self._maker = Maker()

    async def make(self, run_file: Path, view: str) -> bytes:
        """The report of a run file. Raises SoakError when there can be none, BusyError."""
        return await self._maker.make("soak.cli", ["report", str(run_file), "--format", view])

    async def compare(self, candidate: Path, reference: Path) -> bytes:
        """The comparison of two run files, as JSON. Raises SoakError when they cannot be compared, BusyError."""
        answers = (EXIT_PASS, EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID)
        words = ["compare", str(candidate), str(reference), "--json", "--runs", str(candidate.parent)]
        return await self._maker.make("soak.cli", words, answers)
