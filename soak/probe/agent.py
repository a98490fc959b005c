"""What the agents in a target's Python processes say: allocator, arenas, collector, depth of calls.

A thread asks them, one after the other: an agent answers when its interpreter lets it, which may take a while, and a
run does not wait for it. Costly looks (`Inspection`) are asked for by the same thread, so that no two overlap.
"""

from __future__ import annotations

import contextlib
import json
import math
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from soak.core.records import Event, Sample
from soak.probe import procfs
from soak.probe.procfs import GoneError, Stat

FOLDER_VARIABLE = "SOAK_AGENT_DIR"
"""Tells the agent in which folder its socket shall be."""
PROTOCOL = 1
_PATIENCE_S = 5.0
_LATELY_S = 15.0
_COMES_UP_S = 8.0
_FAIR = 0.3
_MOST_BYTES = 16 * 1024 * 1024
_ENOUGH = 0.9
"""Of the tree's resident memory: what the processes that answered must hold for their sum to be that of the tree."""
_SUMMED = (
    "memory.live",
    "memory.free_in_heap",
    "memory.pymalloc_slack",
    "python.blocks",
    "python.live",
    "malloc.holes",
)

_CUMULATIVE = (
    "agent.recursion_errors",
    "agent.cpu_seconds",
    "gc.collections",
    "gc.full_collections",
    "gc.uncollectable",
)

Job = Callable[["AgentSense", Sequence[Stat]], None]


class AgentError(Exception):
    """No agent answers, or it says why it cannot do what it was asked for."""


def ask(path: Path, question: Mapping[str, object], patience: float = _PATIENCE_S) -> dict[str, Any]:
    """The answer of the agent whose socket is at `path`, within `patience` seconds. Raises AgentError."""
    try:
        with socket.socket(socket.AF_UNIX) as peer:
            until = monotonic() + patience
            peer.settimeout(patience)
            peer.connect(str(path))
            peer.sendall(json.dumps(question).encode() + b"\n")
            text = bytearray()
            while not text.endswith(b"\n") and len(text) < _MOST_BYTES:
                peer.settimeout(max(0.001, until - monotonic()))
                piece = peer.recv(65_536)
                if not piece:
                    raise AgentError("it hung up")
                text += piece
        answer = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise AgentError(str(error)) from None
    if not isinstance(answer, dict) or "error" in answer:
        raise AgentError(str(answer["error"] if isinstance(answer, dict) else "no answer")[:500])
    if answer.get("protocol") != PROTOCOL:
        raise AgentError("it is of another version of soak")
    return answer


class AgentSense:
    """Asks the agents of one side. Values are per process, and of the tree when nearly all of it has an agent.

    Sums of the tree: live, free and slack bytes, objects. `memory.fragmentation` is what the allocators keep and
    nobody uses, by that and what is live; only resident bytes count. `stack.depth` is the deepest of any process;
    `agent.recursion_errors`, collections and the agents' own CPU never fall when a process ends.
    """

    def __init__(self, side: str, every: float, folder: Path | None = None, missing: str = "") -> None:
        """`folder` is where agents have their sockets; `missing` is told once of a Python target that has none."""
        self.side = side
        self.folder = folder
        self._missing = missing
        self.force = True
        """Whether figures shall be had at any cost: when no load goes, nobody waits for the allocator's locks."""
        self._every = every
        self._members: Sequence[Stat] = ()
        self._offset: float | None = None
        self._done: list[tuple[float, str, dict[str, float]]] = []
        self._events: list[Event] = []
        self._artifacts: list[tuple[float, str, str, bytes]] = []
        self._counted: dict[tuple[int, int], dict[str, float]] = {}
        """What only rises, of each process that lives; of all others together, `_ended`."""
        self._ended = dict.fromkeys(_CUMULATIVE, 0.0)
        self._cpu: deque[tuple[float, dict[tuple[int, int], float]]] = deque()
        self._chosen: int | None = None
        self._told = -math.inf
        self._python_since: float | None = None
        self._faults: set[str] = set()
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"soak-agent-{side}", daemon=True)
        self.busy = False
        """Whether a costly look is under way."""
        self.present = False
        """Whether any agent has answered so far."""
        self.captured = 0
        """Bytes of captures that were kept so far."""

    @property
    def tells(self) -> bool:
        """Whether agents said lately what is live in the whole tree: a helper in Python beside it does not."""
        return monotonic() - self._told < _LATELY_S + 5 * self._every

    def look(self, t: float, members: Sequence[Stat]) -> list[Sample]:
        """What came in since the last call."""
        self._members, self._offset = members, t - monotonic()
        self._cpu.append((t, {(s.pid, s.started): s.cpu_seconds for s in members}))
        while len(self._cpu) > 1 and self._cpu[1][0] <= t - _LATELY_S:
            self._cpu.popleft()
        if self._thread.ident is None and not self._stop.is_set():
            self._thread.start()
        with self._lock:
            done, self._done = self._done, []
        return [Sample(at + self._offset, source, values) for at, source, values in done]

    def busiest(self, members: Sequence[Stat]) -> tuple[Stat, Path] | None:
        """The process with an agent that used most CPU lately: of a server with workers, one that serves.

        The one of last time is kept while it has a fair part, for two looks are compared.
        """
        before = self._cpu[0][1] if self._cpu else {}
        lately = {s.pid: s.cpu_seconds - before.get((s.pid, s.started), 0.0) for s in members}
        found = [(s, path) for s in members if (path := socket_of(s.pid, self.folder)) is not None]
        if not found:
            return None
        most = max(lately[s.pid] for s, _ in found)
        again = next((f for f in found if f[0].pid == self._chosen and lately[self._chosen] >= _FAIR * most), None)
        chosen = again or max(found, key=lambda f: lately[f[0].pid])
        self._chosen = chosen[0].pid
        return chosen

    def events(self) -> list[Event]:
        """What happened since the last call."""
        with self._lock:
            events, self._events = self._events, []
        return events

    def artifacts(self) -> list[tuple[float, str, str, bytes]]:
        """Files to keep with the run since the last call: when (s), kind, name, bytes."""
        with self._lock:
            kept, self._artifacts = self._artifacts, []
        return kept

    def close(self) -> None:
        """Ask no more. A look that is under way is not waited for."""
        self._stop.set()

    def order(self, job: Job) -> None:
        """Have a costly look taken as soon as may be."""
        self.busy = True
        self._jobs.put(job)

    def now(self) -> float:
        """Seconds since the start of the run."""
        return monotonic() + (self._offset or 0.0)

    def tell(self, event: Event, artifact: tuple[str, str, bytes] | None = None) -> None:
        """Note an event, with a file (kind, name, bytes) if there is one."""
        with self._lock:
            self._events.append(event)
            if artifact is not None:
                self._artifacts.append((event.t, *artifact))

    def _run(self) -> None:
        due = monotonic()
        while not self._stop.is_set():
            with contextlib.suppress(queue.Empty):
                job = self._jobs.get(timeout=max(0.05, min(0.25, due - monotonic())))
                try:
                    job(self, self._members)
                except Exception as error:  # whatever a stranger's answer leads to must not end the thread
                    self.tell(Event(self.now(), "note", self.side, f"a close look failed: {type(error).__name__}"))
                finally:
                    self.busy = not self._jobs.empty()
            if monotonic() >= due:
                try:
                    self._ask_all(self._members)
                except Exception as error:
                    self._note_fault(error)
                due = max(due + self._every, monotonic() + self._every / 2)

    def _note_fault(self, error: Exception) -> None:
        """Say once of each kind that figures are missing: those of the next question may be had again."""
        if (kind := type(error).__name__) not in self._faults:
            self._faults.add(kind)
            self.tell(Event(self.now(), "note", self.side, f"agents could not be asked: {kind}: {error}"[:300]))

    def _ask_all(self, members: Sequence[Stat]) -> None:
        answered: list[tuple[float, dict[str, float]]] = []
        resident, heard = 0.0, 0.0
        self._forget({(s.pid, s.started) for s in members})
        for stat in members:
            try:
                status = procfs.parse_status(procfs.read(stat.pid, "status"))
            except (GoneError, PermissionError):
                continue
            rss = status.get("memory.rss", 0.0)
            resident += rss
            path = socket_of(stat.pid, self.folder)
            if path is None:
                continue
            try:
                answer = ask(path, {"do": "look", "force": self.force})
            except AgentError:
                continue
            try:
                values = figures(answer, status.get("memory.anon"))
                self._greet(stat, answer)
            except (AttributeError, KeyError, TypeError, ValueError):
                continue  # who answers is no agent of ours
            heard += rss
            answered.append((monotonic(), values))
            self._counted[stat.pid, stat.started] = {name: values[name] for name in _CUMULATIVE}
            with self._lock:
                self._done.append((answered[-1][0], f"{self.side}/{stat.pid}@{stat.started}", values))
        if answered and heard >= _ENOUGH * resident:
            tree = self._tree([values for _, values in answered])
            if "memory.live" in tree:
                self._told = monotonic()
            with self._lock:
                self._done.append((monotonic(), self.side, tree))
        if self._missing and not self.present:
            self._miss(members)

    def _miss(self, members: Sequence[Stat]) -> None:
        """Say that a Python program has no agent, once it had the time to bring one up."""
        pid = next((stat.pid for stat in members if _is_python(stat.pid)), None)
        if pid is None:
            return
        now = monotonic()
        self._python_since = self._python_since or now
        if now - self._python_since > _COMES_UP_S:
            self.tell(Event(self.now(), "agent_missing", self.side, self._missing, {"pid": pid}))
            self._missing = ""

    def _forget(self, alive: Collection[tuple[int, int]]) -> None:
        """Keep of processes that have ended no more than their sum: a tree may have new ones for months."""
        for key in [key for key in self._counted if key not in alive]:
            for name, value in self._counted.pop(key).items():
                self._ended[name] += value

    def _tree(self, answered: list[dict[str, float]]) -> dict[str, float]:
        found = {n: sum(v[n] for v in answered) for n in _SUMMED if all(n in v for v in answered)}
        found |= {name: ended + sum(v[name] for v in self._counted.values()) for name, ended in self._ended.items()}
        found["gc.enabled"] = min(v["gc.enabled"] for v in answered)
        deepest = max(answered, key=lambda v: v["stack.depth"] / v["stack.depth_limit"])
        found["stack.depth"], found["stack.depth_limit"] = deepest["stack.depth"], deepest["stack.depth_limit"]
        if kept := [v["memory.kept"] for v in answered if "memory.kept" in v]:
            total = sum(kept) + found.get("memory.live", 0.0)
            if "memory.live" in found and total > 0:
                found["memory.fragmentation"] = sum(kept) / total
        return found

    def _greet(self, stat: Stat, answer: dict[str, Any]) -> None:
        if (stat.pid, stat.started) in self._counted:
            return
        self.present = True
        text = f"process {stat.pid} has an agent: Python {answer['python']}, allocator {answer['allocator']}"
        data = {"pid": stat.pid, "python": answer["python"], "allocator": answer["allocator"]}
        self.tell(Event(self.now(), "agent", self.side, text, data))


def _is_python(pid: int) -> bool:
    try:
        return (procfs.PROC / str(pid) / "exe").readlink().name.startswith("python")
    except OSError:  # it has ended, or is another user's
        return False


def figures(answer: Mapping[str, Any], anon: float | None) -> dict[str, float]:
    """The values in an agent's answer by metric; what it did not look at, or cannot know, is absent.

    `anon`: the process's resident anonymous bytes. What the allocators keep can be no more than those of them that
    are not live: pages that were given back, or never touched, are still counted as free by an allocator.
    """
    malloc, arenas, collector, stack = answer["malloc"], answer["pymalloc"], answer["gc"], answer["stack"]
    found: dict[str, float] = {
        "stack.depth": float(stack["depth"]),
        "stack.depth_limit": float(stack["limit"]),
        "agent.recursion_errors": float(answer["recursion_errors"]),
        "agent.cpu_seconds": float(answer["cpu_s"]),
        "gc.collections": float(sum(collector["collections"])),
        "gc.full_collections": float(collector["collections"][-1]),
        "gc.uncollectable": float(collector["uncollectable"]),
        "gc.enabled": float(collector["enabled"]),
    }
    if "blocks" in arenas:
        found["python.blocks"] = float(arenas["blocks"])
    if "live" in arenas:
        found["python.live"] = float(arenas["live"])
        found["memory.pymalloc_slack"] = float(arenas["slack"])
    if "free" in malloc:
        found["memory.free_in_heap"] = float(malloc["free"])
    if "holes" in malloc:
        found["malloc.holes"] = float(malloc["holes"])
    if "live" in malloc and "live" in arenas:
        live = found["memory.live"] = float(malloc["live"] + arenas["live"])
        kept = found["memory.free_in_heap"] + found["memory.pymalloc_slack"]
        found["memory.kept"] = kept if anon is None else max(0.0, min(kept, anon - live))
        if live + found["memory.kept"] > 0:
            found["memory.fragmentation"] = found["memory.kept"] / (live + found["memory.kept"])
    return found


def socket_of(pid: int, folder: Path | None) -> Path | None:
    """Where the agent of a process listens, if it seems to have one.

    A process in a container has another number there, and a /tmp of its own: /proc/PID/root leads into it.
    """
    try:
        inner = _inner_pid(procfs.read(pid, "status")) or pid
        user = (procfs.PROC / str(pid)).stat().st_uid
    except (GoneError, OSError):
        return None
    root = procfs.PROC / str(pid) / "root"
    # a process that gave up root's rights may still listen where it began
    places = [root / f"tmp/soak-agent-{of}" / f"{inner}.sock" for of in dict.fromkeys((user, 0))]
    if folder is not None:
        places = [folder / f"{pid}.sock", folder / f"{inner}.sock", *places]
    found: list[tuple[float, Path]] = []
    for place in places:
        with contextlib.suppress(OSError):
            if place.is_socket():
                found.append((place.stat().st_mtime, place))
    # the newest: where it listened before, it may not have been able to tidy up
    return max(found)[1] if found else None


def _inner_pid(status: str) -> int | None:
    """The process's number in its own PID namespace, from /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return None
