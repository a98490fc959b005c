"""A target that soak starts itself: from its command to its last exit code or signal."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep

from soak.core.errors import TargetError
from soak.core.target import Command, Target
from soak.probe import FOLDER_VARIABLE
from soak.run.output import RecursionErrors, overflow_said

_LAUNCH = Path(__file__).with_name("launch.py")
_BOOTSTRAP = Path(__file__).parent.parent / "agent" / "bootstrap"
_TAIL_BYTES = 64 * 1024
_STOP_S = 10.0
_LAST_WORDS_S = 0.5  # what it wrote last may still be in the pipe; its children may hold that open


class StartedTarget:
    """A running command in a process group of its own; the end of its output is kept, bounded."""

    def __init__(self, side: str, target: Target, command: Command, folder: Path, agents: Path | None = None) -> None:
        self.side = side
        self.argv = argv_of(command)
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
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
        self._reader = threading.Thread(target=self._keep_tail, daemon=True)
        self._reader.start()
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
        status = self._process.poll()
        if status is None:
            return None
        if status < 0:
            return {"code": None, "signal": -status, "signal_name": signal.Signals(-status).name}
        return {"code": status, "signal": None, "signal_name": ""}

    @property
    def recursion_errors(self) -> int:
        """How often its output has told of a RecursionError."""
        return self._recursion_errors.count

    def overflow_said(self) -> str | None:
        """Once it has ended: the line of its output that says that a stack ran over, if there is one."""
        self._reader.join(_LAST_WORDS_S)
        return overflow_said(b"".join(self._tail))

    def output(self) -> str:
        """The end of what it wrote to standard output and error."""
        return b"".join(self._tail)[-_TAIL_BYTES:].decode(errors="replace")

    def stop(self) -> None:
        """SIGTERM to the process, SIGKILL to its whole group if that is not enough. Safe to call twice."""
        if self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_S)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join(1.0)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _wait_ready(self, target: Target, patience: float) -> None:
        deadline = monotonic() + patience
        while monotonic() < deadline:
            if (ended := self.exit()) is not None:
                how = ended["signal_name"] or f"exit code {ended['code']}"
                raise TargetError(f"{self.side}: {self.argv[0]!r} ended before it was ready ({how}){self._said()}")
            with contextlib.suppress(OSError), socket.create_connection((target.host, target.tcp_port), 1.0):
                return
            sleep(0.05)
        raise TargetError(
            f"{self.side}: {self.argv[0]!r} did not accept connections on {target.host}:{target.tcp_port} "
            f"within {patience:g} s{self._said()}"
        )

    def _said(self) -> str:
        self._reader.join(_LAST_WORDS_S)
        lines = self.output().strip().splitlines()[-8:]
        return "; it said:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""

    def _keep_tail(self) -> None:
        assert self._process.stdout is not None
        stream = self._process.stdout
        with contextlib.suppress(ValueError, OSError):
            while chunk := os.read(stream.fileno(), 65536):
                self._recursion_errors.feed(chunk)
                self._tail.append(chunk)
                self._tail_size += len(chunk)
                while self._tail_size - len(self._tail[0]) > _TAIL_BYTES:
                    self._tail_size -= len(self._tail.popleft())
        self._recursion_errors.end()


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
    return [w.replace("{python}", sys.executable) for w in words]
