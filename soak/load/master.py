"""The load master: a child process on Locust's master engine that splits the schedule and keeps the reports.

    standard input: one JSON object a line: the plan, then commands: start, stop, lost, quit
    standard output: what happened, one JSON object a line: listening, joined, ready, event, split, ended, drained
    arguments: parent pid, address to listen at, port (0: any)

It writes every report into the run file before it tells the worker that the report is safe. When a worker comes or
goes it splits the schedule anew: the arrivals that fall due from a moment on, a little ahead, are shared by those
that are there then.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from time import monotonic
from typing import Any

from soak.load.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))

import gevent
import locust.runners
import zmq
from gevent.fileobject import FileObject
from locust import User
from locust.env import Environment
from locust.exception import RPCError
from locust.rpc import Message

from soak.core.errors import LoadError
from soak.core.records import Event
from soak.load.ledger import unpack
from soak.load.plan import Plan, emit
from soak.load.wire import ALONE_S, BEAT_S, Session, nonce
from soak.runfile import RunWriter

SPLIT_LEAD_S = 1.0
"""A split is told this long before it holds, so that everybody has heard of it."""
_HELLO_S = 10.0
_MOST_PENDING = 1000
_CLOCK_ERROR_S = 0.005
locust.runners.HEARTBEAT_LIVENESS = 10**9  # who is there is decided here, by what arrives


@dataclass(slots=True)
class Member:
    """A worker that has shown the token; `present` while it owns a share of the schedule."""

    node: str
    name: str
    session: Session
    heard: float
    share: int = 0
    """Which share it was told last."""
    ready: bool = False
    present: bool = False
    dead: bool = False
    final: bool = False


class Master:
    """One side's master: who belongs to it, who owns which share, and what they reported."""

    def __init__(self, plan: Plan, token: str, expected: int, run_file: Path, host: str, port: int) -> None:
        self.plan = plan
        self.expected = expected
        self.begin: float | None = None
        self._ends = math.inf
        """When the load does (s, monotonic)."""
        self._token = token
        self._members: dict[str, Member] = {}
        self._pending: dict[str, tuple[str, str]] = {}
        self._empty: set[str] = set()
        self._drained = False
        self._writer = RunWriter.attach(run_file)
        self._names = self._writer.workers(plan.side)  # of a run that is resumed: theirs are taken
        placeholder = type("SoakUser", (User,), {"abstract": False, "tasks": [print]})  # nothing runs here
        self.environment = Environment(user_classes=[placeholder])
        try:
            self.runner = self.environment.create_master_runner(host, port)
        except RPCError as error:
            raise LoadError(f"cannot listen at {host}:{port}: {error}") from None
        # a worker whose connection was cut comes back under its name before the old one is known to be dead
        self.runner.server.socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        self.runner.register_message("soak_hello", self._on_hello)
        handlers: dict[str, Callable[[Member, dict[str, Any]], None]] = {
            "soak_join": self._on_join,
            "soak_ready": self._on_ready,
            "soak_ping": self._on_ping,
            "soak_report": self._on_report,
        }
        for kind, handler in handlers.items():
            self.runner.register_message(kind, self._sealed(kind, handler))
        self.environment.events.worker_connect.add_listener(self._on_connect)
        gevent.spawn(self._watch)
        emit("listening", port=self.runner.server.port)

    def obey(self, commands: FileObject) -> None:
        """Follow the commands until `quit`, or until whoever gave them is gone."""
        for line in commands:
            command = json.loads(line)
            if command["do"] == "start":
                self._start(float(command["begin"]))
            elif command["do"] == "stop":
                self._stop(float(command["at"]))
            elif command["do"] == "lost":
                self._bury(str(command["name"]))
            elif command["do"] == "quit":
                break
        self.runner.quit()
        self._writer.close()

    def _start(self, begin: float) -> None:
        self.begin = begin
        self._ends = min(self._ends, begin + self.plan.model().load_s)
        for member in self._ready():
            member.present = True
        self._split(self.plan.since, "soak_start")

    def _stop(self, at: float) -> None:
        self._ends = min(self._ends, at)
        for member in self._ready():
            self._tell(member, "soak_stop", {"at": at})

    def _ready(self) -> list[Member]:
        return [m for m in self._members.values() if m.ready and not m.dead]

    def _now(self) -> float:
        """Seconds since the start of load."""
        return monotonic() - (self.begin or 0.0)

    @property
    def _began(self) -> float:
        """When the schedule began, for those to whom its times mean something later (s since the start of the run)."""
        return (self.begin or 0.0) - self.plan.zero

    def _split(self, at: float, kind: str = "soak_split") -> None:
        """Share the arrivals from `at` on among those present, and tell them and the conductor."""
        present = sorted((m for m in self._members.values() if m.present), key=lambda m: m.name)
        for index, member in enumerate(present):
            member.share += 1
            share = {"begin": self.begin, "at": at, "index": index, "of": len(present), "number": member.share}
            self._tell(member, kind, share | {"from": (self.begin or 0.0) + at})
        shares = {m.name: index for index, m in enumerate(present)}
        emit("split", at=at, shares=shares)
        self._event("split", f"the rate is shared by {', '.join(shares) or 'nobody'}", {
            "at": at, "shares": shares, "begin": self._began,
        })  # fmt: skip

    def _lose(self, member: Member, why: str) -> None:
        """Share its arrivals among the others; what was due since it was last heard of is a gap."""
        if not member.present:
            return
        member.present = False
        text = f"{member.name} was lost ({why})"
        at = self._now() + SPLIT_LEAD_S
        gap = {
            "worker": member.name,
            "from": self._now() - (monotonic() - member.heard),
            "to": at,
            "begin": self._began,
        }
        self._event("worker_lost", text, gap)
        if any(m.present for m in self._members.values()):
            self._split(at)

    def _bury(self, name: str) -> None:
        for member in self._members.values():
            if member.name == name:
                member.dead = True
                self._lose(member, "its process ended")
        self._check_drained()

    def _watch(self) -> None:
        """A worker that is not heard from is taken for lost, until it is heard from again."""
        while True:
            gevent.sleep(BEAT_S / 4)
            if self.begin is not None and not self._drained:
                for member in self._members.values():
                    if member.present and not member.final and monotonic() - member.heard > ALONE_S:
                        self._lose(member, f"not heard from for {ALONE_S:.0f} s")
                self._check_drained()

    def _heard(self, member: Member) -> None:
        member.heard = monotonic()
        if self.begin is None or member.present or member.dead or member.final or not member.ready:
            return
        member.present = True
        self._event("worker_joined", f"{member.name} is back", {"worker": member.name})
        self._split(max(0.0, self._now()) + SPLIT_LEAD_S)

    def _on_connect(self, client_id: str, **_: Any) -> None:
        def check() -> None:
            if client_id not in self._members and client_id in self.runner.clients:  # nor was it refused already
                self._refuse(client_id, "it did not say who it is")

        gevent.spawn_later(_HELLO_S, check)

    def _on_hello(self, msg: Any, **_: Any) -> None:
        if isinstance(msg.data, dict) and isinstance(msg.data.get("nonce"), str):
            mine = nonce()
            while len(self._pending) >= _MOST_PENDING:  # whoever says hello and no more is a stranger
                self._pending.pop(next(iter(self._pending)))
            self._pending[msg.node_id] = (msg.data["nonce"], mine)
            self.runner.send_message("soak_challenge", {"run": self.plan.run, "nonce": mine}, msg.node_id)

    def _on_join(self, member: Member, data: dict[str, Any]) -> None:
        member.name = str(data["name"])[:64]
        self._tell(member, "soak_plan", {"plan": self.plan.to_line()})

    def _on_ready(self, member: Member, data: dict[str, Any]) -> None:
        asked, n = member.name, 1
        while (
            unique := asked if n == 1 else f"{asked}-{n}"
        ) in self._names:  # reports are known by worker and sequence
            n += 1
        self._names.add(unique)
        member.name, member.ready = unique, True
        error = float(data["clock_error"])
        emit("joined", worker=member.name, ready=len(self._ready()))
        if error > _CLOCK_ERROR_S:
            text = f"the clock of {member.name} is known to {error * 1e3:.1f} ms only: its latencies may be off by that"
            self._event("note", text, {"worker": member.name, "clock_error": error})
        if self.begin is None:
            if len(self._ready()) == self.expected:
                emit("ready")
            return
        at = max(0.0, self._now()) + SPLIT_LEAD_S
        member.present = True
        member.heard = monotonic()
        self._event("worker_joined", f"{member.name} joined late", {"worker": member.name})
        start = {"begin": self.begin, "at": at, "index": 0, "of": 0, "number": 0, "from": self.begin + at}
        self._tell(member, "soak_start", start)
        self._split(at)

    def _on_ping(self, member: Member, data: dict[str, Any]) -> None:
        now = monotonic()
        self._tell(member, "soak_pong", {"sent": data["sent"], "now": now})
        if data["alone"] is not None and data["share"] == member.share and member.present:
            # it has left the share that it was told last, and that it was cut off is not known here yet
            member.heard = now - float(data["alone"]) - ALONE_S
            self._lose(member, "it was cut off")

    def _on_report(self, member: Member, data: dict[str, Any]) -> None:
        data["worker"] = member.name
        tally, intervals, events = unpack(data, self.plan.side)
        self._writer.add_report(tally, intervals)
        for event in events:
            self._writer.add_event(event)
        self._check_slots(data)
        self._tell(member, "soak_safe", {"sequence": data["sequence"]})
        if data["final"] and not member.final:
            member.final = True
            emit("ended", worker=member.name, until=data["until"], parts=data["parts"])
            self._check_drained()

    def _check_drained(self) -> None:
        """Whether the load is over, and everybody that can still tell has told all."""
        over = monotonic() >= self._ends  # before that, others may come for those who are gone
        if over and not self._drained and all(m.final for m in self._ready()):
            self._drained = True
            emit("drained")

    def _check_slots(self, report: dict[str, Any]) -> None:
        """A worker whose users all ended serves nobody, and that is not the target's fault."""
        worker, start = str(report["worker"]), float(report["tally"]["start"])
        if report["slots"] or report["final"] or report["sequence"] < 2 or worker in self._empty:
            return
        self._empty.add(worker)
        text = f"all users of {worker} have ended: an error in their on_start, or they stopped themselves"
        self._writer.add_event(Event(start, "generator_error", self.plan.side, text, {"worker": worker}))

    def _event(self, kind: str, text: str, data: dict[str, Any]) -> None:
        self._writer.add_event(Event(monotonic() - self.plan.zero, kind, self.plan.side, text, data))
        emit("event", kind=kind, text=text)

    def _tell(self, member: Member, kind: str, data: dict[str, Any]) -> None:
        self.runner.send_message(kind, member.session.seal(kind, data), member.node)

    def _sealed(self, kind: str, handler: Callable[[Member, dict[str, Any]], None]) -> Callable[..., None]:
        """A handler for messages of members; the first message of a worker makes it one, if its proof holds."""

        def handle(msg: Any, **_: Any) -> None:
            node = msg.node_id
            member = self._members.get(node)
            if member is None and kind == "soak_join" and node in self._pending:
                theirs, mine = self._pending.pop(node)
                member = Member(node, "", Session(self._token, self.plan.run, theirs, mine), monotonic())
            data = member.session.open(kind, msg.data) if member is not None else None
            if member is None or data is None:
                self._refuse(node, "it does not know this run's token")
                return
            self._members[node] = member
            self._heard(member)
            handler(member, data)

        return handle

    def _refuse(self, node: str, reason: str) -> None:
        """Send a worker of another run, or no worker of ours at all, away."""
        if node in self._members:
            return  # a forged message in a member's name; the member itself is not to blame
        self.runner.send_message("soak_refused", {"reason": reason}, node)
        self.runner.server.send_to_client(Message("quit", None, node))
        self.runner.clients._worker_nodes.pop(node, None)
        self._event("worker_refused", f"a worker was refused: {reason}", {})


def main() -> None:
    """Run the master of one side."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    _, host, port = sys.argv[1:4]
    first = json.loads(FileIO(sys.stdin.fileno(), closefd=False).readline().decode())  # unbuffered: commands follow
    try:
        master = Master(
            Plan(**first["plan"]), first["token"], first["expected"], Path(first["run_file"]), host, int(port)
        )
    except LoadError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
    with FileObject(sys.stdin.fileno(), "rb", close=False) as commands:
        master.obey(commands)


if __name__ == "__main__":
    main()
