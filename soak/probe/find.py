"""Finding the process to watch: by pid, by the port it listens on, or by name."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from soak.core.errors import TargetError
from soak.core.target import Target
from soak.probe import procfs
from soak.probe.procfs import GoneError, Stat


@dataclass(frozen=True, slots=True)
class Root:
    """The root of a process tree. `started` (clock ticks since boot) tells a reused pid from the process."""

    pid: int
    started: int

    @property
    def alive(self) -> bool:
        """Whether that very process exists and is not a zombie."""
        try:
            now = procfs.stat(self.pid)
        except GoneError:
            return False
        return now.started == self.started and now.state not in "ZX"


def find(target: Target) -> Root:
    """The root process of a target. Raises TargetError when there is none, or more than one."""
    if target.pid is not None:
        return _by_pid(target.pid)
    if target.port is not None:
        return _by_port(target.port)
    if target.name is not None:
        return _by_name(target.name)
    raise TargetError("the target names no process to watch: add process, pid, port or name")


def _by_pid(pid: int) -> Root:
    try:
        found = procfs.stat(pid)
    except GoneError:
        raise TargetError(f"target.pid: there is no process {pid}") from None
    return Root(pid, found.started)


def _by_port(port: int) -> Root:
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr[1:2] == (port,)]
    if not listening:
        raise TargetError(f"target.port: nothing listens on port {port}")
    holders = {_top_holder(c.pid, c.fd) for c in listening if c.pid is not None}
    if not holders:
        raise TargetError(
            f"target.port: whoever listens on port {port} belongs to another user; run soak as that user or as root"
        )
    return _one_tree(holders, f"target.port: port {port}")


def _top_holder(pid: int, fd: int) -> int:
    """The oldest ancestor that has the same socket open: the parent of prefork workers, not one of them."""
    try:
        socket = procfs.link(pid, f"fd/{fd}")
        while (parent := procfs.stat(pid).parent) > 1 and socket in procfs.open_links(parent):
            pid = parent
    except (GoneError, PermissionError):
        pass
    return pid


def _by_name(name: str) -> Root:
    ours = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    stats = procfs.all_stats()
    named = {pid for pid, s in stats.items() if pid not in ours and s.state not in "ZX" and _is_named(s, name)}
    if not named:
        raise TargetError(f"target.name: no process is named {name!r}")
    return _one_tree(named, f"target.name: {name!r}", stats)


def _is_named(stat: Stat, name: str) -> bool:
    if stat.name == name[:15]:  # the kernel keeps 15 characters
        return True
    try:
        first = procfs.read(stat.pid, "cmdline").partition("\0")[0]
    except (GoneError, PermissionError):
        return False
    return first.rpartition("/")[2] == name


def _one_tree(pids: set[int], what: str, stats: dict[int, Stat] | None = None) -> Root:
    """The one of `pids` that all others descend from, or else is a TargetError."""
    stats = stats or procfs.all_stats()
    tops = sorted(pid for pid in pids if not _has_ancestor_in(pid, pids, stats))
    if len(tops) > 1:
        listed = ", ".join(f"{pid} ({stats[pid].name})" for pid in tops if pid in stats)
        raise TargetError(f"{what} fits several unrelated processes: {listed}; name one by pid")
    return _by_pid(tops[0])


def _has_ancestor_in(pid: int, pids: set[int], stats: dict[int, Stat]) -> bool:
    seen = {pid}
    while pid in stats:
        pid = stats[pid].parent
        if pid in pids:
            return True
        if pid in seen:
            return False
        seen.add(pid)
    return False
