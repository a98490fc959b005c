"""A soak that is killed, and resumed by whoever started it: `soak run --resume` until there is a verdict.

A witness joins each life as a worker from elsewhere and notes what it is told.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

import psutil

from benchmarks.chaos.plan import Kill, Trial
from benchmarks.chaos.stage import Stage, Started, free_port, listens, specimen
from benchmarks.chaos.story import Run, Story
from benchmarks.chaos.victims import family, kill, left, role
from soak.load import Invitation

_LIVES = 8
_PATIENCE_S = 12.0  # how long a victim that is not there is waited for
_AWAY_S = 1.0


class Direct:
    """One trial of this kind, from its first process to its verdict."""

    def __init__(self, trial: Trial, stage: Stage) -> None:
        self._trial, self._stage = trial, stage
        self._draw = random.Random(trial.pick)
        self._port = free_port()
        self._door = free_port()
        self._observer: tuple[Started, int] | None = None
        self._witness: Started | None = None
        self._witnesses = 0
        self._conductor: Started
        self._token = token_hex(16)
        (stage.folder / "token").touch(0o600)
        (stage.folder / "token").write_text(self._token)
        self.run = Run(stage.folder / "runs" / "soak.soak")
        self.story = Story(trial.number, trial.kind, [self.run])

    def play(self) -> Story:
        """Do all of it. Raises StuckError."""
        target = specimen(self._port)
        if self._trial.kind == "observed":
            self._stage.start("soak.specimens", "healthy", "--port", str(self._port))
            self._stage.until(lambda: listens(self._port), "the target did not listen")
            self._observer = self._observe(free_port())
            target = f'observer: "http://127.0.0.1:{self._observer[1]}"'
        scenario = self._stage.scenario("soak", target, self._port)
        kills, began = deque(self._trial.kills), time.monotonic()
        self._live(scenario)
        while self.run.lives <= _LIVES:
            if self._conductor.process.poll() is not None:
                if self._over():
                    break
                self._live(scenario)
            self._join()
            if kills and self._due(kills[0], began):
                gone = time.monotonic() - began - kills[0].after > _PATIENCE_S
                if self._kill(kills[0]) or gone:
                    kills.popleft()
                    began = time.monotonic()
            self._stage.in_time("no verdict")
            time.sleep(0.005 if kills and kills[0].at_birth else 0.05)
        self._close()
        return self.story

    def _live(self, scenario: Path) -> None:
        """Begin the run, or go on with it where it has a file."""
        self.run.lives += 1
        join = ("--listen", f"127.0.0.1:{self._door}", "--token-file", "token", "--remote-workers", "1", "--json")
        path = str(self.run.path)
        what = ("--resume", path) if self.run.path.exists() else (str(scenario), "--run-file", path)
        self._end_witness()
        self._conductor = self._stage.soak("run", *what, *join)

    def _over(self) -> bool:
        """Whether the run has its verdict: from itself, or, where it died after its last word, from its file."""
        ended = self._conductor
        self.run.code, self.run.document, self.run.said = ended.process.returncode, ended.document, ended.said
        if self.run.document is None and "this run is finished" in ended.said:
            judged = self._stage.soak("judge", str(self.run.path), "--json")
            self._stage.until(lambda: judged.process.poll() is not None, "the judge did not end")
            self.run.code, self.run.document = judged.process.returncode, judged.document
        return self.run.document is not None

    def _due(self, planned: Kill, began: float) -> bool:
        return self.run.path.exists() if planned.at_birth else time.monotonic() - began >= planned.after

    def _kill(self, planned: Kill) -> bool:
        own = [self._observer[0]] if self._observer else []
        own += [self._witness] if self._witness else []
        conductor = psutil.Process(self._conductor.process.pid) if self._conductor.process.poll() is None else None
        candidates = [conductor, *family(conductor)] if conductor is not None else []
        for started in own:
            with suppress(psutil.NoSuchProcess):
                candidates.append(psutil.Process(started.process.pid))
        found = sorted((p for p in candidates if p is not None and role(p) == planned.victim), key=lambda p: p.pid)
        if not found:
            return False
        victim = self._draw.choice(found)
        at = self.run.look() if not planned.at_birth else (None, None)
        belongs = family(victim)
        if not kill(victim):
            return False
        self.story.kills.append(planned.victim)
        self.run.hit(planned.victim, at)
        if planned.victim == "conductor":
            self._conductor.process.wait()
            self.story.orphans += left(belongs)
        elif planned.victim == "observer" and self._observer is not None:
            self._stage.end(self._observer[0])
            time.sleep(self._draw.uniform(0.0, _AWAY_S))
            self._observer = self._observe(self._observer[1])
        return True

    def _observe(self, door: int) -> tuple[Started, int]:
        """An observer beside the target, listening."""
        given = ("--port", str(self._port), "--listen", f"127.0.0.1:{door}")
        started = self._stage.soak("observe", *given)
        self._stage.until(lambda: listens(door), "the observer did not listen")
        return started, door

    def _join(self) -> None:
        """Have a witness join as soon as there is a master to join, and another one where it was killed."""
        if self._witness is not None and self._witness.process.poll() is not None:
            self._end_witness()
        if self._witness is None and listens(self._door):
            self._witnesses += 1
            invitation = Invitation("127.0.0.1", self._door, self._token, f"witness-{self._witnesses}", local=True)
            words = ("benchmarks.chaos.witness", str(os.getpid()), str(self._stage.folder / "notes"))
            self._witness = self._stage.start(*words, stdin=invitation.to_line() + "\n")

    def _end_witness(self) -> None:
        if self._witness is not None:
            self._stage.end(self._witness)
            self._witness = None

    def _close(self) -> None:
        self._end_witness()
        notes = self._stage.folder / "notes"
        for line in notes.read_text().splitlines() if notes.exists() else []:
            name, _, sequence = line.rpartition(" ")
            self.run.told.add((name, int(sequence)))
        self.story.orphans += self._stage.orphans()
