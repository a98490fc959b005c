"""A costly look into one Python process: what it holds, where its time goes, who allocates.

It slows the process down, so it is kept out of what is judged: an `inspection` event says from when to when. Only to
sample the stacks costs little, and comes before it. Two of them, early and late in a soak, show what grew between them.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak.core.inspection import REHEARSAL
from soak.core.records import Event
from soak.probe import procfs
from soak.probe.agent import AgentError, AgentSense, ask, socket_of
from soak.probe.procfs import GoneError, Stat

_BESIDE_S = 20.0
_STEP = 256 * 1024
"""Bytes: so much more resident memory is told, lest it be taken for the target's own."""
_READING_S = 300.0
_MOST_KEPT = 48 * 1024 * 1024
_MOST_IN_ALL = 512 * 1024 * 1024
"""Of captures: each may take a quarter of what is left, so that there is room for later ones, however many come."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What to look at. `why`: `planned`, or what was suspected. `seconds` of allocations, none for 0.

    `objects`: Python's small objects are tracked too, which costs twice the CPU while it lasts.
    """

    why: str
    seconds: float
    hot_seconds: float
    objects: bool
    scratch: Path

    def __call__(self, sense: AgentSense, members: Sequence[Stat]) -> None:
        """Take it, in the sense's thread; what came of it is an event, with the capture as an artifact.

        Of one process, the busiest; but a rehearsal is for every one that may be it later.
        """
        if self.why == REHEARSAL:
            for stat in members:
                if (path := socket_of(stat.pid, sense.folder)) is not None:
                    self._look_into(sense, stat, path)
        elif (chosen := sense.busiest(members)) is not None:
            self._look_into(sense, *chosen)

    def _look_into(self, sense: AgentSense, stat: Stat, path: Path) -> None:
        capture = self.scratch / f"{sense.side}-{stat.pid}-{round(sense.now())}.bin"
        data: dict[str, Any] = {"pid": stat.pid, "why": self.why, "from": math.inf, "to": 0.0}
        for name, question in self._questions(capture):
            try:
                asked = sense.now()
                seconds = float(str(question.get("seconds", 0.0)))
                data[name] = ask(path, question, seconds + _BESIDE_S) | {"from": asked, "to": sense.now()}
                if name != "hot":  # what samples cost is hardly felt
                    data["from"], data["to"] = min(data["from"], asked), sense.now()
            except AgentError as error:
                data[name] = {"error": str(error)}
        if not math.isfinite(data["from"]):
            return  # the process went away
        began = data["from"]
        artifact = None
        if self.why == REHEARSAL:
            capture.unlink(missing_ok=True)
        elif "tracked_s" in data.get("window", {}):
            data["allocations"], packed = _read(capture, min(_MOST_KEPT, (_MOST_IN_ALL - sense.captured) // 4))
            if packed is not None:
                artifact = ("memray", capture.stem, packed)
                sense.captured += len(packed)
        text = f"looked into process {stat.pid} for {data['to'] - began:.1f} s ({self.why})"
        left = data.get("window", {}).get("rss_after", 0.0) - data.get("window", {}).get("rss_before", 0.0)
        if left >= _STEP:
            text += f"; that left {left / 2**20:.1f} MiB more resident"
        sense.tell(Event(began, "inspection", sense.side, text, data), artifact)

    def _questions(self, capture: Path) -> list[tuple[str, dict[str, object]]]:
        found: list[tuple[str, dict[str, object]]] = [("heap", {"do": "heap"})]
        if self.hot_seconds:
            hot: dict[str, object] = {"do": "hot", "seconds": self.hot_seconds}
            found = [("hot", hot), *found, ("calls", {"do": "calls"})]
        if self.seconds:
            window = {"do": "window", "path": str(capture), "seconds": self.seconds, "objects": self.objects}
            found.append(("window", window | {"elsewhere": packages()}))
        return found


def trim(sense: AgentSense, members: Sequence[Stat]) -> None:
    """Ask the agents of all processes for malloc_trim(0); how much resident memory went is an event."""
    before, after, done = 0.0, 0.0, False
    for stat in members:
        path = socket_of(stat.pid, sense.folder)
        if path is None:
            continue
        try:
            rss = _anon(stat.pid)
            done |= bool(ask(path, {"do": "trim"}, _BESIDE_S)["done"])
            before, after = before + rss, after + _anon(stat.pid)
        except (AgentError, GoneError, PermissionError):
            continue
    if done:
        text = f"malloc_trim gave back {max(0.0, before - after) / 2**20:.1f} MiB"
        sense.tell(Event(sense.now(), "trim", sense.side, text, {"before": before, "after": after}))


def _anon(pid: int) -> float:
    status = procfs.parse_status(procfs.read(pid, "status"))
    return status.get("memory.anon", status.get("memory.rss", 0.0))


def packages() -> str:
    """The folder in which soak's own memray is; of use to a target of the same version of Python only."""
    return sysconfig.get_paths()["platlib"]


def _read(capture: Path, most: int) -> tuple[dict[str, Any], bytes | None]:
    """The summary of a capture and its packed bytes, None when they are more than `most`; the files are removed."""
    packed = capture.with_name(capture.name + ".z")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "soak.probe.capture", str(capture)],
            capture_output=True,
            timeout=_READING_S,
            check=False,
        )
        if done.returncode:
            return {"error": done.stderr.decode(errors="replace").strip()[-500:]}, None
        found: dict[str, Any] = json.loads(done.stdout)
        return found, packed.read_bytes() if packed.stat().st_size <= most else None
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"error": str(error)}, None
    finally:
        capture.unlink(missing_ok=True)
        packed.unlink(missing_ok=True)
