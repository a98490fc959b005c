"""Judging a run while it goes on, and packing what is old of it: beside it, and seldom enough to cost it little.

What a look finds is a hint. Only what is certain at one of the looks that are corrected for may end the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic

from soak.core.scenario import Scenario
from soak.core.verdict import Verdict
from soak.judge import Certain, Look, judge_live, planned, settled_s
from soak.runfile import LiveReader, RunWriter, read, window_length

_FRESH_S = 90.0  # of intervals stay as they are: what is told of the last minute is taken of them
_LOOK_S = 15.0
_LOOK_SHARE = 50  # a live look may cost one part in fifty of the time between two of them

Judged = tuple[Verdict, Certain | None]


class Judging:
    """Live looks at one run, one at a time.

    `now` is the run's clock (s), whose zero may be set later. `note` is told of looks that fail, once of each kind:
    while they do, nobody is alerted.
    """

    def __init__(
        self, scenario: Scenario, live: LiveReader, now: Callable[[], float], note: Callable[[str], None]
    ) -> None:
        self._scenario, self._live, self._now, self._note = scenario, live, now, note
        self._faults: set[str] = set()
        self._looker = ThreadPoolExecutor(1, "soak-look")
        self._look: Future[Judged] | None = None
        self._ahead: list[Look] = []
        self._next = _LOOK_S

    def plan(self, steady: float) -> None:
        """Have the looks that may end a run whose soak begins at `steady` (s)."""
        self._ahead = planned(steady, self._scenario.phases.soak, window_length(self._scenario))

    def found(self) -> Judged | None:
        """What a look found that is over; once."""
        if self._look is None or not self._look.done():
            return None
        look, self._look = self._look, None
        if (error := look.exception()) is None:
            return look.result()
        if (kind := type(error).__name__) not in self._faults:  # it ends no run: the verdict has a look of its own
            self._faults.add(kind)
            self._note(f"the run so far could not be judged: {kind}: {error}"[:300])
        return None

    def begin(self, now: float) -> None:
        """Have a look, if one is due at `now` and none is under way."""
        if self._look is not None:
            return
        settled = now - settled_s(self._scenario.interval_s)
        due = [look for look in self._ahead if look.upto <= settled]
        if not due and now < self._next:
            return
        self._ahead = self._ahead[len(due) :]
        look = due[-1] if due else None
        upto = max(now - _FRESH_S, look.upto if look is not None else 0.0)
        self._next = now + _LOOK_S
        self._look = self._looker.submit(self._judged, look, upto)

    def close(self) -> None:
        """Have no more looks, when the one under way is over. Safe to call twice."""
        self._looker.shutdown(cancel_futures=True)

    def _judged(self, look: Look | None, upto: float) -> Judged:
        with contextlib.closing(RunWriter.attach(self._live.path)) as writer:
            writer.roll_up(upto, window_length(self._scenario))
        began = monotonic()
        try:
            # a look that may end the run reads all there is: the verdict must find the same in the file
            return judge_live(read(self._live.path) if look is not None else self._live.recording(), look)
        finally:  # one that fails costs as much
            self._next = self._now() + max(_LOOK_S, _LOOK_SHARE * (monotonic() - began))
