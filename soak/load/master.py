"""The load master: a child process on Locust's master engine that spawns slots and keeps the reports.

    standard input, line 1: the plan; then commands, one JSON object a line: start, stop, quit
    standard output: what happened, one JSON object a line: listening, ready, refused, ended, drained
    arguments: parent pid, number of workers, run file

It writes every report into the run file before it tells the worker that the report is safe.
"""

from __future__ import annotations

import json
import logging
import sys
from io import FileIO
from pathlib import Path
from typing import Any

from soak.load.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))

import gevent
import locust.runners
from gevent.fileobject import FileObject
from locust import User
from locust.env import Environment
from locust.rpc import Message

from soak.core.records import Event
from soak.load.ledger import unpack
from soak.load.plan import Plan
from soak.load.users import CLASS_NAME
from soak.runfile import RunWriter

_HELLO_S = 10.0
locust.runners.HEARTBEAT_LIVENESS = 60  # a frozen worker must not end the run: its reports tell


class Master:
    """One side's master: who belongs to it, and what they reported."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self.plan = plan
        self.workers = workers
        self.slots = plan.model().load.slots
        self.members: dict[str, str] = {}
        self.drained: set[str] = set()
        self.empty: set[str] = set()
        self.writer = RunWriter.attach(Path(plan.run_file))
        placeholder = type(  # never runs here: it only lends its name
            CLASS_NAME, (User,), {"abstract": False, "tasks": [print]}
        )
        self.environment = Environment(user_classes=[placeholder])
        self.runner = self.environment.create_master_runner("127.0.0.1", 0)
        self.runner.register_message("soak_hello", self._on_hello)
        self.runner.register_message("soak_report", self._on_report)
        self.environment.events.worker_connect.add_listener(self._on_connect)
        emit("listening", port=self.runner.server.port)

    def obey(self) -> None:
        """Follow the commands on standard input until `quit`, or until whoever gave them is gone."""
        with FileObject(sys.stdin.fileno(), "rb", close=False) as commands:
            for line in commands:
                command = json.loads(line)
                if command["do"] == "start":
                    self._tell("soak_start", {"begin": command["begin"]})
                    gevent.spawn(self.runner.start, self.slots, self.slots)
                elif command["do"] == "stop":
                    self._tell("soak_stop", {"at": command["at"]})
                elif command["do"] == "quit":
                    break
        self.runner.quit()
        self.writer.close()

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        for client in self.members:
            self.runner.send_message(kind, data, client)

    def _on_connect(self, client_id: str, **_: Any) -> None:
        def check() -> None:
            if client_id not in self.members:
                self._refuse(client_id)

        gevent.spawn_later(_HELLO_S, check)

    def _on_hello(self, msg: Any, **_: Any) -> None:
        if not self._ours(msg.data):
            self._refuse(msg.node_id)
            return
        self.members[msg.node_id] = str(msg.data["worker"])
        if len(self.members) == self.workers:
            emit("ready")

    def _on_report(self, msg: Any, **_: Any) -> None:
        report = msg.data
        if not self._ours(report) or msg.node_id not in self.members:
            return
        tally, intervals, events = unpack(report, self.plan.side)
        self.writer.add_report(tally, intervals)
        for event in events:
            self.writer.add_event(event)
        self._check_slots(report)
        self.runner.send_message("soak_safe", {"sequence": report["sequence"]}, msg.node_id)
        if report["final"]:
            self.drained.add(msg.node_id)
            emit("ended", worker=report["worker"], until=report["until"])
            if len(self.drained) == self.workers:
                emit("drained")

    def _check_slots(self, report: dict[str, Any]) -> None:
        """A worker whose users all ended serves nobody, and that is not the target's fault."""
        worker, start = str(report["worker"]), float(report["tally"]["start"])
        if report["slots"] or report["final"] or report["sequence"] < 2 or worker in self.empty:
            return
        self.empty.add(worker)
        text = f"all users of {worker} have ended: an error in their on_start, or they stopped themselves"
        self.writer.add_event(Event(start, "generator_error", self.plan.side, text, {"worker": worker}))

    def _ours(self, data: dict[str, Any]) -> bool:
        return (data.get("run"), data.get("token")) == (self.plan.run, self.plan.token)

    def _refuse(self, client_id: str) -> None:
        """Send a worker of another run, or no worker of ours at all, away."""
        self.runner.server.send_to_client(Message("quit", None, client_id))
        self.runner.clients._worker_nodes.pop(client_id, None)
        emit("refused", client=client_id)


def emit(event: str, **data: Any) -> None:
    """Tell the conductor what happened."""
    sys.stdout.write(json.dumps({"event": event, **data}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the master of one side."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    plan = Plan.from_line(FileIO(sys.stdin.fileno(), closefd=False).readline().decode())  # unbuffered: commands follow
    Master(plan, int(sys.argv[2])).obey()


if __name__ == "__main__":
    main()
