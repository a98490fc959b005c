"""Brings alerts to one receiver, in a thread of its own: whatever the receiver does, the run never waits for it.

What cannot be delivered is tried again, later and later, in order, until the run ends. What becomes of it is told.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic
from typing import Literal, Protocol

from soak.publish.alert import Alert
from soak.publish.http import RefusedError, UnreachableError

_FIRST_WAIT_S, _LONGEST_WAIT_S, _LAST_WAIT_S = 1.0, 60.0, 1.0
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
        renewed = monotonic()
        while (alert := self._next(renewed + renew if renew is not None and self._open else None)) is not _GONE:
            if alert is None:
                renewed = monotonic()
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
                self._pause(max(error.after, min(_FIRST_WAIT_S * 2 ** (tries - 1), _LONGEST_WAIT_S)))
                continue
            except Exception as error:  # no receiver takes what cannot be written; the next alert may be another
                why = f"it could not be written ({type(error).__name__})"
                self._done(alert, Told("alert_lost", self.name, alert, tries, why))
            else:
                self._done(alert, Told("alert_sent", self.name, alert, tries))
            tries, self._why = 0, ""

    def _next(self, renew_at: float | None) -> Alert | None:
        """What is to be sent; None when it is time to renew, `_GONE` when it is time to leave."""
        with self._changed:
            while True:
                now = monotonic()
                if self._waiting and (self._leaving is None or now < self._leaving):
                    return self._waiting[0]
                if self._leaving is not None:
                    return _GONE
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
            if alert.status == "firing" and alert.until is None and told.kind == "alert_sent":
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
