"""What is not a kill: a disk that fills, a clock that is set, a target that the kernel ends for want of memory."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.chaos.plan import Injection
from benchmarks.chaos.stage import Stage, Started, free_port, specimen
from benchmarks.chaos.story import Run, Story
from benchmarks.processes import MissingError
from soak.probe.cgroup import ROOT as CGROUPS

_DISK_BYTES = 4 * 2**20
_OOM_BYTES = 96 * 2**20
_STEP_S = 3600.0
_GROUPS = ((CGROUPS / "memory", "memory.limit_in_bytes"), (CGROUPS, "memory.max"))


class Injected:
    """One soak that meets one of them. Raises MissingError where this machine does not let it be made."""

    def __init__(self, what: Injection, stage: Stage) -> None:
        self._what, self._stage = what, stage
        self._port = free_port()
        self.run = Run(stage.folder / "runs" / "soak.soak", lives=1)
        self.story = Story(0, what, [self.run])

    def play(self) -> Story:
        """Do all of it. Raises StuckError."""
        {"disk full": self._disk, "clock step": self._clock, "target OOM": self._oom}[self._what]()
        self.story.orphans += self._stage.orphans()
        return self.story

    def _disk(self) -> None:
        """The disk of the run file is full for good: the run ends; when there is room again, it goes on."""
        with small_disk(self.run.path.parent, _DISK_BYTES) as disk:
            scenario = self._stage.scenario("soak", specimen(self._port), self._port)
            started = self._stage.soak("run", str(scenario), "--run-file", str(self.run.path), "--json")
            self._soaking(started)
            fill(disk)
            self.run.hit("disk full", self.run.look())
            self._end(started)
            if self.run.document is None:  # it could not be kept where there is no room
                (disk / "ballast").unlink()
                self.run.lives += 1
                self._end(self._stage.soak("run", "--resume", str(self.run.path), "--json"))
            kept = self._stage.folder / "kept.soak"  # the disk goes away with the trial
            kept.write_bytes(self.run.path.read_bytes())
            self.run.path = kept

    def _clock(self) -> None:
        """The wall clock is set forward by an hour, as far as soak can see."""
        steps = self._stage.folder / "steps"
        steps.write_text("0")
        scenario = self._stage.scenario("soak", specimen(self._port), self._port)
        words = ("run", str(scenario), "--run-file", str(self.run.path), "--json")
        started = self._stage.start("benchmarks.chaos.stepped", str(steps), *words)
        self._soaking(started)
        moved = steps.with_suffix(".new")
        moved.write_text(str(_STEP_S))
        self.run.hit("clock step", self.run.look())
        moved.replace(steps)
        self._end(started)

    def _oom(self) -> None:
        """A target that leaks in a control group of its own."""
        with memory_group(_OOM_BYTES) as group:
            inner = f"echo 0 > {group}/cgroup.procs; exec {{python}} -m soak.specimens leak"
            command = f"sh -c '{inner} --per-request 400KiB --port {self._port}'"
            target = f'process: {{command: "{command}", agent: false}}'
            scenario = self._stage.scenario("soak", target, self._port)
            started = self._stage.soak("run", str(scenario), "--run-file", str(self.run.path), "--json")
            self._soaking(started)
            self.run.hit("target OOM", self.run.look())
            self._end(started)

    def _soaking(self, started: Started) -> None:
        """Wait for some seconds of the soak, not always so many."""

        def far_enough() -> bool:
            phase, _ = self.run.look()
            return phase not in (None, "idle_before", "warmup") or started.process.poll() is not None

        self._stage.until(far_enough, "the soak phase was not reached")
        time.sleep(random.Random(self._what).uniform(1.0, 4.0))

    def _end(self, started: Started) -> None:
        self._stage.until(lambda: started.process.poll() is not None, "the run did not end")
        self.run.code, self.run.document, self.run.said = started.process.returncode, started.document, started.said


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes at `place`. Raises MissingError: only root may mount one."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "soak-chaos", str(place)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise MissingError(f"no small disk can be mounted here: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def fill(disk: Path) -> None:
    """Write a file until there is no room for another byte."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(b"\0" * 4096):
            pass


@contextlib.contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A control group, of version 1 or 2, of `limit` bytes of memory. Raises MissingError where there can be none."""
    for top, file in _GROUPS:
        group = top / f"soak-chaos-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / file).write_text(str(limit))
        except OSError:  # its parent does not hand this controller down
            group.rmdir()
            continue
        try:
            yield group
        finally:
            for _ in range(50):  # the last process may still be on its way out
                with contextlib.suppress(OSError):
                    group.rmdir()
                    break
                time.sleep(0.1)
        return
    raise MissingError("no control group with a memory limit can be made here")
