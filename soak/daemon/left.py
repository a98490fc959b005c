"""What a run left behind: its run file, the verdict beside it, and the last that it said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from soak.core.child import signal_name
from soak.core.errors import RunFileError
from soak.daemon.process import verdict_path
from soak.runfile import read_meta


def how(code: int | None) -> str:
    """How a run that did not come to its end ended, in words; `code` is None where nobody saw it."""
    if code is None:
        return "the run died while nobody watched it"
    if code < 0:
        return f"the run was killed by {signal_name(-code)}"
    return f"the run broke off with exit code {code}"


def facts(run_file: Path) -> dict[str, Any] | None:
    """The facts in a run file; empty where it cannot be read, and None where there is none."""
    if not run_file.is_file():
        return None
    try:
        return read_meta(run_file)
    except RunFileError:
        return {}


def document(run_file: Path) -> dict[str, Any] | None:
    """The verdict that a run or a judge left, if it is whole."""
    try:
        found = json.loads(verdict_path(run_file).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"verdict", "headline", "interrupted"} <= found.keys() else None


def last_line(path: Path) -> str:
    """The last line of a log; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
