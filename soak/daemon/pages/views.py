"""What pages show of runs, made by a process of its own: judging days is no work for the daemon.

However many look, at most one such process is at work. A view of a run that goes on is shared by all who look, and is
made anew when it is older than five seconds and than nine times the CPU time that making it took: a run of days, which
takes long to read, costs at most a tenth of a core, and nothing while nobody looks. A view of a run that has ended is
made once.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from soak.core.errors import SoakError
from soak.daemon.making import Maker

_FRESH_S = 5.0
_REST = 9.0
_MOST_KEPT = 16


@dataclass(frozen=True, slots=True)
class View:
    """One view: JSON, packed. `version` is another one when anything of it is; `again` is how long it is good for (s).

    `error` says why there is none.
    """

    packed: bytes
    version: str
    made: float
    again: float
    error: str | None = None


class Views:
    """Makes views, and keeps the last few."""

    def __init__(self) -> None:
        self._maker = Maker()
        self._kept: OrderedDict[tuple[str, ...], View] = OrderedDict()
        self._making: dict[tuple[str, ...], asyncio.Task[View]] = {}

    async def of_run(self, run_file: Path, *, going_on: bool) -> View:
        """A run: as it is now, or as it ended. Raises SoakError where there is nothing to show."""
        if going_on:
            return await self._view(("going-on", str(run_file)), lasting=False)
        return await self._view(("run", str(run_file)), lasting=True)

    async def compared(self, new: Path, old: Path) -> View:
        """A run against another one. Raises SoakError where they cannot be compared."""
        return await self._view(("compare", str(new), str(old)), lasting=True)

    async def _view(self, words: tuple[str, ...], *, lasting: bool) -> View:
        key = (*words, *_stamps(words[1:])) if lasting else words
        view = self._kept.get(key)
        if view is None or (monotonic() - view.made > view.again and not (lasting and view.error is None)):
            if key not in self._making:
                self._making[key] = asyncio.create_task(self._make(words, key))
                self._making[key].add_done_callback(lambda _: self._making.pop(key, None))
            view = await asyncio.shield(self._making[key])  # whoever goes away leaves it to the others
        if view.error is not None:
            raise SoakError(view.error)
        return view

    async def _make(self, words: tuple[str, ...], key: tuple[str, ...]) -> View:
        try:
            # the CPU time (s) that it took, and what is shown
            took, _, content = (await self._maker.make("soak.cli.view", words)).partition(b"\n")
            error = None
        except SoakError as failed:
            took, content, error = b"0", b"", str(failed)
        now = monotonic()
        packed = await asyncio.to_thread(gzip.compress, content, 6)
        version = hashlib.sha256(content).hexdigest()[:20]
        view = self._kept[key] = View(packed, version, now, max(_FRESH_S, _REST * float(took)), error)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return view


def _stamps(files: tuple[str, ...]) -> tuple[str, ...]:
    """What changes when a run file does: one that was resumed is another run than before."""
    try:
        return tuple(str(Path(file).stat().st_mtime_ns) for file in files)
    except OSError:
        raise SoakError("the run file is no longer there") from None
