"""The process tree of one side: what it weighs, who came, who went, and who was replaced."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from dataclasses import dataclass, field

import psutil

from soak.core.child import signal_name
from soak.core.errors import TargetError
from soak.core.records import Event, Sample
from soak.core.target import Target
from soak.probe import procfs
from soak.probe.budget import Meter, Pace
from soak.probe.cgroup import Cgroup, PidsGroup, cgroup_of, pids_of
from soak.probe.ending import Endings
from soak.probe.find import Root, find
from soak.probe.procfs import GoneError, Stat

MAX_PROCESSES = 64
"""Processes that get a series of their own; the tree's sums count all of them."""

_CUMULATIVE = ("process.cpu_seconds", "process.minor_faults", "process.major_faults")
_SUMMED = ("memory.rss", "memory.anon", "process.threads", "process.fds", "process.connections", "memory.pss")
_REPLACED_WITHIN_S = 30.0
_RECOUNT_S = 30.0


@dataclass(slots=True)
class _Seen:
    """The last that was seen of one process, and since when (s)."""

    stat: Stat
    since: float
    values: dict[str, float] = field(default_factory=dict)
    limits: dict[str, float] | None = None  # not read yet; one that is unlimited is not in it


@dataclass(frozen=True, slots=True)
class _Vacancy:
    """A process that is gone since `t`, and may be replaced."""

    t: float
    seen: _Seen
    how: str

    def told(self, t: float) -> dict[str, object]:
        """What the event of its replacement at `t` says of it: who it was, how it ended, how long it lived and how
        long its place was vacant (s; no moments, since an observer has a clock of its own), how much memory it had."""
        stat, values = self.seen.stat, self.seen.values
        told: dict[str, object] = {
            "of": f"{stat.pid}@{stat.started}",
            "name": stat.name,
            "lived": self.t - self.seen.since,
            "vacant": t - self.t,
            "how": self.how,
        }
        return told | ({"rss": values["memory.rss"]} if "memory.rss" in values else {})


class TreeProbe:
    """Watches the tree under `root`. Identity is (pid, start time): a reused pid is another process.

    Sums of the tree: rss, anon, pss, threads, descriptors, connections. Maxima over its processes: stack
    high water. CPU time and faults include processes that have ended, so they never fall. `memory.peak`
    is the highest rss that the tree as a whole was seen to have, or VmHWM of a tree of one process.
    """

    def __init__(self, side: str, root: Root, target: Target) -> None:
        self.side = side
        self.root = root
        self._target = target
        self._seen: dict[tuple[int, int], _Seen] = {}
        self._ended: dict[str, float] = dict.fromkeys(_CUMULATIVE, 0.0)
        self._restarts = 0
        self._vacancies: list[_Vacancy] = []
        self._zombies: dict[tuple[int, int], int] = {}
        self._endings = Endings()
        self.root_status: int | None = None
        """How the last root that ended did so, as wait(2) has it; None where that is not known."""
        self._states: dict[str, float] = {}
        self._events: list[Event] = []
        self._peak = 0.0
        self.members: tuple[Stat, ...] = ()
        """The processes at the last sample; the root first."""
        self._group: Cgroup | None = None
        self._pids: PidsGroup | None = None
        self._groups: dict[Cgroup, float] = {}
        """The control groups of members, now and before, that still exist; each with its count of processes killed."""
        self._host_memory = psutil.virtual_memory().total
        self._looks = Pace(first=0.0, every=2.0, share=200.0)
        self._pss = Pace(first=10.0, every=60.0)
        self._connections = Pace(first=0.0, every=1.0)
        self._counted_fds: dict[tuple[int, int], float] = {}
        self._recount_at = 0.0
        self._last_connections: dict[tuple[int, int], float] = {}
        self.cost = Meter()

    @property
    def alive(self) -> bool:
        """Whether the root is still there."""
        return self.root.alive

    def sample(self, t: float) -> list[Sample]:
        """One sample of the tree and one of each process, at `t` seconds since the start of the run."""
        self.cost.start()
        try:
            return self._sample(t)
        finally:
            self.cost.stop()

    def events(self) -> list[Event]:
        """What happened to the tree since the last call."""
        events, self._events = self._events, []
        return events

    def close(self) -> None:
        """Let go of everything but the processes."""
        self._endings.close()

    def _sample(self, t: float) -> list[Sample]:
        before = self.root
        if not self.alive:
            self._find_again()
        members, zombies = _members(self.root)
        self.members = tuple(members)
        self._note_zombies(zombies)
        first = not self._seen
        self._note_ends(t, members)
        if self.root != before:
            self._note_renewal(t, before)
        self._note_starts(t, members, told=not first and self.root == before)
        pss_due = self._pss.due(t)
        if self._looks.due(t):
            self._states = _states(members)
            self._looks.done(t)
        for stat in members:
            seen = self._seen[stat.pid, stat.started]
            seen.stat = stat
            seen.values = self._process(seen, pss_due)
        if pss_due:
            self._pss.done(t)
        if self._connections.due(t) and self._may_have_changed(t):
            self._count_connections()
            self._connections.done(t)
        for key, count in self._last_connections.items():
            if key in self._seen:
                self._seen[key].values["process.connections"] = count
        self._count_kills(t)
        if not members:
            return []
        present = [self._seen[s.pid, s.started] for s in members]
        largest = sorted(present, key=lambda p: p.values.get("memory.rss", 0.0), reverse=True)[:MAX_PROCESSES]
        return [
            Sample(t, self.side, self._tree(present)),
            *(Sample(t, f"{self.side}/{p.stat.pid}@{p.stat.started}", p.values) for p in largest),
        ]

    def _process(self, seen: _Seen, with_pss: bool) -> dict[str, float]:
        stat = seen.stat
        values = {
            "process.cpu_seconds": stat.cpu_seconds,
            "process.minor_faults": float(stat.minor_faults),
            "process.major_faults": float(stat.major_faults),
            "process.threads": float(stat.threads),
        }
        try:
            values |= procfs.parse_status(procfs.read(stat.pid, "status"))
            values["process.fds"] = float(procfs.open_files(stat.pid))
            if seen.limits is None:
                seen.limits = _limits(stat.pid)
            values |= seen.limits
            if with_pss and (pss := procfs.parse_pss(procfs.read(stat.pid, "smaps_rollup"))) is not None:
                values["memory.pss"] = pss
        except (GoneError, PermissionError):
            pass  # what could not be read is absent, never zero
        return values

    def _tree(self, present: list[_Seen]) -> dict[str, float]:
        values: dict[str, float] = {"process.processes": float(len(present))}
        for name in _SUMMED:
            parts = [p.values[name] for p in present if name in p.values]
            if len(parts) == len(present) or (parts and name != "memory.pss"):
                values[name] = sum(parts)
        values["process.zombies"] = float(len(self._zombies))
        values |= self._states
        for name in _CUMULATIVE:
            values[name] = self._ended[name] + sum(p.values[name] for p in present)
        stacks = [(p.values["stack.high_water"], p) for p in present if "stack.high_water" in p.values]
        if stacks:
            deepest, process = max(stacks, key=lambda s: s[0])
            values["stack.high_water"] = deepest
            if "stack.limit" in process.values:
                values["stack.limit"] = process.values["stack.limit"]
        room = [(p.values["process.fds_limit"] - p.values["process.fds"], p) for p in present if _both_fds(p)]
        if room:  # a limit is each process's own: the one that is nearest to it counts
            values["process.fds_room"], nearest = min(room, key=lambda r: r[0])
            values["process.fds_limit"] = nearest.values["process.fds_limit"]
        if limits := [p.values["process.threads_limit"] for p in present if "process.threads_limit" in p.values]:
            values["process.threads_limit"] = min(limits)  # of all processes of a user together
        own_peak = present[0].values.get("memory.peak", 0.0) if len(present) == 1 else 0.0
        self._peak = max(self._peak, values.get("memory.rss", 0.0), own_peak)
        values["memory.peak"] = self._peak
        values["process.restarts"] = float(self._restarts)
        values["probe.cpu_seconds"] = self.cost.seconds
        return values | self._room()

    def _room(self) -> dict[str, float]:
        """Usage and limits of the root's control groups."""
        values = self._group.values() if self._group else {}
        if values.get("memory.limit", 0.0) >= self._host_memory:
            values.pop("memory.limit", None)  # a limit above what the host has limits nothing
        return values | (self._pids.values() if self._pids else {})

    def _join_groups(self, pid: int) -> None:
        """Note the control groups of a process that is new: a worker may have one of its own."""
        try:
            membership = procfs.read(pid, "cgroup")
        except (GoneError, PermissionError):
            return
        group = cgroup_of(membership)
        if pid == self.root.pid:
            self._group, self._pids = group, pids_of(membership)
        if group is not None and group not in self._groups and (kills := group.oom_kills()) is not None:
            self._groups[group] = kills

    def _count_kills(self, t: float) -> None:
        """Out-of-memory kills since the last look, also when nobody is left: the last one may have been the root's."""
        for group, before in list(self._groups.items()):
            kills = group.oom_kills()
            if kills is None:  # it went with its last process: a service that is started anew has another, of that name
                del self._groups[group]
                continue
            self._groups[group] = kills
            if more := kills - before if kills >= before else kills:
                text = "the kernel killed a process of the target's control group for want of memory"
                self._events.append(Event(t, "oom_kill", self.side, text, {"count": more, "group": str(group.folder)}))

    def _note_zombies(self, zombies: list[Stat]) -> None:
        """Processes of the tree that have ended and that their parent has not waited for."""
        self._zombies = {(s.pid, s.started): s.ended for s in zombies}

    def _may_have_changed(self, t: float) -> bool:
        """Whether any process has more or fewer descriptors than when connections were last counted; asked when due.

        To tell connections costs some milliseconds, however few there are; and one more or less is a descriptor more
        or less.
        """
        fds = {key: seen.values.get("process.fds", -1.0) for key, seen in self._seen.items()}
        if fds == self._counted_fds and t < self._recount_at:
            return False
        self._counted_fds, self._recount_at = fds, t + _RECOUNT_S
        return True

    def _count_connections(self) -> None:
        counts = procfs.connections(pid for pid, _ in self._seen)
        self._last_connections = {key: float(counts[key[0]]) for key in self._seen if key[0] in counts}

    def _note_ends(self, t: float, members: list[Stat]) -> None:
        now = {(s.pid, s.started) for s in members}
        for key in [k for k in self._seen if k not in now]:
            gone = self._seen.pop(key)
            for name in _CUMULATIVE:
                self._ended[name] += gone.values.get(name, 0.0)
            status = self._endings.of(*key)
            if key in self._zombies:
                status = self._zombies[key] or None  # 0 also where the kernel hides it
            how = how_ended(status) if status is not None else ""
            if key[0] == self.root.pid:
                self.root_status = status
            self._vacancies.append(_Vacancy(t, gone, how))
            text = f"process {key[0]} ({gone.stat.name}) ended{f': {how}' if how else ''}"
            self._events.append(Event(t, "process_exit", self.side, text, {"pid": key[0]}))
        self._vacancies = [v for v in self._vacancies if t - v.t <= _REPLACED_WITHIN_S]

    def _note_starts(self, t: float, members: list[Stat], told: bool) -> None:
        """Note who is new; not `told` are those of a tree that is new as a whole."""
        for stat in members:
            key = stat.pid, stat.started
            if key in self._seen:
                continue
            self._seen[key] = _Seen(stat, t)
            self._endings.hold(*key)
            self._join_groups(stat.pid)
            if not told:
                continue
            text = f"process {stat.pid} ({stat.name}) started"
            self._events.append(Event(t, "process_started", self.side, text, {"pid": stat.pid}))
            vacancy = next((v for v in self._vacancies if v.seen.stat.name == stat.name), None)
            if vacancy is not None:
                self._vacancies.remove(vacancy)
                alike = sum(s.name == stat.name and s.parent == stat.parent for s in members)
                replaced = vacancy.told(t) | {"root": False, "alike": alike}
                self._restart(t, f"process {stat.pid} ({stat.name}) took the place of one that ended", replaced)

    def _find_again(self) -> None:
        """A supervisor may have started the service anew: whoever has its port or name now is it."""
        if self._target.port is None and self._target.name is None:
            return
        with contextlib.suppress(TargetError):
            self.root = find(self._target)

    def _note_renewal(self, t: float, before: Root) -> None:
        """The service was started anew as a whole: that is one restart, however many processes it has."""
        old = next((v for v in self._vacancies if v.seen.stat.pid == before.pid), None)
        self._vacancies.clear()
        told: dict[str, object] = (old.told(t) if old is not None else {}) | {"root": True, "alike": 1}
        self._restart(t, f"the service was started anew as process {self.root.pid}", told)

    def _restart(self, t: float, text: str, told: dict[str, object]) -> None:
        self._restarts += 1
        self._events.append(Event(t, "restart", self.side, text, told))


def how_ended(status: int) -> str:
    """The status of wait(2) in words."""
    if os.WIFSIGNALED(status):
        return f"by {signal_name(os.WTERMSIG(status))}"
    return f"with code {os.WEXITSTATUS(status)}"


def _limits(pid: int) -> dict[str, float]:
    """Soft limits of a process that it can run into; root may have as many processes as it likes."""
    text = procfs.read(pid, "limits")
    found = {
        "stack.limit": procfs.parse_stack_limit(text),
        "process.fds_limit": procfs.parse_limit(text, "Max open files"),
        "process.threads_limit": procfs.parse_limit(text, "Max processes") if procfs.owner(pid) else None,
    }
    return {name: value for name, value in found.items() if value}


def _states(members: list[Stat]) -> dict[str, float]:
    """How many threads run, are stuck in the kernel where no signal reaches them, or were stopped by a signal."""
    found: Counter[str] = Counter()
    for stat in members:
        with contextlib.suppress(GoneError):
            found += procfs.thread_states(stat.pid)
    return {
        "process.threads_running": float(found["R"]),
        "process.threads_stuck": float(found["D"]),
        "process.threads_stopped": float(found["T"] + found["t"]),
    }


def _both_fds(seen: _Seen) -> bool:
    return "process.fds" in seen.values and "process.fds_limit" in seen.values


def _members(root: Root) -> tuple[list[Stat], list[Stat]]:
    """The root and all its descendants that live, the root first; and those that have ended but are still there."""
    try:
        top = procfs.stat(root.pid)
        children = procfs.children(root.pid)
    except GoneError:
        return [], []
    if top.started != root.started:
        return [], []
    if children is None:
        found = _swept(top)
        return [s for s in found if s.state not in "ZX"], [s for s in found if s.state in "ZX"]
    found, queue = [top], children
    while queue:
        pid = queue.pop()
        try:
            stat = procfs.stat(pid)
            queue += procfs.children(pid) or []
        except GoneError:
            continue
        found.append(stat)
    return [s for s in found if s.state not in "ZX"], [s for s in found if s.state in "ZX"]


def _swept(top: Stat) -> list[Stat]:
    """The same from a sweep over all processes, where the kernel does not list children."""
    by_parent: dict[int, list[Stat]] = {}
    for stat in procfs.all_stats().values():
        by_parent.setdefault(stat.parent, []).append(stat)
    found, queue = [], [top]
    while queue:
        stat = queue.pop()
        found.append(stat)
        queue += by_parent.get(stat.pid, [])
    return found
