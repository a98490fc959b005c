"""Memory and process limits of a control group, v1 and v2 (cgroups(7), the kernel's admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60  # v1 writes "no limit" as the largest page-aligned number


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The memory control group of a process: its folder, which version's files it has, and the mount above it."""

    folder: Path
    version: int
    top: Path

    def values(self) -> dict[str, float]:
        """Usage and limit in bytes, of whichever group from this one up is nearest to its limit.

        What cannot be read is absent. A limit may be set further up (a pod's, a slice's), for all below together.
        """
        usage, limit = ("memory.current", "memory.max") if self.version == 2 else _V1
        return _nearest(_up(self.folder, self.top), usage, limit, ("cgroup.memory", "memory.limit"))

    def oom_kills(self) -> float | None:
        """Processes of this group that the kernel killed for want of memory so far, whoever's want it was.

        In version 2 of all groups below it too; in version 1 of itself only (since Linux 4.13).
        """
        file = "memory.events" if self.version == 2 else "memory.oom_control"
        for line in (_text(self.folder / file) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill" and value.strip().isdigit():
                return float(value)
        return None


_V1 = ("memory.usage_in_bytes", "memory.limit_in_bytes")


@dataclass(frozen=True, slots=True)
class PidsGroup:
    """The control group that counts the processes and threads of a process and its like."""

    folder: Path
    top: Path

    def values(self) -> dict[str, float]:
        """Tasks and their limit, of whichever group from this one up is nearest to its limit."""
        return _nearest(_up(self.folder, self.top), "pids.current", "pids.max", ("cgroup.pids", "pids.limit"))


def cgroup_of(membership: str, root: Path = ROOT) -> Cgroup | None:
    """The memory control group from the text of /proc/PID/cgroup; None when it cannot be seen.

    Inside a container the path of the host may not exist under the mount: then the mount itself is the
    container's own group.
    """
    for folder, top, version in _places(membership, "memory", root):
        if (folder / ("memory.current" if version == 2 else "memory.usage_in_bytes")).is_file():
            return Cgroup(folder, version, top)
    return None


def pids_of(membership: str, root: Path = ROOT) -> PidsGroup | None:
    """The control group that limits how many processes and threads there may be, likewise."""
    for folder, top, _ in _places(membership, "pids", root):
        if (folder / "pids.current").is_file():
            return PidsGroup(folder, top)
    return None


def _places(membership: str, controller: str, root: Path) -> Iterator[tuple[Path, Path, int]]:
    """Where the group of a controller may be, likeliest first: folder, mount, version."""
    paths = {}
    for line in membership.splitlines():
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        for name in controllers.split(","):
            paths[name] = path.lstrip("/")
    if controller in paths:
        yield root / controller / paths[controller], root / controller, 1
        yield root / controller, root / controller, 1
    if "" in paths:
        for top in (root, root / "unified"):
            yield top / paths[""], top, 2
            yield top, top, 2


@lru_cache(64)  # asked for at every look, of the same few groups
def _up(folder: Path, top: Path) -> tuple[Path, ...]:
    """A group and those that it is in, up to the mount; a path that leads out of the mount is only itself."""
    return (folder, *(p for p in folder.parents if p.is_relative_to(top))) if folder.is_relative_to(top) else (folder,)


def _nearest(folders: tuple[Path, ...], usage: str, limit: str, names: tuple[str, str]) -> dict[str, float]:
    used = [(_number(f / usage), _number(f / limit)) for f in folders]
    limited = [(u, most) for u, most in used if u is not None and most is not None]
    if limited:
        level, most = min(limited, key=lambda pair: pair[1] - pair[0])
        return {names[0]: level, names[1]: most}
    own = used[0][0]
    return {names[0]: own} if own is not None else {}


def _number(file: Path) -> float | None:
    text = _text(file)
    if text is None or not text.strip().isdigit() or int(text) >= _NO_LIMIT:
        return None
    return float(text)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
