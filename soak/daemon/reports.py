"""Reports and comparisons of runs, made by `soak` as a process of its own: they are no work for the daemon."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from soak.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID, EXIT_PASS, SoakError

_MAKING_S = 120.0
_AT_ONCE = 1
"""Runs go on beside it: the machine is theirs."""
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
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def make(self, run_file: Path, view: str) -> bytes:
        """The report of a run file. Raises SoakError when there can be none."""
        return await self._made(["report", str(run_file), "--format", view], (EXIT_PASS,))

    async def compare(self, candidate: Path, reference: Path) -> bytes:
        """The comparison of two run files, as JSON. Raises SoakError when they cannot be compared."""
        answers = (EXIT_PASS, EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID)
        words = ["compare", str(candidate), str(reference), "--json", "--runs", str(candidate.parent)]
        return await self._made(words, answers)

    async def _made(self, words: list[str], answers: tuple[int, ...]) -> bytes:
        """What `soak WORDS` prints. Raises SoakError where it ends with an exit code that is none of `answers`."""
        async with self._turn:
            process = await asyncio.create_subprocess_exec(
                "nice", sys.executable, "-P", "-m", "soak.cli", *words, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                async with asyncio.timeout(_MAKING_S):
                    out, said = await process.communicate()
            except BaseException as error:
                process.kill()
                await process.wait()
                if isinstance(error, TimeoutError):
                    raise SoakError(f"it was not made within {_MAKING_S:g} s") from None
                raise
        if process.returncode not in answers or not out:
            raise SoakError(said.decode(errors="replace").strip().removeprefix("soak: ")[-500:] or "nothing was made")
        return out
