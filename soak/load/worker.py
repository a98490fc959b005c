"""A generator worker: a process that runs slots on Locust's worker engine and reports what it did.

    standard input, line 1: the invitation (see plan.py); a worker from elsewhere then waits for a line `go`
    standard output: what happened, one JSON object a line: invited, refused
    arguments: parent pid

It proves to the master that it knows the token, is given the plan, and follows the share of the schedule that it
is told. Every interval becomes one report with a sequence number. A report is sent again until the master says
that it is in the run file, so a lost message loses nothing.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from soak.core.errors import LoadError
from soak.load.lifeline import die_with_parent

if __name__ == "__main__":  # before the slow imports, so that no orphan can come of them
    die_with_parent(int(sys.argv[1]))

import gevent
import gevent.event
import locust
import locust.runners
from locust import argument_parser
from locust.env import Environment
from locust.rpc import zmqrpc

from soak.core.clock import RemoteClock
from soak.load import cores
from soak.load.dispatch import Dispatcher
from soak.load.engine import Engine
from soak.load.ledger import Ledger, Report
from soak.load.mix import Mix
from soak.load.plan import Invitation, Plan, digests, emit, schedule_of
from soak.load.pulse import Pulse
from soak.load.schedule import Part
from soak.load.users import CLASS_NAME, build, hang_up, listen
from soak.load.wire import ALONE_S, BEAT_S, Session, nonce

KEPT_REPORTS = 3600
"""Reports kept until they are safe: an hour of cut-off at one a second, ten at one in ten seconds."""
_PATIENCE_S = 0.25
_RESEND_S = 5.0
_HELLO_S = 60.0
_PINGS = 8
# Locust would end a worker by the wall clock when it hears nothing; here the master's silence is dealt with, not fatal
locust.runners.MASTER_HEARTBEAT_TIMEOUT = 10**9


class Worker:
    """One worker: its engine, the reports on their way, and its part of the end."""

    def __init__(self, invitation: Invitation) -> None:
        self.invitation = invitation
        self.name = invitation.name
        self.clock = RemoteClock()
        self.unsafe: dict[int, tuple[float, Report]] = {}
        self._heard = monotonic()
        self._alone: float | None = None
        """Since when it has left its share to others (monotonic), for it was cut off."""
        self._share = 0
        """Which share it was told last."""
        self._welcome = gevent.event.AsyncResult()
        self._pong = gevent.event.Event()
        self._session: Session | None = None
        self._nonce = nonce()
        self.environment = Environment(user_classes=[], events=locust.events)
        self.runner = self.environment.create_worker_runner(invitation.host, invitation.port)
        self.runner.reset_connection = self._reconnect  # type: ignore[method-assign]  # Locust calls it too
        handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "soak_plan": self._welcome.set,
            "soak_pong": self._on_pong,
            "soak_start": self._on_start,
            "soak_split": self._on_split,
            "soak_stop": lambda data: self.engine.stop(self._here(float(data["at"]))),
            "soak_safe": lambda data: self.unsafe.pop(int(data["sequence"]), None) and None,
        }
        self.runner.register_message("soak_challenge", self._on_challenge)
        self.runner.register_message("soak_refused", self._on_refused)
        for kind, handler in handlers.items():
            self.runner.register_message(kind, self._sealed(kind, handler))

    def join(self) -> Plan:
        """Prove the token and be given the plan. Raises LoadError when that is refused."""
        self.runner.send_message("soak_hello", {"nonce": self._nonce, "name": self.name})
        try:
            data = self._welcome.get(timeout=_HELLO_S)
        except gevent.Timeout:
            raise LoadError("the master did not answer: is a run listening there?") from None
        return Plan.from_line(str(data["plan"]))

    def prepare(self, plan: Plan, folder: Path) -> None:
        """Build the users and tell the master that it may count on this worker."""
        self.plan = plan
        scenario = plan.model()
        self.interval = scenario.interval_s
        self._edge = scenario.soak_ends if scenario.phases.burst is not None else None
        if plan.digests != (found := digests(scenario, folder)):
            other = ", ".join(sorted(f for f in plan.digests if found.get(f) != plan.digests[f]))
            raise LoadError(f"not the same files here as where the run is: {other} (looked for in {folder})")
        if not self.invitation.local:
            for _ in range(_PINGS):
                self._ping()
                self._pong.wait(_PATIENCE_S)
        mix = Mix(scenario.load, folder) if scenario.load.locustfile is None else None
        schedule = schedule_of(scenario, folder, plan.side)
        ledger = Ledger(plan.side, self.name)
        self.engine = Engine(scenario, schedule, ledger, self._here(plan.zero), mix, Part(0.0, 0, 0), plan.since)
        self.dispatcher = Dispatcher(self.engine, spin=scenario.load.precision == "spin")
        self.environment.user_classes = [build(scenario, plan.side, folder, self.engine, self.dispatcher)]
        # arguments that the locustfile adds have their defaults, or what LOCUST_* and a locust.conf say
        self.environment.parsed_options = argument_parser.get_parser().parse(args=[])
        self.environment.events.init.fire(environment=self.environment, runner=self.runner, web_ui=None)
        self.slots = scenario.load.slots
        listen(self.environment, self.engine)
        Pulse(self.engine).start()
        gevent.spawn(self._beat)
        self._send("soak_ready", {"clock_error": 0.0 if self.invitation.local else self.clock.error})

    def run(self) -> None:
        """Until the master says quit, or is gone."""
        self.runner.greenlet.join()

    def _here(self, theirs: float) -> float:
        """A moment on the master's monotonic clock, on this host's."""
        return theirs if self.invitation.local else theirs - self.clock.offset

    def _on_challenge(self, msg: Any, **_: Any) -> None:
        self._session = Session(self.invitation.token, str(msg.data["run"]), self._nonce, str(msg.data["nonce"]))
        self._send("soak_join", {"name": self.name})

    def _on_refused(self, msg: Any, **_: Any) -> None:
        self._welcome.set_exception(LoadError(f"refused by the master: {str(msg.data['reason'])[:200]}"))

    def _on_start(self, data: dict[str, Any]) -> None:
        self.engine.start(self._here(float(data["begin"])))
        self.environment.events.test_start.fire(environment=self.environment)
        self._on_split(data)
        gevent.spawn(self._report, float(data.get("from", data["begin"])))

    def _on_split(self, data: dict[str, Any]) -> None:
        """Own another share from a moment on, with as many of all slots."""
        self._alone, self._share = None, int(data["number"])
        self.engine.resplit(float(data["at"]), int(data["index"]), int(data["of"]))
        self.dispatcher.rearm()
        share = math.ceil(self.slots / max(1, int(data["of"])))
        if data["of"] and share > self.runner.user_count:  # too many later on do no harm: they are idle
            self.runner.start_worker({CLASS_NAME: share})

    def _on_pong(self, data: dict[str, Any]) -> None:
        self._heard = monotonic()
        self._pong.set()
        if not self.invitation.local:
            before = self.clock.offset
            self.clock.exchange(float(data["sent"]), float(data["now"]), self._heard)
            if hasattr(self, "engine"):
                self.engine.shift(self.clock.offset - before)

    def _ping(self) -> None:
        self._pong.clear()
        now = monotonic()
        alone = now - self._alone if self._alone is not None else None
        self._send("soak_ping", {"sent": now, "alone": alone, "share": self._share})

    def _beat(self) -> None:
        """Say that it is alive; cut off from the master, leave the load to the others."""
        while True:
            self._ping()
            gevent.sleep(BEAT_S)
            silent = monotonic() - self._heard
            if silent > ALONE_S and self._alone is None:
                self._alone = monotonic()
                self.engine.resplit(0.0, 0, 0)
                self.dispatcher.rearm()
            if silent > 3 * ALONE_S:
                self._reconnect()
                self._heard = monotonic() - ALONE_S

    def _reconnect(self) -> None:
        """Connect anew. The connection before is closed when there is another one, and nothing in it is sent any more.

        Who listens to a closed one tries again at once and for ever, and no greenlet comes to its turn; and what it
        would still send, under the same name, would take the place of the new one.
        """
        before, self.runner.client = (
            self.runner.client,
            zmqrpc.Client(self.invitation.host, self.invitation.port, self.runner.client_id),
        )
        before.close(linger=0)

    def _report(self, begin: float) -> None:
        """One report an interval, on the grid of the run; the last one as soon as the load is over."""
        engine = self.engine
        start, cpu, waited = self._here(begin) - engine.zero, process_time(), cores.waited()
        final = False
        while not final:
            end = (math.floor(start / self.interval + 1e-9) + 1) * self.interval
            if self._edge is not None and start < (edge := self._edge(engine.begin - engine.zero)) < end:
                end = edge  # what the burst does is kept apart from the soak
            while monotonic() < engine.zero + end and not engine.over:
                gevent.sleep(min(max(0.0, engine.zero + end - monotonic()), _PATIENCE_S))
                self._resend()
            if final := engine.over:
                engine.abandon()
                end = max(start + 1e-6, min(end, monotonic() - engine.zero))
            used, queued = process_time() - cpu, cores.waited() - waited
            cpu, waited = cpu + used, waited + queued
            spent, starved = used / (end - start), min(1.0, queued / (end - start))
            report = engine.report(start, end, spent, _resident(), starved, last=final)
            self.runner.exceptions.clear()  # Locust keeps every text for ever
            state = {
                "final": final,
                "until": engine.until - engine.zero,
                "slots": self.runner.user_count,
                "parts": [[part.at, part.index, part.of] for part in engine.parts],
            }
            self._post(report | state)
            start = end
        hang_up(greenlet.args[0] for greenlet in self.runner.user_greenlets)
        while self.unsafe:
            gevent.sleep(_PATIENCE_S)
            self._resend()

    def _resend(self) -> None:
        now = monotonic()
        for sequence, (posted, report) in list(self.unsafe.items()):
            if now - posted > _RESEND_S and self._alone is None:
                self.unsafe[sequence] = (now, report)
                self._send("soak_report", report)

    def _post(self, report: Report) -> None:
        if len(self.unsafe) >= KEPT_REPORTS:
            raise SystemExit(f"cut off from the master for {KEPT_REPORTS} intervals: giving up")
        self.unsafe[report["sequence"]] = (monotonic(), report)
        self._send("soak_report", report)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        assert self._session is not None
        self.runner.send_message(kind, self._session.seal(kind, data))

    def _sealed(self, kind: str, handler: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
        def handle(msg: Any, **_: Any) -> None:
            data = self._session.open(kind, msg.data) if self._session is not None else None
            if data is not None:
                handler(data)

        return handle


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class _FirstLines(logging.Filter):
    """Lets the first lines through: a task that fails for hours must not fill the disk with tracebacks."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._left = lines

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether this line is one of the first."""
        self._left -= 1
        return self._left >= 0


def main() -> None:
    """Run one worker; on a user's fault (a locustfile that fails) say so in one line and exit with 4."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_FirstLines(200))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    invitation = Invitation.from_line(sys.stdin.readline())
    try:
        worker = Worker(invitation)
        plan = worker.join()
        if not invitation.local:
            emit("invited", name=worker.name, run=plan.run, side=plan.side, scenario=plan.scenario, ports=plan.ports)
            if sys.stdin.readline().strip() != "go":
                return
        worker.prepare(plan, Path(invitation.folder or plan.folder))
    except (LoadError, ConnectionError) as error:
        sys.stderr.write(f"{error or 'nobody listens there'}\n")
        raise SystemExit(LoadError.exit_code) from None
    worker.run()


if __name__ == "__main__":
    main()
