"""Which findings of a live run are worth an alert: those that held while enough new data came to contradict them.

A live look is no verdict: nobody corrected it for looking so often, and looks that follow each other see nearly the
same data. So a finding must be there at every look until the soak is a quarter longer than when it was first seen, for
2 min at the least (a tenth of the soak if that is less) and 30 min at the most, and at two looks. It is over when it
was missing for as long. What happened already (a crash, a hang) is a fact and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from soak.core.verdict import Finding

_SHARE = 0.25
_LEAST_S = 120.0
_LEAST_SHARE = 0.1
_MOST_S = 1800.0
_LOOKS = 2

Key = tuple[str, str, str, str]
"""(side, cause, metric, endpoint)"""


def key_of(side: str, finding: Finding) -> Key:
    """What makes it the same finding at the next look."""
    return side, finding.cause, finding.metric, finding.endpoint or ""


@dataclass(slots=True)
class _Since:
    """A state that lasts: since when (s of soak), and how many looks have seen it."""

    at: float
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look changed: findings that are alerts now, and those that are over."""

    raised: tuple[Key, ...]
    gone: tuple[Key, ...]


class Holding:
    """Follows the findings of a soak of `soak` seconds from look to look."""

    def __init__(self, soak: float, facts: Collection[str]) -> None:
        self._least = min(_LEAST_S, _LEAST_SHARE * soak)
        self._facts = facts
        self._there: dict[Key, _Since] = {}
        self._missing: dict[Key, _Since] = {}
        self._raised: set[Key] = set()

    def restore(self, key: Key) -> None:
        """Go on with one that is an alert already."""
        self._raised.add(key)

    def look(self, findings: Mapping[Key, Finding], soaked: float) -> Changes:
        """What a look after `soaked` seconds of soak changes; `findings` are those that fail their side."""
        raised, gone = [], []
        for key in [k for k in self._there if k not in findings]:
            del self._there[key]
        for key in findings:
            self._missing.pop(key, None)
            since = self._there.setdefault(key, _Since(soaked))
            since.looks += 1
            if key not in self._raised and (key[1] in self._facts or self._held(since, soaked)):
                self._raised.add(key)
                raised.append(key)
        for key in sorted(self._raised - findings.keys()):
            since = self._missing.setdefault(key, _Since(soaked))
            since.looks += 1
            if key[1] not in self._facts and self._held(since, soaked):
                self._raised.remove(key)
                del self._missing[key]
                gone.append(key)
        return Changes(tuple(raised), tuple(gone))

    def _held(self, since: _Since, soaked: float) -> bool:
        wanted = min(max(self._least, _SHARE * since.at), _MOST_S)
        return since.looks >= _LOOKS and soaked - since.at >= wanted
