"""Python and the packages that soak stands on."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from soak.core.checkup import Check, expect

_LEAST = (3, 11)
_NEEDED = ("locust", "gevent", "pyzmq", "hdrhistogram", "psutil", "numpy", "scipy", "pydantic")


def checks() -> list[Check]:
    """The versions that matter, and memray."""
    found = {name: _version(name) for name in _NEEDED}
    absent = [name for name, v in found.items() if v is None]
    memray = _version("memray")
    return [
        expect(
            "python", platform.python_version(), sys.version_info >= _LEAST, "soak does not run on it",
            f"use Python {_LEAST[0]}.{_LEAST[1]} or newer", "problem",
        ),
        expect(
            "packages", ", ".join(f"{name} {v or 'missing'}" for name, v in found.items()), not absent,
            f"without {', '.join(absent)} no soak can run", "install soak anew: pip install --force-reinstall soakd",
            "problem",
        ),
        expect(
            "memray", memray or "not installed", memray is not None,
            "a leak in a Python target that soak starts is told, but not by its line in the code",
            "pip install memray, in the environment of the target",
        ),
    ]  # fmt: skip


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
