"""Two soaks under `soak serve`: the daemon is killed and started anew, its runs are killed and left to it."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import urllib3

from benchmarks.chaos.plan import Kill, Trial
from benchmarks.chaos.stage import Stage, Started, free_port, listens, specimen
from benchmarks.chaos.story import Run, Story
from benchmarks.chaos.victims import family, kill, left, marked, role
from soak import runfile
from soak.core.errors import RunFileError

_NAMES = ("one", "two")
_PATIENCE_S = 12.0


class Served:
    """One trial of this kind, from the first daemon to the verdict of both runs."""

    def __init__(self, trial: Trial, stage: Stage) -> None:
        self._trial, self._stage = trial, stage
        self._draw = random.Random(trial.pick)
        self._door = free_port()
        self._daemon: Started
        self._http = urllib3.PoolManager(retries=False, timeout=10)
        self._runs: dict[str, Run] = {}
        self.story = Story(trial.number, trial.kind, [])

    def play(self) -> Story:
        """Do all of it. Raises StuckError."""
        for name in _NAMES:
            port = free_port()
            self._stage.scenario(name, specimen(port), port)
        self._serve()
        kills, began = deque(self._trial.kills), time.monotonic()
        while not self._over():
            if kills and self._due(kills[0], began):
                gone = time.monotonic() - began - kills[0].after > _PATIENCE_S
                if self._kill(kills[0]) or gone:
                    kills.popleft()
                    began = time.monotonic()
            self._stage.in_time("the runs did not end")
            time.sleep(0.02 if kills and kills[0].at_birth else 0.2)
        self.story.runs = list(self._runs.values())
        for run in self.story.runs:
            with suppress(RunFileError):
                run.lives += len(runfile.read(run.path).gaps)
        self.story.orphans += self._stage.orphans()
        return self.story

    def _serve(self) -> None:
        given = ("--scenarios", "scenarios", "--runs", "runs", "--parallel", str(len(_NAMES)))
        self._daemon = self._stage.soak("serve", *given, "--listen", f"127.0.0.1:{self._door}", "--min-free", "1 MiB")

    def _ask(self, method: str, path: str, body: object = None, key: str = "") -> Any:
        """What the daemon answers; None while there is none to ask."""
        headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
        data = json.dumps(body) if body is not None else None
        with suppress(urllib3.exceptions.HTTPError):
            answer = self._http.request(method, f"http://127.0.0.1:{self._door}{path}", body=data, headers=headers)
            if answer.status < 300:
                return answer.json()
        return None

    def _over(self) -> bool:
        """Whether both runs have ended; asks for those that the daemon has not heard of yet."""
        if not listens(self._door):
            return False
        ended = 0
        for name in _NAMES:
            job = self._ask(
                "POST", "/v1/runs", {"scenario": f"{name}.yaml"}, key=name
            )  # again and again: it is one run
            if job is None:
                continue
            job = self._ask("GET", f"/v1/runs/{job['id']}") or job
            if job["run"] is not None:  # its name has the number of the job: one that is queued again has the same
                self._runs.setdefault(name, Run(Path(), lives=1)).path = (
                    self._stage.folder / "runs" / f"{job['run']}.soak"
                )
            if job["state"] == "ended":
                ended += 1
                run = self._runs[name]
                run.code, run.reason, run.said = job["exit_code"], job["reason"] or "", job["reason"] or ""
                run.result = job["verdict"]
                run.document = self._ask("GET", f"/v1/runs/{job['id']}/verdict")
        return ended == len(_NAMES)

    def _due(self, planned: Kill, began: float) -> bool:
        if planned.at_birth:
            return any((self._stage.folder / "runs").glob("*.soak"))
        return time.monotonic() - began >= planned.after

    def _kill(self, planned: Kill) -> bool:
        found = sorted((p for p in marked(self._stage.mark) if role(p) == planned.victim), key=lambda p: p.pid)
        if not found:
            return False
        victim = self._draw.choice(found)
        whose = self._whose(victim)
        at = {run.path: run.look() for run in self._runs.values()}
        belongs = family(victim)
        if not kill(victim):
            return False
        self.story.kills.append(planned.victim)
        for run in self._runs.values() if planned.victim == "daemon" else [whose] if whose is not None else []:
            run.hit(planned.victim, at[run.path])
        if planned.victim == "conductor":
            self.story.orphans += left(belongs)
        elif planned.victim == "daemon":
            self._stage.end(self._daemon)
            time.sleep(self._draw.uniform(0.0, 1.0))
            self._serve()
        return True

    def _whose(self, process: psutil.Process) -> Run | None:
        """The run that a process belongs to: its conductor has the run file on its command line."""
        with suppress(psutil.Error):
            for one in (process, *process.parents()):
                words = one.cmdline()
                for run in self._runs.values():
                    if str(run.path) in words:
                        return run
        return None
