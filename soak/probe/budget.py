"""The probe's own cost: a costly look backs off, so that watching stays a small share of one core."""

from __future__ import annotations

from time import thread_time


class Pace:
    """Decides when a costly look may happen again: after at least `every` s, and `share` times the CPU it took.

    CPU and not time: on a busy host a look takes longer, and would be taken least often where most goes on.
    """

    def __init__(self, first: float, every: float, share: float = 1000.0) -> None:
        self._next = first
        self._every = every
        self._share = share
        self._began = 0.0

    def due(self, t: float) -> bool:
        """Whether the time has come, at `t` seconds since the start of the run."""
        if t < self._next:
            return False
        self._began = thread_time()
        return True

    def done(self, t: float) -> None:
        """The look has been taken; the next one is put off by what it cost."""
        self._next = t + max(self._every, self._share * (thread_time() - self._began))


class Meter:
    """CPU seconds that this thread spent between `start` and `stop`, summed up."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def start(self) -> None:
        """Begin to count."""
        self._began = thread_time()

    def stop(self) -> None:
        """Count what was spent since `start`."""
        self.seconds += thread_time() - self._began
