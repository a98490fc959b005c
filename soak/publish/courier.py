"""Brings alerts to one receiver, in a thread of its own: whatever the receiver does, the run never waits for it.

What cannot be delivered is tried again, later and later, in order, until the run ends. What becomes of it is told.
"""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Literal, Protocol

from soak.core.records import Event
from soak.publish.alert import Alert
from soak.publish.http import RefusedError, UnreachableError, back_off

_LAST_WAIT_S = 1.0
_TELL_AFTER = 4
"""Tries that fail, some ten seconds, before the run says that a receiver is away."""
MOST = 500
"""Messages that wait for one receiver."""


class Receiver(Protocol):
    """Where alerts go."""

    renew_s: float | None
    """How often alerts that go on are told again; None: never."""

    def send(self, alert: Alert, now: float) -> None:
        """Tell of one alert at `now` (s since 1970). Raises RefusedError or UnreachableError."""

    def renew(self, alerts: Sequence[Alert], now: float) -> None:
        """Tell again of those that go on. Raises the same."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an alert at a receiver: an event of the run."""

    kind: Literal["alert_sent", "alert_delayed", "alert_lost"]
    receiver: str
    alert: Alert
    tries: int
    why: str = ""

    @property
    def text(self) -> str:
        """The event in words."""
        what = self.alert.subject
        if self.kind == "alert_sent":
            return f"{self.receiver} was told: {what}"
        if self.kind == "alert_delayed":
            return f"{self.receiver}: {self.why}; it will be tried again until the run ends ({what})"
        return f"{self.receiver}: {self.why}; it was never told: {what}"

    @property
    def data(self) -> dict[str, object]:
        """The event for programs; with all of an alert that goes on, for a run that is resumed."""
        told = {"receiver": self.receiver, "fingerprint": self.alert.fingerprint, "status": self.alert.status}
        return {**told, "tries": self.tries, **({"alert": asdict(self.alert)} if self.goes_on else {})}

    @property
    def goes_on(self) -> bool:
        """Whether the receiver knows now of something that somebody has to say the end of."""
        return self.kind == "alert_sent" and self.alert.status == "firing" and self.alert.until is None


def known(events: Iterable[Event]) -> list[tuple[Alert, set[str]]]:
    """The alerts that go on by the events of a run so far, and which receivers know of each."""
    found: dict[str, tuple[Alert, set[str]]] = {}
    for event in events:
        if event.kind != "alert_sent":
            continue
        number, receiver = str(event.data["fingerprint"]), str(event.data["receiver"])
        match event.data.get("alert"):
            case dict(data):
                found.setdefault(number, (Alert.of_json(data), set()))[1].add(receiver)
            case _ if number in found:  # it was over, for this one
                found[number][1].discard(receiver)
                if not found[number][1]:
                    del found[number]
    return list(found.values())


class Courier:
    """Delivers to one receiver, called `name` wherever it can be read."""

    def __init__(self, name: str, receiver: Receiver) -> None:
        self.name = name
        self._receiver = receiver
        self._waiting: deque[Alert] = deque()
        self._open: dict[str, Alert] = {}
        self._told: deque[Told] = deque()
        self._changed = Condition()
        self._leaving: float | None = None
        self._renewed = monotonic()
        self._thread = Thread(target=self._deliver, name=f"soak-alerts {name}", daemon=True)
        self._thread.start()

    def post(self, alert: Alert) -> None:
        """Have it delivered, after what waits already. Never waits itself."""
        with self._changed:
            if len(self._waiting) >= MOST:
                self._told.append(Told("alert_lost", self.name, alert, 0, f"{MOST} others wait already"))
                return
            self._waiting.append(alert)
            self._changed.notify()

    def hold(self, alert: Alert) -> None:
        """Take over an alert that the receiver was told of already: it is not told again, only renewed."""
        with self._changed:
            self._open[alert.fingerprint] = alert
            self._renewed = -math.inf
            self._changed.notify()

    def told(self) -> list[Told]:
        """What became of alerts since this was asked last."""
        with self._changed:
            found = list(self._told)
            self._told.clear()
        return found

    def leave(self, deadline: float) -> None:
        """Deliver what still waits until `deadline` (on the monotonic clock), and nothing more."""
        with self._changed:
            self._leaving = deadline
            self._changed.notify()

    def join(self) -> None:
        """Wait until it has left; what still waits then is lost."""
        deadline = self._leaving if self._leaving is not None else monotonic()
        self._thread.join(max(0.0, deadline - monotonic()))
        with self._changed:
            for alert in self._waiting:
                self._told.append(Told("alert_lost", self.name, alert, 0, self._why or "there was no time left"))
            self._waiting.clear()

    _why = ""

    def _deliver(self) -> None:
        tries = 0
        renew = self._receiver.renew_s
        while (alert := self._next(renew)) is not _GONE:
            if alert is None:
                self._renewed = monotonic()
                self._renew()
                continue
            tries += 1
            try:
                self._receiver.send(alert, time.time())
            except RefusedError as error:
                self._done(alert, Told("alert_lost", self.name, alert, tries, str(error)))
            except UnreachableError as error:
                self._why = str(error)
                if tries == _TELL_AFTER:
                    self._tell(Told("alert_delayed", self.name, alert, tries, str(error)))
                self._pause(back_off(tries, error.after))
                continue
            except Exception as error:  # no receiver takes what cannot be written; the next alert may be another
                why = f"it could not be written ({type(error).__name__})"
                self._done(alert, Told("alert_lost", self.name, alert, tries, why))
            else:
                self._done(alert, Told("alert_sent", self.name, alert, tries))
            tries, self._why = 0, ""

    def _next(self, renew: float | None) -> Alert | None:
        """What is to be sent; None when it is time to renew, `_GONE` when it is time to leave."""
        with self._changed:
            while True:
                now = monotonic()
                if self._waiting and (self._leaving is None or now < self._leaving):
                    return self._waiting[0]
                if self._leaving is not None:
                    return _GONE
                renew_at = self._renewed + renew if renew is not None and self._open else None
                if renew_at is not None and now >= renew_at:
                    return None
                self._changed.wait(renew_at - now if renew_at is not None else None)

    def _renew(self) -> None:
        with contextlib.suppress(Exception):  # it was told, and will be again in a minute
            self._receiver.renew(list(self._open.values()), time.time())

    def _done(self, alert: Alert, told: Told) -> None:
        with self._changed:
            if self._waiting and self._waiting[0] is alert:
                self._waiting.popleft()
            if told.goes_on:
                self._open[alert.fingerprint] = alert
            else:
                self._open.pop(alert.fingerprint, None)
            self._told.append(told)

    def _tell(self, told: Told) -> None:
        with self._changed:
            self._told.append(told)

    def _pause(self, seconds: float) -> None:
        """Wait, by up to a quarter more so that many runs do not come back at once; not for long when leaving."""
        until = monotonic() + seconds * random.uniform(1.0, 1.25)
        with self._changed:
            while monotonic() < until:
                left = until - monotonic()
                if self._leaving is not None:
                    left = min(left, _LAST_WAIT_S, self._leaving - monotonic())
                    until = min(until, monotonic() + left)
                if left > 0:
                    self._changed.wait(left)


_GONE = Alert("", "", {}, "", (), "", "", "", "", 0.0)
