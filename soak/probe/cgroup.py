"""Memory of a control group, v1 and v2 (cgroups(7), the kernel's admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
_NO_LIMIT = 2**60  # v1 writes "no limit" as the largest page-aligned number


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The memory control group of a process: its folder, and which version's files it has."""

    folder: Path
    version: int

    def values(self) -> dict[str, float]:
        """Usage and limit in bytes and OOM kills so far; what cannot be read is absent."""
        if self.version == 2:
            usage, limit = self._number("memory.current"), self._number("memory.max")
            kills = self._keyed("memory.events", "oom_kill")
        else:
            usage, limit = self._number("memory.usage_in_bytes"), self._number("memory.limit_in_bytes")
            kills = self._keyed("memory.oom_control", "oom_kill")
        found = {"cgroup.memory": usage, "memory.limit": limit, "cgroup.oom_kills": kills}
        return {name: value for name, value in found.items() if value is not None}

    def _number(self, file: str) -> float | None:
        text = _text(self.folder / file)
        if text is None or not text.strip().isdigit() or int(text) >= _NO_LIMIT:
            return None
        return float(text)

    def _keyed(self, file: str, key: str) -> float | None:
        for line in (_text(self.folder / file) or "").splitlines():
            name, _, value = line.partition(" ")
            if name == key and value.strip().isdigit():
                return float(value)
        return None


def cgroup_of(membership: str, root: Path = ROOT) -> Cgroup | None:
    """The memory control group from the text of /proc/PID/cgroup; None when it cannot be seen.

    Inside a container the path of the host may not exist under the mount: then the mount itself is the
    container's own group.
    """
    paths = {}
    for line in membership.splitlines():
        _number, controllers, path = (*line.split(":", 2), "", "")[:3]
        for controller in controllers.split(","):
            paths[controller] = path.lstrip("/")
    candidates: list[tuple[Path, int, str]] = []
    if "memory" in paths:
        base = root / "memory"
        candidates += [
            (base / paths["memory"], 1, "memory.usage_in_bytes"),
            (base, 1, "memory.usage_in_bytes"),
        ]
    if "" in paths:
        for base in (root, root / "unified"):
            candidates += [(base / paths[""], 2, "memory.current"), (base, 2, "memory.current")]
    for folder, version, proof in candidates:
        if (folder / proof).is_file():
            return Cgroup(folder, version)
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
