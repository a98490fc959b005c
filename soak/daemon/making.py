"""What `soak` makes of run files for whoever asks: by a process of its own, one at a time, while a few wait.

Whoever asks and goes away is not noticed, so that without a bound a few hundred requests for the report of a long run
would take the daemon from everybody else for hours.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from soak.core.errors import EXIT_PASS, SoakError

_MAKING_S = 120.0
_MOST_WAITING = 16


class BusyError(SoakError):
    """So many wait already that another one would wait for too long."""


class Maker:
    """Makes one thing at a time: runs go on beside it, and the machine is theirs."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def make(self, module: str, words: Sequence[str], answers: Sequence[int] = (EXIT_PASS,)) -> bytes:
        """What `python -m MODULE WORDS` prints.

        Raises BusyError, and SoakError where it ends with an exit code that is none of `answers`.
        """
        if self._waiting >= _MOST_WAITING:
            raise BusyError("the daemon makes other reports now: come again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                return await _made(module, words, answers)
        finally:
            self._waiting -= 1


async def _made(module: str, words: Sequence[str], answers: Sequence[int]) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            "nice", sys.executable, "-P", "-m", module, *words,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise SoakError(f"it cannot be made: {error.strerror}") from None
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
