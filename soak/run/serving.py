"""Serving a run on another machine with load: `soak worker`.

One child process a side of the run, because importing Locust changes a process for good. A worker sends load only
where its own user allows: what the run asks for is shown to `permit` before a child may go on.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from soak.core.child import Tail
from soak.core.errors import LoadError, SoakError
from soak.core.scenario import Scenario
from soak.load import Invitation

_RETRY_S = 1.0
_PATIENCE_S = 600.0
_WAIT_S = 2.0
_REFUSED = "refused"
Permit = Callable[[Scenario], None]
"""Raises when load may not go where a scenario sends it."""


class _Child:
    """A worker process of one side."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "soak.load.worker", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._output, self._errors = self.process.stdout, Tail(self.process.stderr)

    def tell(self, line: str) -> None:
        """Say a line to it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its end tells more
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()

    def answer(self) -> bytes:
        """Its first line; empty when it ended without one."""
        line = self._output.readline()
        Tail(self._output)  # what a locustfile prints is for nobody, but left in the pipe it would stop the worker
        return line

    def said(self) -> str:
        """What it wrote to its standard error, once it has ended."""
        return self._errors.whole().text().strip()[-2000:]

    def end(self) -> None:
        """End it. Safe to call twice."""
        self.process.terminate()
        self.process.wait()


def serve(invitation: Invitation, permit: Permit, say: Callable[[str], None]) -> None:
    """Join the run that an invitation leads to, and stay until it ends. Raises LoadError, and what `permit` raises."""
    with contextlib.ExitStack() as cleanup:
        first, ports = _join(invitation, permit, say, cleanup)
        children = [first]
        for port in sorted(ports - {invitation.port}):
            children.append(_join(replace(invitation, port=port), permit, say, cleanup)[0])
        for child in children:
            if child.process.wait() != 0:
                raise LoadError(child.said() or f"the worker ended with code {child.process.returncode}")
    say("the run has ended")


def serve_forever(invitation: Invitation, permit: Permit, say: Callable[[str], None]) -> NoReturn:
    """Serve one run after the other, for as long as it takes; one that refuses it, or is lost, is told and left."""
    while True:
        say(f"waiting for a run at {invitation.host}:{invitation.port}")
        while not _listens(invitation):  # cheaper than a worker that finds nobody
            time.sleep(_WAIT_S)
        try:
            serve(invitation, permit, say)
        except SoakError as error:
            say(f"soak: {error}")
        time.sleep(_WAIT_S)


def _listens(invitation: Invitation) -> bool:
    try:
        socket.create_connection((invitation.host, invitation.port), timeout=_WAIT_S).close()
    except OSError:
        return False
    return True


def _join(
    invitation: Invitation, permit: Permit, say: Callable[[str], None], cleanup: contextlib.ExitStack
) -> tuple[_Child, set[int]]:
    """Start the child for one side, and let it go on if it may load that target; and the ports of all sides."""
    say(f"joining the run at {invitation.host}:{invitation.port}")
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        child = _Child()
        with contextlib.ExitStack() as failed:
            failed.callback(child.end)
            child.tell(invitation.to_line())
            if line := child.answer():
                cleanup.push(failed.pop_all())
                break
            child.process.wait()
            if _REFUSED in child.said() or time.monotonic() > deadline:
                raise LoadError(child.said())
        time.sleep(_RETRY_S)
    invited = json.loads(line)
    scenario = Scenario.model_validate(invited["scenario"])
    permit(scenario)
    target = scenario.sides[invited["side"]]
    say(f"{invited['name']} serves {invited['run']}: load goes to {target.url}")
    child.tell("go")
    return child, {int(port) for port in invited["ports"].values()}
