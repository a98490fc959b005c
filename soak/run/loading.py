"""The load of a run: the generators of all its sides, as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from secrets import token_hex

from soak.core.errors import LoadError
from soak.core.records import Event
from soak.load import Fleet, Plan, digests
from soak.run.account import close_account
from soak.run.order import Order
from soak.run.progress import View
from soak.runfile import RunWriter


class Loading:
    """Every side's generators are told the same, for the same moment. There are none before `start`."""

    def __init__(self, order: Order, view: View) -> None:
        self._order, self._view = order, view
        self._fleets: list[Fleet] = []

    def start(self, zero: float, cleanup: contextlib.ExitStack) -> None:
        """Have them all ready to begin; the run's clock is counted from `zero` (s, monotonic). Raises LoadError."""
        order, folder, past = self._order, self._order.folder.resolve(), self._order.past
        listen = (
            {s: replace(at, port=at.port + i) for i, s in enumerate(order.scenario.sides)}
            if (at := order.listen)
            else {}
        )
        for side in order.scenario.sides:
            plan = Plan(
                run=order.run_file.stem,
                side=side,
                zero=zero,
                scenario=order.raw,
                folder=str(folder),
                digests=digests(order.scenario, folder),
                ports={s: at.port for s, at in listen.items()},
                since=past.upto if past is not None else 0.0,
            )
            token, workers = order.token or token_hex(16), order.scenario.load.workers
            life = past.number if past is not None else 0
            fleet = Fleet(plan, token, workers, order.run_file.resolve(), listen.get(side), life)
            cleanup.callback(fleet.close)
            fleet.start(self._view.say)
            self._fleets.append(fleet)

    def begin(self, at: float) -> None:
        """Let the load begin at `at` (s, monotonic); it ends by itself with its schedule. Raises LoadError."""
        for fleet in self._fleets:
            fleet.begin(at)

    def stop(self, at: float) -> None:
        """Let nothing begin that falls due at or after `at` (s, monotonic)."""
        for fleet in self._fleets:
            with contextlib.suppress(LoadError):  # who is gone sends nothing more
                fleet.stop(at)

    @property
    def drained(self) -> bool:
        """Whether all is answered, or nobody is left to tell."""
        return all(f.drained for f in self._fleets) or not any(f.alive for f in self._fleets)

    def poll(self, now: float) -> Iterator[Event]:
        """What happened to them since the last call, at `now` (s of the run); a `generator_error` ends it."""
        for fleet in self._fleets:
            for loss in fleet.poll():
                text = f"the load {loss.name} of the {fleet.side} ended with code {loss.code}"
                yield Event(now, "note" if fleet.alive else "generator_error", fleet.side, text, {"said": loss.text})
            for kind, text in fleet.told:  # the master wrote it down
                if kind != "split":
                    self._view.say(f"{kind.replace('_', ' ')}: {text}")
            fleet.told.clear()

    def close(self, writer: RunWriter, begin: float, until: float) -> None:
        """End each, and close its account; the schedule began at `begin` and ended at `until` (s of the run)."""
        order = self._order
        for fleet in self._fleets:
            fleet.close()  # first: what a worker that was waited for in vain still reports would be counted twice
        for fleet in self._fleets:
            close_account(writer, order.run_file, order.scenario, order.folder, fleet, begin, until)
