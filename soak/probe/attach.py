"""Bring the agent into a Python that runs already, with a debugger: only where a scenario asks for it by name.

A debugger stops the process while it works, for one to three seconds, and can end or block it in the worst case
(bloomberg/memray docs/attach.rst); so it is done once, in the warm-up, and told before. memray's own injector is
what gets us in: it waits for the process to allocate, for then no lock of the allocator is held; so there must be load.
gdb 13 cannot write the registers of processors with large ones, and then may end the process; lldb can.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from soak.core.probing import Debugger
from soak.core.records import Event
from soak.probe import procfs
from soak.probe.agent import AgentError, AgentSense, ask, socket_of
from soak.probe.procfs import GoneError, Stat

FREEZE = "1 to 3 s"
_PATIENCE_S = 12.0
_MERCY_S = 5.0
_MOST = 8
"""Processes of a tree that are attached to: each stands still for a while."""


@dataclass(frozen=True, slots=True)
class Attach:
    """Bring the agent into every Python of the tree that has none. A job for the sense's thread."""

    debugger: Debugger

    def __call__(self, sense: AgentSense, members: Sequence[Stat]) -> None:
        """Announce, attach, and tell what came of it, one process after the other."""
        wanted = [s for s in members if _is_python(s.pid) and not _answers(s.pid, sense.folder)]
        for stat in wanted[:_MOST]:
            began = sense.now()
            text = f"{self.debugger} attaches to process {stat.pid}, which stands still for {FREEZE}"
            sense.tell(Event(began, "attach", sense.side, text, {"pid": stat.pid}))
            why = attach(self.debugger, stat.pid)
            took = sense.now() - began
            text = f"{self.debugger} was done with process {stat.pid} after {took:.1f} s"
            data = {"pid": stat.pid, "seconds": took, "error": why}
            sense.tell(Event(sense.now(), "attach", sense.side, f"{text}: {why}" if why else text, data))


def attach(debugger: Debugger, pid: int) -> str:
    """Bring the agent into one process; empty when it answers, or else why it does not."""
    command = [sys.executable, "-m", "soak.probe.inject", debugger, str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as injector:
        for number in (signal.SIGINT, signal.SIGKILL):  # interrupted, a debugger takes its breakpoints out again
            try:
                said = injector.communicate(timeout=_PATIENCE_S if number == signal.SIGINT else _MERCY_S)[1]
                break
            except subprocess.TimeoutExpired:
                os.killpg(injector.pid, number)
        else:
            said = injector.communicate()[1]
    if injector.returncode:
        return " ".join(said.split())[-300:] or f"{debugger} did not get in within {_PATIENCE_S:.0f} s"
    until = monotonic() + 5.0
    while monotonic() < until:
        if _answers(pid, None):
            return ""
        sleep(0.1)
    return "the agent does not answer: is it a Python of 3.9 or later?"


def _is_python(pid: int) -> bool:
    with contextlib.suppress(OSError):
        name = Path(procfs.PROC / str(pid) / "exe").readlink().name
        if name.startswith("python"):
            return True
    with contextlib.suppress(GoneError, OSError):
        return "/libpython3" in procfs.read(pid, "maps")
    return False


def _answers(pid: int, folder: Path | None) -> bool:
    path = socket_of(pid, folder)
    if path is None:
        return False
    try:
        ask(path, {"do": "look", "force": False})
    except AgentError:
        return False
    return True
