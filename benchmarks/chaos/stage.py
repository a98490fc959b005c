"""Where a trial takes place: a folder, a mark that all its processes have, and what the driver starts and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.chaos.victims import MARK, left, marked
from benchmarks.processes import ROOT, free_port

LOAD_S = 13.0
_SCENARIO = """
name: {name}
target: {{url: "http://127.0.0.1:{port}", {target}}}
load:
  {{rate: {rate}/s, connections: 8, timeout: 2s, workers: 2,
    requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]}}
phases: {{idle_before: 1s, warmup: 1s, soak: {soak}s, idle_after: 1s}}
criteria: [{{metric: errors.ratio, below: 5%}}]
"""


class StuckError(Exception):
    """Something that had to happen did not."""


@dataclass(slots=True)
class Started:
    """A process that the driver started; what it says goes to files, so that nobody has to read it."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def said(self) -> str:
        """The end of its standard error."""
        return self.err.read_text(errors="replace")[-4000:]

    @property
    def document(self) -> dict[str, Any] | None:
        """The verdict that it printed last, if it printed one."""
        text = self.out.read_text(errors="replace")
        try:
            found = json.loads(text[text.rfind("\n{\n") + 1 :])
        except ValueError:
            return None
        return found if isinstance(found, dict) and "verdict" in found else None


@dataclass(slots=True)
class Stage:
    """One trial's folder and processes."""

    folder: Path
    mark: str
    limit: float = 300.0
    """Longest wait (s) after the last process that the driver started: on a busy machine each life takes its time."""
    own: list[Started] = field(default_factory=list)
    _count: int = 0
    _since: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.clear()
        for process in marked(self.mark):  # a trial that failed must not spoil the ones beside it
            with suppress(psutil.Error):
                process.kill()

    def start(self, *words: str, stdin: str | None = None) -> Started:
        """Start `python -m WORDS...`, with the mark; `stdin` is what it may read, and is then held open."""
        self._count += 1
        self._since = time.monotonic()
        out, err = (self.folder / f"{self._count:02d}-{words[0]}.{kind}" for kind in ("out", "err"))
        with out.open("wb") as to, err.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT), MARK: self.mark, "COLUMNS": "100"},
                stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
                stdout=to,
                stderr=said,
            )
        if stdin is not None:
            assert process.stdin is not None
            process.stdin.write(stdin.encode())
            process.stdin.flush()
        self.own.append(Started(process, out, err))
        return self.own[-1]

    def soak(self, *words: str) -> Started:
        """Start `soak WORDS...`."""
        return self.start("soak.cli", *words)

    def end(self, started: Started) -> None:
        """End one process of the driver's own, at once."""
        started.process.kill()
        started.process.wait()
        if started.process.stdin is not None:
            started.process.stdin.close()
        self.own.remove(started)

    def clear(self) -> None:
        """End all that the driver started."""
        for started in list(self.own):
            self.end(started)

    def orphans(self) -> list[str]:
        """What is there when nothing may be: to be asked when all runs are over and the driver's own are ended."""
        self.clear()
        return left(marked(self.mark))

    def until(self, what: Callable[[], bool], why: str, pause: float = 0.1) -> None:
        """Wait until something is so. Raises StuckError when the trial takes too long."""
        while not what():
            self.in_time(why)
            time.sleep(pause)

    def in_time(self, why: str) -> None:
        """Raises StuckError when the trial takes too long."""
        if time.monotonic() - self._since > self.limit:
            raise StuckError(f"{why} within {self.limit:.0f} s of the last start")

    def scenario(self, name: str, target: str, port: int, soak: float = LOAD_S - 1, rate: float = 20) -> Path:
        """A scenario file: a short soak at a small rate."""
        path = self.folder / "scenarios" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(_SCENARIO.format(name=name, port=port, target=target, soak=f"{soak:g}", rate=f"{rate:g}"))
        return path


def specimen(port: int, name: str = "healthy") -> str:
    """A target that soak starts."""
    return f'process: {{command: "{{python}} -m soak.specimens {name} --port {port}", agent: false}}'


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback (proc_pid_net(5): state 0A); nobody is connected to."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


__all__ = ["LOAD_S", "Stage", "Started", "StuckError", "free_port", "listens", "specimen"]
