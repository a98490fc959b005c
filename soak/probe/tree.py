"""The process tree of one side: what it weighs, who came, who went, and who was replaced."""

from __future__ import annotations

from dataclasses import dataclass, field

import psutil

from soak.core.errors import TargetError
from soak.core.records import Event, Sample
from soak.core.scenario import Target
from soak.probe import procfs
from soak.probe.budget import Meter, Pace
from soak.probe.cgroup import Cgroup, cgroup_of
from soak.probe.find import Root, find
from soak.probe.procfs import GoneError, Stat

MAX_PROCESSES = 64
"""Processes that get a series of their own; the tree's sums count all of them."""

_CUMULATIVE = ("process.cpu_seconds", "process.minor_faults", "process.major_faults")
_SUMMED = ("memory.rss", "memory.anon", "process.threads", "process.fds", "process.connections", "memory.pss")
_REPLACED_WITHIN_S = 30.0


@dataclass(slots=True)
class _Seen:
    """The last that was seen of one process."""

    stat: Stat
    values: dict[str, float] = field(default_factory=dict)
    stack_limit: float | None = None  # not read yet; 0 is unlimited


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
        self._vacancies: list[tuple[float, str]] = []
        self._events: list[Event] = []
        self._peak = 0.0
        self.members: tuple[Stat, ...] = ()
        """The processes at the last sample; the root first."""
        self._group: Cgroup | None = None
        self._host_memory = psutil.virtual_memory().total
        self._oom_kills: float | None = None
        self._pss = Pace(first=10.0, every=60.0)
        self._connections = Pace(first=0.0, every=1.0, share=200.0)
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

    def events(self, t: float) -> list[Event]:  # noqa: ARG002
        """What happened to the tree since the last call."""
        events, self._events = self._events, []
        return events

    def _sample(self, t: float) -> list[Sample]:
        if not self.alive:
            self._find_again(t)
        members = _members(self.root)
        self.members = tuple(members)
        self._note_changes(t, members)
        pss_due = self._pss.due(t)
        connections_due = self._connections.due(t)
        for stat in members:
            seen = self._seen[stat.pid, stat.started]
            seen.stat = stat
            seen.values = self._process(seen, pss_due)
        if pss_due:
            self._pss.done(t)
        if connections_due:
            self._count_connections()
            self._connections.done(t)
        for key, count in self._last_connections.items():
            if key in self._seen:
                self._seen[key].values["process.connections"] = count
        if not members:
            return []
        present = [self._seen[s.pid, s.started] for s in members]
        largest = sorted(present, key=lambda p: p.values.get("memory.rss", 0.0), reverse=True)[:MAX_PROCESSES]
        return [
            Sample(t, self.side, self._tree(t, present)),
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
            if seen.stack_limit is None:
                limit = procfs.parse_stack_limit(procfs.read(stat.pid, "limits"))
                seen.stack_limit = limit if limit is not None else 0.0
            if seen.stack_limit:
                values["stack.limit"] = seen.stack_limit
            if with_pss and (pss := procfs.parse_pss(procfs.read(stat.pid, "smaps_rollup"))) is not None:
                values["memory.pss"] = pss
        except (GoneError, PermissionError):
            pass  # what could not be read is absent, never zero
        return values

    def _tree(self, t: float, present: list[_Seen]) -> dict[str, float]:
        values: dict[str, float] = {"process.processes": float(len(present))}
        for name in _SUMMED:
            parts = [p.values[name] for p in present if name in p.values]
            if len(parts) == len(present) or (parts and name != "memory.pss"):
                values[name] = sum(parts)
        for name in _CUMULATIVE:
            values[name] = self._ended[name] + sum(p.values[name] for p in present)
        stacks = [(p.values["stack.high_water"], p) for p in present if "stack.high_water" in p.values]
        if stacks:
            deepest, process = max(stacks, key=lambda s: s[0])
            values["stack.high_water"] = deepest
            if "stack.limit" in process.values:
                values["stack.limit"] = process.values["stack.limit"]
        own_peak = present[0].values.get("memory.peak", 0.0) if len(present) == 1 else 0.0
        self._peak = max(self._peak, values.get("memory.rss", 0.0), own_peak)
        values["memory.peak"] = self._peak
        values["process.restarts"] = float(self._restarts)
        values["probe.cpu_seconds"] = self.cost.seconds
        values |= self._cgroup(t, present[0].stat.pid)
        return values

    def _cgroup(self, t: float, pid: int) -> dict[str, float]:
        if self._group is None:
            try:
                self._group = cgroup_of(procfs.read(pid, "cgroup"))
            except (GoneError, PermissionError):
                return {}
        values = self._group.values() if self._group else {}
        if values.get("memory.limit", 0.0) >= self._host_memory:
            values.pop("memory.limit", None)  # a limit above what the host has limits nothing
        kills = values.get("cgroup.oom_kills")
        if kills is not None:
            if self._oom_kills is not None and kills > self._oom_kills:
                text = "the kernel killed a process of the target's control group for want of memory"
                self._events.append(Event(t, "oom_kill", self.side, text, {"count": kills - self._oom_kills}))
            self._oom_kills = kills
        return values

    def _count_connections(self) -> None:
        """TCP connections of each process; the kernel's table is read once a process, so it backs off."""
        counts = {}
        for key in self._seen:
            try:
                counts[key] = float(len(psutil.Process(key[0]).net_connections("tcp")))
            except psutil.Error:
                continue
        self._last_connections = counts

    def _note_changes(self, t: float, members: list[Stat]) -> None:
        now = {(s.pid, s.started): s for s in members}
        first = not self._seen
        for key in [k for k in self._seen if k not in now]:
            gone = self._seen.pop(key)
            for name in _CUMULATIVE:
                self._ended[name] += gone.values.get(name, 0.0)
            self._vacancies.append((t, gone.stat.name))
            text = f"process {key[0]} ({gone.stat.name}) ended"
            self._events.append(Event(t, "process_exit", self.side, text, {"pid": key[0]}))
        self._vacancies = [v for v in self._vacancies if t - v[0] <= _REPLACED_WITHIN_S]
        for key in [k for k in now if k not in self._seen]:
            stat = now[key]
            self._seen[key] = _Seen(stat)
            if first:
                continue
            text = f"process {stat.pid} ({stat.name}) started"
            self._events.append(Event(t, "process_started", self.side, text, {"pid": stat.pid}))
            vacancy = next((v for v in self._vacancies if v[1] == stat.name), None)
            if vacancy is not None:
                self._vacancies.remove(vacancy)
                self._restart(t, f"process {stat.pid} ({stat.name}) took the place of one that ended")

    def _find_again(self, t: float) -> None:
        """A supervisor may have started the service anew: whoever has its port or name now is it."""
        if self._target.port is None and self._target.name is None:
            return
        try:
            self.root = find(self._target)
        except TargetError:
            return
        self._vacancies.clear()
        self._restart(t, f"the service was started anew as process {self.root.pid}")

    def _restart(self, t: float, text: str) -> None:
        self._restarts += 1
        self._events.append(Event(t, "restart", self.side, text))


def _members(root: Root) -> list[Stat]:
    """The root and all its descendants that are not zombies; the root first."""
    try:
        top = procfs.stat(root.pid)
        children = procfs.children(root.pid)
    except GoneError:
        return []
    if top.started != root.started:
        return []
    if children is None:
        return _swept(top)
    found, queue = [top] if top.state not in "ZX" else [], children
    while queue:
        pid = queue.pop()
        try:
            stat = procfs.stat(pid)
            queue += procfs.children(pid) or []
        except GoneError:
            continue
        if stat.state not in "ZX":
            found.append(stat)
    return found


def _swept(top: Stat) -> list[Stat]:
    """The same from a sweep over all processes, where the kernel does not list children."""
    by_parent: dict[int, list[Stat]] = {}
    for stat in procfs.all_stats().values():
        by_parent.setdefault(stat.parent, []).append(stat)
    found, queue = [], [top]
    while queue:
        stat = queue.pop()
        if stat.state not in "ZX":
            found.append(stat)
        queue += by_parent.get(stat.pid, [])
    return found
