"""The fleet: one side's load master and its workers, as seen by the conductor, which never loads Locust.

The conductor starts every local process itself, in a process group of its own, on a random port of loopback or
where it was told to listen for workers from elsewhere. Each dies with the conductor, whatever kills that.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

from soak.core.errors import LoadError
from soak.load.plan import Invitation, Plan
from soak.load.schedule import Part

_BOOT_S = 60.0
_QUIT_S = 10.0
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Loss:
    """A process of the fleet that ended while it was needed."""

    name: str
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Where workers from elsewhere may join, how many are waited for and how long (s)."""

    host: str
    port: int
    wanted: int = 0
    patience: float = 600.0


def told_parts(name: str, splits: Sequence[tuple[float, Mapping[str, int]]]) -> list[Part]:
    """The parts of the schedule that a worker was told, by the splits: from when on, and who had a share."""
    return [Part(at, shares[name], len(shares)) if name in shares else Part(at, 0, 0) for at, shares in splits]


class Fleet:
    """A master and its workers, from start to close."""

    def __init__(
        self,
        plan: Plan,
        token: str,
        workers: int,
        run_file: Path,
        logs: Path,
        listen: Listen | None = None,
        life: int = 0,
    ) -> None:
        self.plan = plan
        self.side = plan.side
        self._token = token
        self._run_file = run_file
        self._logs = logs
        self._workers = workers
        self._listen_at = listen
        self._life = life
        """How often the run was resumed: reports are known by worker and number, so names are not used twice."""
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._reported: set[str] = set()
        self._splits: list[tuple[float, dict[str, int]]] = []
        self._ended: dict[str, tuple[float, list[Part]]] = {}
        self._begun = False
        self.drained = False
        self.told: list[tuple[str, str]] = []
        """Events that the master wrote into the run file since the last poll: kind and text."""

    def start(self, progress: Callable[[str], None] = lambda _: None) -> None:
        """Start all processes and wait until every worker has joined. Raises LoadError when one cannot."""
        at = self._listen_at or Listen(_LOOPBACK, 0)
        master = self._spawn("master", "soak.load.master", [at.host, str(at.port)], pipe=True)
        first = {"plan": asdict(self.plan), "token": self._token, "run_file": str(self._run_file)}
        self._write(master, json.dumps(first | {"expected": self._workers + at.wanted}))
        assert master.stdout is not None
        threading.Thread(target=self._listen, args=(master.stdout,), daemon=True).start()
        port = int(self._await("listening", _BOOT_S)["port"])
        host = _LOOPBACK if at.host in ("0.0.0.0", "*") else at.host
        for i in range(self._workers):
            name = f"worker-{i}" if not self._life else f"worker-{i}.{self._life}"
            invitation = Invitation(host, port, self._token, name, local=True)
            self._write(self._spawn(name, "soak.load.worker", []), invitation.to_line())
        if at.wanted:
            progress(f"waiting for {at.wanted} workers to join the {self.side} at {at.host}:{port}")
        self._await("ready", at.patience if at.wanted else _BOOT_S)

    def begin(self, at: float) -> None:
        """Let load begin at `at` on the monotonic clock; it ends by itself with its schedule."""
        self._begun = True
        self._command({"do": "start", "begin": at})

    def stop(self, at: float) -> None:
        """Let nothing begin that falls due at or after `at` on the monotonic clock."""
        self._command({"do": "stop", "at": at})

    def poll(self) -> list[Loss]:
        """Take note of what the master said; give the processes that were lost since the last call."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._note(self._messages.get_nowait())
        lost = [self._loss(name) for name in self._processes if name not in self._reported and self._gone(name)]
        for loss in lost:
            if loss.name != "master":
                with contextlib.suppress(LoadError):
                    self._command({"do": "lost", "name": loss.name})
        return lost

    def _note(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "ended":
                parts = [Part(float(at), int(index), int(of)) for at, index, of in message["parts"]]
                self._ended[str(message["worker"])] = (float(message["until"]), parts)
            case "split":
                self._splits.append((float(message["at"]), message["shares"]))
            case "drained":
                self.drained = True
            case "event":
                self.told.append((str(message["kind"]), str(message["text"])))

    @property
    def alive(self) -> bool:
        """Whether the master and at least one worker can still run."""
        running = [name for name, process in self._processes.items() if process.poll() is None]
        return "master" in running and (len(running) > 1 or self._listen_at is not None)

    def shares(self) -> dict[str, tuple[float | None, list[Part]]]:
        """Of every worker that ever had a share: when its schedule ended, and the parts that it followed.

        By its own word; of one that gave no final report, None and the parts that it was told.
        """
        names = sorted({name for _, shares in self._splits for name in shares})
        return {name: self._ended.get(name, (None, self._told_parts(name))) for name in names}

    def _told_parts(self, name: str) -> list[Part]:
        return told_parts(name, self._splits)

    def pids(self) -> list[int]:
        """Process ids of the master and all local workers."""
        return [p.pid for p in self._processes.values()]

    def close(self) -> None:
        """End every process: by asking, then by force. Safe to call twice."""
        with contextlib.suppress(LoadError, KeyError):
            self._command({"do": "quit"})
        deadline = monotonic() + _QUIT_S
        for name, process in self._processes.items():
            # before there was any load a worker has nothing to tell, and hears of no end until it has joined
            patient = self._begun or name == "master"
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - monotonic()) if patient else 0.0)
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

    def _await(self, event: str, patience: float) -> dict[str, Any]:
        deadline = monotonic() + patience
        while monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                message = self._messages.get(timeout=0.1)
                if message["event"] == event:
                    return message
                self._note(message)
            for name in self._processes:
                if self._gone(name):
                    loss = self._loss(name)
                    self.close()
                    raise LoadError(f"the load {name} did not start: {loss.text or f'exit code {loss.code}'}")
        self.close()
        if event == "ready" and self._listen_at is not None and self._listen_at.wanted:
            raise LoadError(f"{self._listen_at.wanted} workers did not join within {patience:.0f} s")
        raise LoadError(f"the load generator was not {event} within {patience:.0f} s")

    def _gone(self, name: str) -> bool:
        return self._processes[name].poll() is not None

    def _loss(self, name: str) -> Loss:
        self._reported.add(name)
        return Loss(name, self._processes[name].returncode, self.log(name))
