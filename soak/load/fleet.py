"""The fleet: one side's load master and its workers, as seen by the conductor, which never loads Locust.

The conductor starts every local process itself, in a process group of its own, on a random port of loopback or
where it was told to listen for workers from elsewhere. Each dies with the conductor, whatever kills that.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import IO, Any

from soak.core.child import Tail, end_group, status_of
from soak.core.errors import LoadError
from soak.load.plan import Invitation, Plan
from soak.load.schedule import Part

_BOOT_S = 60.0
_QUIT_S = 10.0
_LAST_WORDS_S = 1.0
_LOOPBACK = "127.0.0.1"
_MASTER = "master"
_SHOWN = 4000
"""Characters of what a process said."""


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
        listen: Listen | None = None,
        life: int = 0,
    ) -> None:
        self.plan = plan
        self.side = plan.side
        self._token = token
        self._run_file = run_file
        self._workers = workers
        self._listen_at = listen
        self._life = life
        """How often the run was resumed: reports are known by worker and number, so names are not used twice."""
        self._messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._said: dict[str, Tail] = {}
        self._listener: threading.Thread | None = None
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
        master = self._spawn(_MASTER, "soak.load.master", at.host, str(at.port))
        first = {"plan": asdict(self.plan), "token": self._token, "run_file": str(self._run_file)}
        self._write(master, json.dumps(first | {"expected": self._workers + at.wanted}))
        assert master.stdout is not None
        self._listener = threading.Thread(target=self._listen, args=(master.stdout,), daemon=True)
        self._listener.start()
        port = int(self._await("listening", _BOOT_S)["port"])
        host = _LOOPBACK if at.host in ("0.0.0.0", "*") else at.host
        for i in range(self._workers):
            name = f"worker-{i}" if not self._life else f"worker-{i}.{self._life}"
            invitation = Invitation(host, port, self._token, name, local=True)
            self._write(self._spawn(name, "soak.load.worker"), invitation.to_line())
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
        self._hear()
        lost = [self._loss(name) for name in self._processes if name not in self._reported and self._gone(name)]
        for loss in lost:
            if loss.name != _MASTER:
                with contextlib.suppress(LoadError):
                    self._command({"do": "lost", "name": loss.name})
        return lost

    def _hear(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._note(self._messages.get_nowait())

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
        running = [name for name in self._processes if not self._gone(name)]
        return _MASTER in running and (len(running) > 1 or self._listen_at is not None)

    def shares(self) -> dict[str, tuple[float | None, list[Part]]]:
        """Of every worker that ever had a share: when its schedule ended, and the parts that it followed.

        By its own word; of one that gave no final report, None and the parts that it was told.
        """
        names = sorted({name for _, shares in self._splits for name in shares})
        return {name: self._ended.get(name, (None, told_parts(name, self._splits))) for name in names}

    def close(self) -> None:
        """End every process: by asking, then by force. What they said by then is known, and no report comes any more.

        Safe to call twice.
        """
        with contextlib.suppress(LoadError, KeyError):
            self._command({"do": "quit"})
        deadline = monotonic() + _QUIT_S
        for name, process in self._processes.items():
            # before there was any load a worker has nothing to tell, and hears of no end until it has joined
            patient = self._begun or name == _MASTER
            end_group(process, deadline - monotonic() if patient else 0.0)
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
        for said in self._said.values():
            said.close()
        if self._listener is not None:
            self._listener.join(_LAST_WORDS_S)
        self._hear()

    def log(self, name: str) -> str:
        """The end of what a process that ended wrote to its standard error; a worker to its output, too."""
        return self._said[name].whole().text()[-_SHOWN:].strip()

    def _spawn(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(os.getpid()), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name == _MASTER else subprocess.STDOUT,  # what a master puts out are messages
            start_new_session=True,
        )
        said = process.stderr or process.stdout
        assert said is not None
        self._processes[name], self._said[name] = process, Tail(said)
        return process

    def _command(self, command: dict[str, object]) -> None:
        self._write(self._processes[_MASTER], json.dumps(command))

    def _write(self, process: subprocess.Popen[bytes], line: str) -> None:
        assert process.stdin is not None
        try:
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
        except (OSError, ValueError) as error:
            raise LoadError(f"the load generator is gone: {self.log(_MASTER) or error}") from error

    def _listen(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError), stream:
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
        return status_of(self._processes[name]) is not None

    def _loss(self, name: str) -> Loss:
        self._reported.add(name)
        return Loss(name, status_of(self._processes[name]) or 0, self.log(name))
