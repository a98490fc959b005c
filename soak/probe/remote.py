"""A side that an observer on another machine watches, as the run sees it.

A thread asks the observer every second for the looks since the last one, and puts them on the run's time axis. Looks
have numbers, and the observer's process has a session: nothing is taken twice, and what is missing is known. While the
observer cannot be reached it goes on looking; what it saw meanwhile is fetched afterwards, with its true times.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

from soak.core import units
from soak.core.clock import RemoteClock
from soak.core.errors import TargetError
from soak.core.exposition import RISING
from soak.core.records import Event, Sample
from soak.core.target import Observer
from soak.probe.door import Door
from soak.probe.line import DoorError
from soak.probe.message import TARGET, Answer, Look
from soak.probe.watch import gone

_POLL_S = 1.0
_MOST_PAUSE_S = 5.0
_EXCHANGES = 5
_HOLE_S = 5.0
"""No look for so long, or for five times the observer's pace, is said."""
_JUMP_S = 0.25
"""Crystals drift apart by 50 ppm or so: by this in more than an hour."""


class RemoteWatch:
    """Asks the observer of one side. `folder` is the base of relative paths; `every` is the pace the run wants (s).

    Raises TargetError when there is no observer that can be trusted and has something to watch.
    """

    def __init__(self, side: str, observer: Observer, folder: Path, every: float) -> None:
        self.side = side
        self._url = observer.url
        self._door = Door(observer, folder)
        self._clock = RemoteClock()
        self._counters = _Counters()
        self._zero = 0.0
        self._heard = monotonic()
        self._lost_at: float | None = None
        self._last_t = 0.0
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"soak-observer-{side}", daemon=True)
        answer = self._meet()
        self._session, self._last = answer.session, answer.next - 1
        self.about: Mapping[str, Any] = answer.about
        """What the observer says of itself and its host."""
        if not self.about.get("alive"):
            raise self._refusal("watches a process that is gone")
        if float(self.about["every"]) > 1.01 * every:
            raise self._refusal(
                f"looks every {units.duration(float(self.about['every']))}, and probe.every is "
                f"{units.duration(every)}; start it with --every {units.duration(every).replace(' ', '')}"
            )

    @property
    def process(self) -> str:
        """The process that it watches, on its own machine."""
        return _process(self.about)

    @property
    def clock_error(self) -> float:
        """Its times are wrong by this much at most (s), but for what the two clocks drift apart while it is cut off."""
        return self._clock.error

    def begin(self, zero: float, since: float | None = None) -> None:
        """The run's clock is counted from `zero` (s, monotonic): what is seen from `since` on is its."""
        self._zero, self._last_t = zero, since if since is not None else zero
        self._thread.start()

    def look(self) -> tuple[list[Sample], list[Event]]:
        """What came in since the last call, with its true times in seconds since the start of the run."""
        with self._lock:
            samples, self._samples = self._samples, []
            events, self._events = self._events, []
        return samples, events

    def complete(self, moment: float) -> bool:
        """Whether all that was seen before `moment` (s, monotonic) has come in; if not, it is asked for at once."""
        if self._heard >= moment:
            return True
        self._wake.set()
        return False

    def close(self) -> None:
        """Ask no more."""
        self._closed = True
        self._wake.set()
        if not self._thread.is_alive():  # it never began, or it ended
            self._door.close()

    def _meet(self) -> Answer:
        try:
            answer, self._clock = self._compared()
        except DoorError as error:
            raise self._refusal(str(error)) from None
        return answer

    def _compared(self) -> tuple[Answer, RemoteClock]:
        """The last of some answers without looks, and how far the clocks are apart. Raises DoorError."""
        clock = RemoteClock()
        for _ in range(_EXCHANGES):
            answer, sent, received = self._door.ask()
            clock.exchange(sent, answer.now, received)
        return answer, clock

    def _refusal(self, why: str) -> TargetError:
        return TargetError(f"{self.side}: the observer at {self._url} {why}")

    def _run(self) -> None:
        pause = 0.0
        while not self._closed:
            began = monotonic()
            try:
                answer, sent, received = self._door.ask(self._last, self._session)
                renewed = self._compared()[1] if answer.session != self._session else None
                self._take(answer, sent, received, renewed)
            except Exception as error:  # whatever a stranger's answer leads to must not end the thread
                known = isinstance(error, DoorError)
                self._miss(began, str(error) if known else f"says what makes no sense: {type(error).__name__}")
                pause = min(_MOST_PAUSE_S, pause + _POLL_S)
            else:
                behind = self._last + 1 < answer.next
                self._heard = self._heard if behind else began
                pause = 0.0 if behind else _POLL_S
            self._wake.wait(pause)
            self._wake.clear()
        self._door.close()

    def _miss(self, began: float, why: str) -> None:
        if self._lost_at is None:
            self._lost_at = began
            self._tell(began, "observer_lost", f"the observer at {self._url} {why}", {"reason": why})

    def _take(self, answer: Answer, sent: float, received: float, renewed: RemoteClock | None) -> None:
        if self._lost_at is not None:
            away = monotonic() - self._lost_at
            text = f"the observer at {self._url} is reached again after {units.duration(away)}"
            self._tell(received, "observer_back", text, {"seconds": away})
            self._lost_at = None
        if renewed is not None:
            self._session, self._last, self._clock = answer.session, answer.first - 1, renewed
            self._welcome(answer, received)
        elif self._jumped(sent, answer.now, received):
            self._clock = RemoteClock()
            self._tell(
                received, "note", f"the clock of the observer at {self._url} jumped: was a machine suspended?", {}
            )
        self.about = answer.about  # the root too: a restart that this observer saw is not to be told by the next
        self._clock.exchange(sent, answer.now, received)
        lost = answer.first - self._last - 1
        for number, look in enumerate(answer.looks, answer.first):
            if number > self._last:
                self._last = number
                self._place(look, lost)
                lost = 0

    def _jumped(self, sent: float, theirs: float, received: float) -> bool:
        """Whether an exchange contradicts the ones before it."""
        apart = abs(theirs - (sent + received) / 2 - self._clock.offset)
        return apart > (received - sent) / 2 + self._clock.error + _JUMP_S

    def _welcome(self, answer: Answer, received: float) -> None:
        """Another observer process than before: what happened while there was none is unknown."""
        text = f"the observer at {self._url} was started anew; it saw nothing meanwhile"
        self._tell(received, "observer_restarted", text, {})
        self._counters.renew()
        if answer.about.get("root") != self.about.get("root"):
            self._counters.count_restart()
            text = f"the service was started anew as process {_process(answer.about)} while its observer was away"
            self._tell(received, "restart", text, {})

    def _place(self, look: Look, lost: int) -> None:
        """Put a look on the time axis of the run; looks from before it, or of a time that was seen, are left out."""
        here = look.t - self._clock.offset
        shift = self._clock.offset + self._zero
        if here <= self._last_t:
            if here <= self._zero and any(e.kind == "target_exit" for e in look.events):
                self._keep([], [gone(self.side, 0.0)])
            return
        hole = here - self._last_t
        if lost or hole > max(_HOLE_S, 5 * float(self.about["every"])):
            what = f"{lost} looks had given way before they could be fetched" if lost else "the observer did not look"
            text = f"nothing was seen of the {self.side} for {units.duration(hole)}: {what}"
            self._tell(
                here, "observer_gap", text, {"from": self._last_t - self._zero, "to": here - self._zero, "looks": lost}
            )
        self._last_t = here
        samples = [
            Sample(s.t - shift, _renamed(s.source, self.side), self._counters.carried_on(s)) for s in look.samples
        ]
        events = [
            gone(self.side, e.t - shift, _status(e))
            if e.kind == "target_exit"
            else replace(e, t=e.t - shift, side=self.side if e.side == TARGET else e.side)
            for e in look.events
        ]
        self._keep(samples, events)

    def _tell(self, moment: float, kind: str, text: str, data: Mapping[str, object]) -> None:
        self._keep([], [Event(moment - self._zero, kind, self.side, text, data)])

    def _keep(self, samples: list[Sample], events: list[Event]) -> None:
        with self._lock:
            self._samples += samples
            self._events += events


class _Counters:
    """What only rises: restarts count from the start of the run, and nothing falls when an observer is replaced."""

    def __init__(self) -> None:
        self._add: dict[str, float] = {}
        self._last: dict[str, float] = {"process.restarts": 0.0}
        self._fresh = set(RISING)

    def renew(self) -> None:
        """The next values are those of another observer."""
        self._fresh = set(RISING)

    def count_restart(self) -> None:
        """The service was started anew, and no observer saw it."""
        self._last["process.restarts"] += 1

    def carried_on(self, sample: Sample) -> Mapping[str, float]:
        """The values of a sample, with the counters of the tree carried on."""
        if sample.source != TARGET:
            return sample.values
        values = dict(sample.values)
        for name in values.keys() & RISING:
            if name in self._fresh:
                behind = self._last.get(name, values[name]) - values[name]
                # an observer that is older than the run has counted what is not the run's
                self._add[name] = behind if name == "process.restarts" else max(0.0, behind)
            values[name] += self._add.get(name, 0.0)
            self._last[name] = values[name]
        self._fresh -= values.keys()  # what agents say comes in samples of its own
        return values


def _status(event: Event) -> int | None:
    """How the process ended, as wait(2) has it, if its observer knows."""
    status = event.data.get("status")
    return status if isinstance(status, int) else None


def _process(about: Mapping[str, Any]) -> str:
    """The id of the root process that an answer tells of."""
    return str(about.get("root")).partition("@")[0]


def _renamed(source: str, side: str) -> str:
    """The name of a source in the run file: the observer knows neither sides nor other hosts."""
    if source == "host":
        return "host" if side == "candidate" else f"host.{side}"
    return source.replace(TARGET, side, 1) if source == TARGET or source.startswith(f"{TARGET}/") else source
