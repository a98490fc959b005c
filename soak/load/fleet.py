"""The fleet: one side's load master and its workers, as seen by the conductor, which never loads Locust.

The conductor starts every process itself, in a process group of its own, on a random port of loopback,
with a token that a stranger does not have. Each dies with the conductor, whatever kills that.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from soak.core.errors import LoadError
from soak.load.plan import Plan

_BOOT_S = 60.0
_QUIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A process of the fleet that ended while it was needed."""

    name: str
    code: int
    text: str


class Fleet:
    """A master and its workers, from start to close."""

    def __init__(self, plan: Plan, workers: int, logs: Path) -> None:
        self.plan = plan
        self.side = plan.side
        self._logs = logs
        self._workers = workers
        self._messages: queue.Queue[dict[str, object]] = queue.Queue()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reported: set[str] = set()
        self.drained = False
        self.ended: dict[str, float] = {}
        """When the schedule of each worker ended (s since the start of the run), by its own word."""

    def start(self) -> None:
        """Start all processes and wait until every worker has joined. Raises LoadError when one cannot."""
        master = self._spawn("master", "soak.load.master", [str(self._workers)], pipe=True)
        assert master.stdout is not None
        threading.Thread(target=self._listen, args=(master.stdout,), daemon=True).start()
        port = str(self._await("listening")["port"])
        for i, name in enumerate(self.workers):
            self._spawn(name, "soak.load.worker", [port, name, str(i), str(self._workers)])
        self._await("ready")

    def begin(self, at: float) -> None:
        """Let load begin at `at` on the monotonic clock; it ends by itself with its schedule."""
        self._command({"do": "start", "begin": at})

    def stop(self, at: float) -> None:
        """Let nothing begin that falls due at or after `at` on the monotonic clock."""
        self._command({"do": "stop", "at": at})

    def poll(self) -> list[Loss]:
        """Take note of what the master said; give the processes that were lost since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._messages.get_nowait()
                if message["event"] == "ended":
                    self.ended[str(message["worker"])] = float(str(message["until"]))
                self.drained |= message["event"] == "drained"
        return [self._loss(name) for name in self._processes if name not in self._reported and self._ended(name)]

    @property
    def alive(self) -> bool:
        """Whether the master and at least one worker still run."""
        running = [name for name, process in self._processes.items() if process.poll() is None]
        return "master" in running and len(running) > 1

    @property
    def workers(self) -> list[str]:
        """Names of all workers; the i-th has the i-th share of the schedule."""
        return [f"worker-{i}" for i in range(self._workers)]

    def pids(self) -> list[int]:
        """Process ids of the master and all workers."""
        return [p.pid for p in self._processes.values()]

    def close(self) -> None:
        """End every process: by asking, then by force. Safe to call twice."""
        with contextlib.suppress(LoadError):
            self._command({"do": "quit"})
        deadline = monotonic() + _QUIT_S
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def log(self, name: str) -> str:
        """The end of what a process of the fleet wrote to its standard error."""
        path = self._logs / f"{self.side}-{name}.log"
        return path.read_text(errors="replace")[-4000:].strip() if path.exists() else ""

    def _spawn(self, name: str, module: str, arguments: list[str], pipe: bool = False) -> subprocess.Popen[bytes]:
        with (self._logs / f"{self.side}-{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(os.getpid()), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if pipe else log,
                stderr=log,
                start_new_session=True,
            )
        self._processes[name] = process
        self._write(process, self.plan.to_line())
        return process

    def _command(self, command: dict[str, object]) -> None:
        self._write(self._processes["master"], json.dumps(command))

    def _write(self, process: subprocess.Popen[bytes], line: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        except (OSError, ValueError) as error:
            raise LoadError(f"the load generator is gone: {self.log('master') or error}") from error

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError):  # closed under the reader
            for line in stream:
                self._messages.put(json.loads(line))

    def _await(self, event: str) -> dict[str, object]:
        deadline = monotonic() + _BOOT_S
        while monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                message = self._messages.get(timeout=0.1)
                if message["event"] == event:
                    return message
            for name in self._processes:
                if self._ended(name):
                    loss = self._loss(name)
                    self.close()
                    raise LoadError(f"the load {name} did not start: {loss.text or f'exit code {loss.code}'}")
        self.close()
        raise LoadError(f"the load generator was not {event} within {_BOOT_S:.0f} s")

    def _ended(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def _loss(self, name: str) -> Loss:
        self._reported.add(name)
        return Loss(name, self._processes[name].returncode, self.log(name))
