"""What is done in each trial: drawn from the seed, so that a trial can be done again by its number."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Victim = Literal["daemon", "conductor", "master", "worker", "observer"]
Injection = Literal["disk full", "clock step", "target OOM"]
Kind = Literal["started", "observed", "served"]
"""A soak whose target it starts itself; one whose target is watched by an observer; two under a daemon."""
VICTIMS: tuple[Victim, ...] = ("daemon", "conductor", "master", "worker", "observer")
INJECTIONS: tuple[Injection, ...] = ("disk full", "clock step", "target OOM")

_KINDS: tuple[Kind, ...] = ("started", "observed", "served")
_ROUNDS: dict[Kind, tuple[Victim, ...]] = {
    "started": ("conductor", "worker"),
    "observed": ("observer", "observer", "conductor", "worker"),
    "served": ("daemon", "daemon", "conductor", "worker", "master"),
}
_MASTER_LAST = 0.7  # a run ends with its master, so that is the last thing that can happen to one
_AT_BIRTH = 0.15
_FIRST_S = (0.0, 14.0)
_NEXT_S = (0.5, 7.0)


@dataclass(frozen=True, slots=True)
class Kill:
    """A SIGKILL: to whom, and how long after the one before, or after the start of the trial (s).

    With `at_birth`, as soon after that as a run file is there which was not there before.
    """

    victim: Victim
    after: float
    at_birth: bool = False


@dataclass(frozen=True, slots=True)
class Trial:
    """One soak, or two under a daemon, and what is done to it."""

    number: int
    kind: Kind
    kills: tuple[Kill, ...]
    pick: int
    """Seeds the choice among several victims of one kind."""


def trials(seed: int) -> Iterator[Trial]:
    """Trials without end, the kinds in turn."""
    number = 0
    while True:
        number += 1
        yield trial(seed, number)


def trial(seed: int, number: int) -> Trial:
    """One trial by its number (from 1)."""
    draw = random.Random(f"{seed}/{number}")
    kind = _KINDS[(number - 1) % len(_KINDS)]
    victims = draw.choices(_ROUNDS[kind], k=draw.randint(2, 4))
    if kind != "served" and draw.random() < _MASTER_LAST:
        victims.append("master")
    kills = []
    for i, victim in enumerate(victims):
        birth = i == 0 and victim in ("conductor", "daemon") and draw.random() < _AT_BIRTH
        kills.append(Kill(victim, 0.0 if birth else draw.uniform(*(_FIRST_S if i == 0 else _NEXT_S)), birth))
    return Trial(number, kind, tuple(kills), draw.randrange(2**32))
