"""A generator worker: a child process that runs slots on Locust's worker engine and reports what it did.

    standard input, line 1: the plan       arguments: parent pid, master port, worker name, index, of

Every interval becomes one report with a sequence number. A report is sent again until the master says
that it is in the run file, so a lost message loses nothing.
"""

from __future__ import annotations

import logging
import math
import sys
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from soak.core.errors import LoadError
from soak.load.lifeline import die_with_parent

if __name__ == "__main__":  # before the slow imports, so that no orphan can come of them
    die_with_parent(int(sys.argv[1]))

import gevent
import locust
from locust.env import Environment

from soak.load.engine import Engine
from soak.load.ledger import Ledger, Report
from soak.load.mix import Mix
from soak.load.plan import Plan, schedule_of
from soak.load.pulse import Pulse
from soak.load.users import build, listen

_PATIENCE_S = 0.25
_RESEND_S = 5.0


class Worker:
    """One worker: its engine, the reports on their way, and its part of the end."""

    def __init__(self, plan: Plan, port: int, name: str, index: int, of: int) -> None:
        scenario = plan.model()
        self.plan = plan
        self.interval = scenario.interval_s
        folder = Path(plan.folder)
        mix = Mix(scenario.load, folder) if scenario.load.locustfile is None else None
        schedule = schedule_of(scenario, folder)
        self.engine = Engine(scenario, schedule, Ledger(plan.side, name), plan.zero, index, of, mix)
        user = build(scenario, plan.side, folder, self.engine)
        self.environment = Environment(user_classes=[user], events=locust.events)
        self.unsafe: dict[int, tuple[float, Report]] = {}
        self.runner = self.environment.create_worker_runner("127.0.0.1", port)
        self.runner.register_message("soak_start", self._on_start)
        self.runner.register_message("soak_stop", self._on_stop)
        self.runner.register_message("soak_safe", self._on_safe)
        listen(self.environment, self.engine)
        self._send("soak_hello", {"worker": name})
        Pulse(self.engine).start()

    def run(self) -> None:
        """Until the master says quit, or is gone."""
        self.runner.greenlet.join()

    def _on_start(self, msg: Any, **_: Any) -> None:
        self.engine.start(float(msg.data["begin"]))
        gevent.spawn(self._report)

    def _on_stop(self, msg: Any, **_: Any) -> None:
        dropped = set(self.engine.stop(float(msg.data["at"])))
        for greenlet in list(self.runner.user_greenlets):
            slot = getattr(greenlet, "soak_slot", None)
            if slot is not None and slot.arrival in dropped:
                slot.arrival = None
                slot.stop(force=True)

    def _on_safe(self, msg: Any, **_: Any) -> None:
        self.unsafe.pop(int(msg.data["sequence"]), None)

    def _report(self) -> None:
        """One report an interval, on the grid of the run; the last one as soon as the load is over."""
        engine, zero = self.engine, self.plan.zero
        start, cpu = engine.begin - zero, process_time()
        final = False
        while not final:
            end = (math.floor(start / self.interval + 1e-9) + 1) * self.interval
            while monotonic() < zero + end and not engine.over:
                gevent.sleep(min(zero + end - monotonic(), _PATIENCE_S))
                self._resend()
            if final := engine.over:
                engine.abandon()
                end = max(start + 1e-6, min(end, monotonic() - zero))
            used = process_time() - cpu
            cpu += used
            report = engine.report(start, end, used / (end - start), _resident())
            slots = len(self.runner.user_greenlets)
            self._post(report | {"final": final, "until": engine.until - zero, "slots": slots})
            start = end
        while self.unsafe:
            gevent.sleep(_PATIENCE_S)
            self._resend()

    def _resend(self) -> None:
        for sequence, (posted, report) in list(self.unsafe.items()):
            if monotonic() - posted > _RESEND_S:
                self.unsafe[sequence] = (monotonic(), report)
                self._send("soak_report", report)

    def _post(self, report: Report) -> None:
        self.unsafe[report["sequence"]] = (monotonic(), report)
        self._send("soak_report", report)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self.runner.send_message(kind, data | {"run": self.plan.run, "token": self.plan.token})


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096


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
    _, port, name, index, of = sys.argv[1:6]
    plan = Plan.from_line(sys.stdin.readline())
    try:
        worker = Worker(plan, int(port), name, int(index), int(of))
    except LoadError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(error.exit_code) from None
    worker.run()


if __name__ == "__main__":
    main()
