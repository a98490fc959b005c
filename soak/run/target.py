"""A target that soak starts itself: from its command to its last exit code or signal."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep

from soak.core.child import Tail, end_group, signal_name, status_of
from soak.core.errors import TargetError
from soak.core.target import Command, Target
from soak.probe import FOLDER_VARIABLE
from soak.run.output import RecursionErrors, overflow_said

_LAUNCH = Path(__file__).with_name("launch.py")
_BOOTSTRAP = Path(__file__).parent.parent / "agent" / "bootstrap"
_STOP_S = 10.0


class StartedTarget:
    """A running command in a process group of its own; the end of its output is kept, bounded."""

    def __init__(self, side: str, target: Target, command: Command, folder: Path, agents: Path | None = None) -> None:
        self.side = side
        self.argv = argv_of(command)
        self._recursion_errors = RecursionErrors()
        cwd = (folder / command.cwd).resolve()
        environment = os.environ | command.env
        if agents is not None and command.agent:
            environment |= agent_environment(environment, agents)
        if shutil.which(self.argv[0], path=environment.get("PATH")) is None and not (cwd / self.argv[0]).exists():
            raise TargetError(f"{side}: cannot start {self.argv[0]!r}: no such program")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", str(_LAUNCH), str(os.getpid()), *self.argv],
                cwd=cwd,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise TargetError(f"{side}: cannot start {self.argv[0]!r} in {cwd}: {error.strerror}") from error
        assert self._process.stdout is not None
        self._said = Tail(self._process.stdout, self._recursion_errors.feed)
        try:
            self._wait_ready(target, command.ready)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit(self) -> dict[str, object] | None:
        """How it ended: `code`, or `signal` and `signal_name`; None while it runs."""
        status = status_of(self._process)
        if status is None:
            return None
        if status < 0:
            return {"code": None, "signal": -status, "signal_name": signal_name(-status)}
        return {"code": status, "signal": None, "signal_name": ""}

    @property
    def recursion_errors(self) -> int:
        """How often its output has told of a RecursionError."""
        return self._recursion_errors.count

    def overflow_said(self) -> str | None:
        """Once it has ended: the line of its output that says that a stack ran over, if there is one."""
        return overflow_said(self._said.whole().bytes())

    def output(self) -> str:
        """The end of what it wrote to standard output and error."""
        return self._said.text()

    def stop(self) -> None:
        """SIGTERM to the process, SIGKILL to its whole group if that is not enough. Safe to call twice."""
        if status_of(self._process) is None:
            self._process.terminate()
        end_group(self._process, _STOP_S)
        self._said.close()

    def _wait_ready(self, target: Target, patience: float) -> None:
        deadline = monotonic() + patience
        while monotonic() < deadline:
            if (ended := self.exit()) is not None:
                how = ended["signal_name"] or f"exit code {ended['code']}"
                raise TargetError(f"{self.side}: {self.argv[0]!r} ended before it was ready ({how}){self._and_said()}")
            with contextlib.suppress(OSError), socket.create_connection((target.host, target.tcp_port), 1.0):
                return
            sleep(0.05)
        raise TargetError(
            f"{self.side}: {self.argv[0]!r} did not accept connections on {target.host}:{target.tcp_port} "
            f"within {patience:g} s{self._and_said()}"
        )

    def _and_said(self) -> str:
        lines = self._said.whole().text().strip().splitlines()[-8:]
        return "; it said:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""


def agent_environment(environment: Mapping[str, str], folder: Path | None) -> dict[str, str]:
    """What makes every Python that is started in it load the agent; its sockets are in `folder`, if that is given."""
    path = os.pathsep.join([str(_BOOTSTRAP), *filter(None, [environment.get("PYTHONPATH")])])
    return {"PYTHONPATH": path} | ({FOLDER_VARIABLE: str(folder)} if folder is not None else {})


def argv_of(command: Command) -> list[str]:
    """Program and arguments, without a shell; `{python}` becomes the interpreter that runs soak."""
    try:
        words = shlex.split(command.command)
    except ValueError as error:
        raise TargetError(f"target.process.command: {error}: {command.command!r}") from error
    if not words:
        raise TargetError(f"target.process.command: names no program: {command.command!r}")
    return [w.replace("{python}", sys.executable) for w in words]
