"""Who else was on the host: what took CPU, memory or the disk from the target, and is not the target's drift.

What is compared is the last third of the soak with the first one. Pressure (PSI, the kernel's share of time in which
somebody waited) and stolen time tell of a neighbour only where the target and the generator did not bring it about
themselves: a target that works more and more waits for a core too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from soak.core import units
from soak.core.records import Series
from soak.judge.side import Side

NOISY_SHARE = 0.10
"""Of all cores: a rise of the neighbours' share from which on the host is called noisy."""
STEAL_GREW = 0.05
PRESSURE_GREW = 0.10
"""Of the time: a rise from which on stolen time, or pressure, is no accident."""
_STEAL, _CROWD = 0.05, 0.5
"""Of the time stolen, and of all cores taken by other programs: so much is told though it did not get worse."""
_LEAST = 9
_OWN_CPU = 0.5
"""Of NOISY_SHARE: when targets and generators took so much more themselves, waiting for a core is their own doing."""
_OTHERS_MEMORY = 0.02
"""Of all memory: so much less of it is left than the target took."""


@dataclass(frozen=True, slots=True)
class Disturbance:
    """One thing that was taken from the target, or taken more and more during the soak, by `metric`, in words."""

    metric: str
    text: str


def noisy(side: Side) -> bool:
    """Whether the host got so much worse that a drift in time cannot be blamed on the target."""
    return bool(disturbances(side))


def disturbances(side: Side) -> list[Disturbance]:
    """All that got worse and was not the target's or the generator's own doing."""
    return [*_programs(side), *_stolen(side), *_pressure(side)]


def neighbours(side: Side) -> list[Disturbance]:
    """All that got worse, and what was taken all along: that makes no drift, but every request slower."""
    worse = disturbances(side)
    grew = {one.metric for one in worse}
    return [*(one for one in _all_along(side) if one.metric not in grew), *worse]


def crowded(side: Side) -> bool:
    """Whether other programs took most of the host all along: then requests wait for a core, now more, now less."""
    return _taken(side) > _CROWD * side.cores


def _all_along(side: Side) -> Iterator[Disturbance]:
    steal = side.soak_series("host.steal")
    if steal is not None and (mean := float(steal.v.mean())) > _STEAL:
        text = f"the hypervisor took {units.percent(mean)} of the CPU time: latencies are not all the target's"
        yield Disturbance("host.steal", text)
    if crowded(side):
        text = f"other programs took {_taken(side):.2g} of the host's {side.cores:.2g} cores all along"
        yield Disturbance("host.cpu", f"{text}: latencies are not all the target's")


def _taken(side: Side) -> float:
    """Cores that other programs took on average; none where that is not known."""
    others = _others(side)
    return float(np.mean(others)) if others is not None else 0.0


def _others(side: Side) -> np.ndarray | None:
    """Cores that everything but the targets and the generators took. They are missing to both sides alike."""
    busy = _host(side, "host.cpu")
    return busy.v * side.cores - _own(side, busy) if busy is not None else None


def _programs(side: Side) -> Iterator[Disturbance]:
    others = _others(side)
    if others is not None:
        grew = _grew(others)
        if grew > NOISY_SHARE * side.cores:
            yield Disturbance("host.cpu", f"other programs took {grew:.2g} cores more at the end than at the start")


def _stolen(side: Side) -> Iterator[Disturbance]:
    steal = _host(side, "host.steal")
    if steal is not None and _grew(steal.v) > STEAL_GREW:
        yield Disturbance("host.steal", f"the hypervisor took {_change(steal)} of the CPU time")


def _pressure(side: Side) -> Iterator[Disturbance]:
    for resource, words in (
        ("cpu", "tasks of the host waited for a core"),
        ("memory", "tasks of the host waited for memory"),
        ("io", "tasks of the host waited for its disks"),
    ):
        found = _host(side, f"host.psi_{resource}")
        if found is not None and _grew(found.v) > PRESSURE_GREW and not _own_doing(side, resource, found):
            yield Disturbance(f"host.psi_{resource}", f"{words} {_change(found)} of the time")


def _own_doing(side: Side, resource: str, pressure: Series) -> bool:
    """Whether the target or the generator may have brought a pressure about."""
    if resource == "cpu":
        return _grew(_own(side, pressure)) > _OWN_CPU * NOISY_SHARE * side.cores
    if resource == "memory":
        left, whole = _host(side, "host.memory_available"), _host(side, "host.memory_total")
        taken = side.soak_series("memory.rss")
        if left is None or whole is None:
            return True
        own = _grew(taken.v) if taken is not None else 0.0
        return -_grew(left.v) - own < _OTHERS_MEMORY * float(whole.v[-1])
    faults = side.soak_series("process.major_faults")
    return faults is not None and len(faults) >= _LEAST and _grew(faults.v) > 1


def _own(side: Side, at: Series) -> np.ndarray:
    """Cores that the targets on this machine and the generators took, at the times of a series of the host."""
    targets = side.recording.scenario.sides
    generated_here = targets["candidate"].machine is None
    used = np.zeros(len(at))
    for name in side.recording.sides:
        view = side if name == side.name else Side(name, side.recording, side.start, side.end)
        mine = ["process.cpu"] if view.on_host else []
        for metric in mine + (["generator.cpu"] if generated_here else []):
            found = view.soak_series(metric)
            if found is not None:
                workers = side.recording.scenario.load.workers if metric == "generator.cpu" else 1
                used = used + np.interp(at.t, found.t, found.v) * workers
    return used


def _host(side: Side, metric: str) -> Series | None:
    found = side.soak_series(metric)
    return found if found is not None and len(found) >= _LEAST else None


def _grew(v: np.ndarray) -> float:
    third = len(v) // 3
    return float(np.mean(v[-third:]) - np.mean(v[:third]))


def _change(series: Series) -> str:
    third = len(series) // 3
    first, last = (float(np.mean(part)) for part in (series.v[:third], series.v[-third:]))
    return f"{units.percent(last)} at the end and {units.percent(first)} at the start"
