"""Releases, each in an environment of its own."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from benchmarks.field.cases import Case


def installed(case: Case, version: str, folder: Path) -> Path:
    """The Python of an environment with that release; made when it is not there."""
    place = folder / f"{case.package}-{version}"
    python = place / "bin" / "python"
    wanted = [f"{case.package}=={version}", *case.needs]
    done = place / "installed"
    if not done.exists() or done.read_text() != "\n".join(wanted):
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *wanted], check=True, stdout=subprocess.DEVNULL)
        done.write_text("\n".join(wanted))
    return python
