"""Another host's monotonic clock, as seen from here.

Offset and error come from exchanges of time stamps as in NTP (RFC 5905, section 8): the exchange with the shortest
round trip of the last ones tells most, and is wrong by half its round trip at most. Two hosts' clocks drift apart by
up to seconds a day, so it is asked for again all the time.
"""

from __future__ import annotations

from collections import deque

_KEPT = 16


class RemoteClock:
    """What to add to this host's monotonic clock to get the other's (s)."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def exchange(self, sent: float, theirs: float, received: float) -> None:
        """Note an exchange: sent and received by this clock, answered at `theirs` by the other."""
        self._seen.append((received - sent, theirs - (sent + received) / 2))

    @property
    def offset(self) -> float:
        """Seconds that the other clock is ahead."""
        return min(self._seen)[1] if self._seen else 0.0

    @property
    def error(self) -> float:
        """The offset is wrong by this much at most (s)."""
        return min(self._seen)[0] / 2 if self._seen else float("inf")
