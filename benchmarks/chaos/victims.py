"""Who can be killed, and how they are found: by a mark in their environment and what they run, never by a name alone.

Every process of a trial inherits the mark, whoever starts it: what has it in the end is an orphan of that trial.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from benchmarks.chaos.plan import Victim

MARK = "SOAK_CHAOS"
GONE_S = 15.0
"""How long a process may take to end after what it belongs to: the kernel ends it at once, a busy machine does not."""

_RUNS: dict[str, Victim] = {
    "soak.daemon": "daemon",
    "soak.cli": "conductor",
    "benchmarks.chaos.stepped": "conductor",
    "soak.load.master": "master",
    "soak.load.worker": "worker",
    "benchmarks.chaos.witness": "worker",
    "soak.probe": "observer",
}


def marked(mark: str) -> list[psutil.Process]:
    """All processes that have the mark and have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def role(process: psutil.Process) -> Victim | None:
    """What a process of soak is in its run; None for a target, and for a command that conducts nothing."""
    with suppress(psutil.Error):
        words = process.cmdline()
        module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
        if module == "soak.cli" and words[words.index("-m") + 2 :][:1] != ["run"]:
            return None
        return _RUNS.get(module)
    return None


def kill(process: psutil.Process) -> bool:
    """SIGKILL to that very process; False when it had ended already.

    By a descriptor of the process (pidfd_open(2)): what has its number afterwards is never hit.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:  # compares start times
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except (ProcessLookupError, psutil.Error):
        return False
    finally:
        os.close(handle)
    return True


def family(process: psutil.Process) -> list[psutil.Process]:
    """All that a process has started and that lives."""
    with suppress(psutil.Error):
        return process.children(recursive=True)
    return []


def left(processes: Iterable[psutil.Process], patience: float = GONE_S) -> list[str]:
    """What of them is still there in the end, in words."""
    deadline = time.monotonic() + patience
    rest = [p for p in processes if _alive(p)]
    while rest and time.monotonic() < deadline:
        time.sleep(0.1)
        rest = [p for p in rest if _alive(p)]
    return [_words(p) for p in rest]


def _alive(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _words(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid}: {' '.join(process.cmdline())[:160]}"
    return str(process.pid)
