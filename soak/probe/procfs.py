"""Small exact readers of /proc/PID (proc_pid_stat(5), proc_pid_status(5), proc_pid_smaps(5)).

They cost a few microseconds each, where psutil's equivalents read more files or lack the field
(VmStk, VmHWM, RssAnon). The parsers are pure, so that recorded text can test them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")


class GoneError(Exception):
    """The process ended, or was replaced, while it was being read."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Of /proc/PID/stat: state letter, parent, CPU seconds (user and system), start in clock ticks, ..."""

    pid: int
    name: str
    state: str
    parent: int
    cpu_seconds: float
    minor_faults: int
    major_faults: int
    threads: int
    started: int
    ended: int = 0
    """How a zombie ended, as wait(2) has it; 0 also where the kernel does not tell that to others."""


def parse_stat(text: str) -> Stat:
    """Fields are counted from the last `)`: a process may have named itself `a) R 1 (b`."""
    head, _, tail = text.rpartition(")")
    pid, _, name = head.partition(" (")
    f = tail.split()
    return Stat(
        pid=int(pid),
        name=name,
        state=f[0],
        parent=int(f[1]),
        minor_faults=int(f[7]),
        major_faults=int(f[9]),
        cpu_seconds=(int(f[11]) + int(f[12])) / TICKS,
        threads=int(f[17]),
        started=int(f[19]),
        ended=int(f[49]) if len(f) > 49 else 0,
    )


_STATUS = {
    "VmHWM": "memory.peak",
    "VmRSS": "memory.rss",
    "RssAnon": "memory.anon",
    "VmStk": "stack.high_water",
}


def parse_status(text: str) -> dict[str, float]:
    """Memory fields of /proc/PID/status in bytes, by metric; a kernel thread or zombie has none."""
    found = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key in _STATUS:
            found[_STATUS[key]] = float(value.split()[0]) * 1024
    return found


def parse_pss(text: str) -> float | None:
    """The Pss line of /proc/PID/smaps_rollup in bytes."""
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1]) * 1024
    return None


def parse_stack_limit(text: str) -> float | None:
    """The soft stack limit of /proc/PID/limits in bytes; None when it is unlimited."""
    return parse_limit(text, "Max stack size")


def parse_limit(text: str, name: str) -> float | None:
    """A soft limit of /proc/PID/limits by its name there; None when it is unlimited."""
    for line in text.splitlines():
        if line.startswith(name):
            soft = line[len(name) :].split()[0]
            return None if soft == "unlimited" else float(soft)
    return None


def read(pid: int, name: str) -> str:
    """The text of /proc/PID/NAME. Raises GoneError; PermissionError when it is another user's."""
    with opened(pid, name) as file:
        try:
            parts = []
            while part := os.read(file, 65536):
                parts.append(part)
        except ProcessLookupError:
            raise GoneError(f"process {pid} is gone") from None
    return b"".join(parts).decode(errors="replace")


@contextmanager
def opened(pid: int, name: str) -> Iterator[int]:
    """/proc/PID/NAME as a descriptor, to be read in places. Raises GoneError; PermissionError."""
    try:
        file = os.open(f"{PROC}/{pid}/{name}", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"process {pid} is gone") from None
    try:
        yield file
    finally:
        os.close(file)


def threads(pid: int) -> list[int]:
    """The threads of a process. Raises GoneError."""
    return [int(name) for name in _names(PROC / str(pid) / "task")]


def stat(pid: int) -> Stat:
    """/proc/PID/stat now. Raises GoneError."""
    return parse_stat(read(pid, "stat"))


def all_stats() -> dict[int, Stat]:
    """The stat of every process of the host."""
    found = {}
    for name in _names(PROC):
        if name.isdigit():
            try:
                found[int(name)] = stat(int(name))
            except GoneError:
                continue
    return found


def children(pid: int) -> list[int] | None:
    """Children of all threads of a process; None where the kernel does not list them. Raises GoneError.

    Reading /proc/PID/task/TID/children (CONFIG_PROC_CHILDREN) costs a fraction of a sweep over the host.
    """
    found: list[int] = []
    for thread in _names(PROC / str(pid) / "task"):
        try:
            found += map(int, read(pid, f"task/{thread}/children").split())
        except GoneError:
            if not (PROC / "self/task" / str(os.getpid()) / "children").exists():
                return None
    return found


def thread_states(pid: int) -> Counter[str]:
    """How many threads are in which state: R running, S asleep, D stuck in the kernel, ... Raises GoneError."""
    found: Counter[str] = Counter()
    for thread in _names(PROC / str(pid) / "task"):
        try:
            found[parse_stat(read(pid, f"task/{thread}/stat")).state] += 1
        except GoneError:
            continue
    return found


def owner(pid: int) -> int:
    """The user that a process runs as. Raises GoneError."""
    try:
        return (PROC / str(pid)).stat().st_uid
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"process {pid} is gone") from None


def open_files(pid: int) -> int:
    """How many descriptors are open. Raises GoneError; PermissionError when it is another user's."""
    return len(_names(PROC / str(pid) / "fd"))


def link(pid: int, name: str) -> str:
    """What the link /proc/PID/NAME points at. Raises GoneError; PermissionError."""
    try:
        return os.readlink(f"{PROC}/{pid}/{name}")  # noqa: PTH115
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"{pid}/{name} is gone") from None


def open_links(pid: int) -> set[str]:
    """What the descriptors of a process point at, such as `socket:[4711]`. Raises GoneError; PermissionError."""
    found = set()
    for name in _names(PROC / str(pid) / "fd"):
        try:
            found.add(link(pid, f"fd/{name}"))
        except GoneError:
            continue
    return found


def connections(pids: Iterable[int]) -> dict[int, int]:
    """TCP connections of each process, those that it listens for among them; of another user's process, none.

    The kernel walks its whole table of them to tell it (proc_pid_net(5)), and that is what it costs: once for each
    network namespace, however many processes are in it.
    """
    found, tables = {}, dict[str, set[str]]()
    for pid in pids:
        with suppress(GoneError, PermissionError):
            sockets, namespace = open_links(pid), link(pid, "ns/net")
            if namespace not in tables:
                tables[namespace] = _tcp(pid)
            found[pid] = len(sockets & tables[namespace])
    return found


def _tcp(pid: int) -> set[str]:
    """The TCP sockets in the network namespace of a process, as descriptors are linked to them. Raises GoneError."""
    found = set[str]()
    with suppress(GoneError):  # a kernel without IPv6 has no table of it; of a process that is gone the next has none
        found = parse_sockets(read(pid, "net/tcp6"))
    return found | parse_sockets(read(pid, "net/tcp"))


def parse_sockets(text: str) -> set[str]:
    """The sockets of /proc/PID/net/tcp as descriptors are linked to them; who waits to be forgotten has none."""
    inodes = (line.split(maxsplit=10)[9] for line in text.splitlines()[1:])
    return {f"socket:[{inode}]" for inode in inodes if inode != "0"}


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208
    except (FileNotFoundError, ProcessLookupError):
        raise GoneError(f"{folder} is gone") from None


def readable(pid: int) -> list[str]:
    """What of /proc/PID the probes need and may not read, by name; a process that is gone has nothing to hide."""
    hidden = []
    for name in ("status", "smaps_rollup", "fd"):
        try:
            _names(PROC / str(pid) / name) if name == "fd" else read(pid, name)
        except GoneError:
            continue
        except PermissionError:
            hidden.append(name)
    return hidden
