"""Where a run comes from: versions, host, command and revision, so that a year later it still says."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from soak import __version__
from soak.core.scenario import Scenario

_PACKAGES = ("locust", "gevent", "hdrhistogram", "psutil", "memray", "numpy", "scipy")


def provenance(scenario: Scenario, text: str, path: str, folder: Path) -> dict[str, object]:
    """Facts to keep with a run, as plain data."""
    return {
        "soak": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "host": platform.node(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "scenario_path": path,
        "scenario_text": text,
        "commands": {side: t.process.command for side, t in scenario.sides.items() if t.process},
        "git_revision": _revision(folder),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _revision(folder: Path) -> str | None:
    try:
        shown = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return shown.stdout.strip() or None
