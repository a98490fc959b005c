"""One soak from start to verdict: idle-before, warm-up, soak, burst, recovery, drain, idle-after.

    targets ─ started or found ─┐
    probes ─── samples, events ─┼─▶ run file ─▶ judge ─▶ Verdict
    load ───── reports ─────────┘

The conductor owns every process of the run. It measures nothing itself and judges nothing: it lets the
phases follow each other, and writes down what happened when.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import replace
from time import monotonic
from typing import Any

from soak.core import units
from soak.core.errors import LoadError
from soak.core.records import Event, PhaseName
from soak.core.verdict import Finding, Verdict
from soak.judge import EARLIER, HARD, Certain, judge
from soak.publish import Alerts, Told
from soak.run.earlier import earlier_runs
from soak.run.interrupts import Interrupts
from soak.run.judging import Judging
from soak.run.loading import Loading
from soak.run.looks import Looks
from soak.run.opening import artefacts, scratch, watched_targets
from soak.run.order import Order
from soak.run.progress import Crier, Status, View, lately
from soak.run.resume import STOP_LEAD_S, Past, close, write_gap
from soak.run.watching import Seen, Watching
from soak.runfile import STANDING, RunWriter, read, window_length

_TICK_S = 0.1
_LEAD_S = 1.5  # the slots are spawned and in place before the first arrival is due
_DRAIN_GRACE_S = 3.0
_LOOKS_GRACE_S = 120.0
_OBSERVER_GRACE_S = 30.0
_BUDGET_GRACE_S = 5.0
_SAY_AFTER_S = 2.0


def conduct(order: Order, view: View) -> Verdict:
    """Run one soak, or the rest of one, and judge it. The run file is left in place, whatever happens.

    Raises TargetError or LoadError when it cannot begin; then there is no run file, or still the one to resume.
    """
    with contextlib.ExitStack() as cleanup:
        return _Conductor(order, view, cleanup).run()


class _Conductor:
    def __init__(self, order: Order, view: View, cleanup: contextlib.ExitStack) -> None:
        self.order = order
        self.scenario = order.scenario
        self.past = order.past
        self.since = order.past.upto if order.past is not None else 0.0
        """Up to where the schedule is over already (s since the start of load)."""
        self.view = view
        self.crier = Crier(view)
        self.cleanup = cleanup
        self.zero = monotonic()
        self.interrupts = Interrupts()
        self.stopped: float | None = None
        self.packed_until = math.inf
        self.phase: PhaseName = "idle_before"
        self.loading = Loading(order, view)
        self.watching = Watching(self.scenario)
        self.findings: tuple[Finding, ...] = ()
        self.judging = Judging(self.scenario, order.live, self.now, self._note)
        self.certain: tuple[Certain, float] | None = None
        """What ended the run early, and when the load may end (s)."""
        self.load_end = math.inf
        self.next_sample = 0.0
        p = self.scenario.phases
        self.total = p.idle_before + self.scenario.load_s + p.idle_after

    def now(self) -> float:
        """Seconds since the start of the run."""
        return monotonic() - self.zero

    @property
    def latest(self) -> float:
        """When the last phase has to end (s since the start of the run)."""
        budget = self.order.budget
        return budget.all_until(self.scenario) - self.zero if budget is not None else math.inf

    def run(self) -> Verdict:
        self.cleanup.enter_context(self.interrupts.counted())
        self.cleanup.callback(self.judging.close)
        self.earlier = earlier_runs(self.scenario, self.order.folder, self.order.run_file.parent)
        told = self.past.events if self.past is not None else ()
        self.alerts = Alerts(self.scenario, self.order.run_file, HARD, os.environ, told)
        self.cleanup.callback(self.alerts.close)
        if self.past is not None:
            self.writer = self.past.writer
            self.cleanup.callback(self.writer.close)
            if self.past.over:
                return self._only_close(self.past)
        self._open()
        begin = self._before_load()
        until = begin + self.since if self.stopped is not None else self._load(begin)
        self._let("idle_after", self.now(), min(self.now() + self.scenario.phases.idle_after, self.latest))
        self._finish_looks()
        self._event(Event(self.now(), "phase", None, "end", {"name": "end"}))
        self._hear_observers()
        return self._close(begin, until)

    def _open(self) -> None:
        """Have targets, watches, run file and load ready; the run's clock begins."""
        past, found = self.past, list(artefacts(self.order))
        folder = scratch(self.cleanup)
        self.watching.sides = list(watched_targets(self.order, folder, self.view, self.cleanup))
        self.looks = Looks(self.scenario, self.watching.agents, folder)
        self.zero = monotonic() - (past.stood if past is not None else 0.0)
        self.watching.begin(self.zero)
        if past is None:
            self.writer = RunWriter.create(self.order.run_file, self._head(time.time()))
            self.cleanup.callback(self.writer.close)
            for event in found:
                self.writer.add_event(event)
        else:
            self.writer.live()
        self._start_load()
        self.interrupts.measuring = True
        self.cleanup.callback(self.view.end)
        self.view.begin(self.scenario.name)

    def _before_load(self) -> float:
        """Let the target rest, or tell the gap of a run that goes on; when its schedule begins, or would have (s)."""
        past = self.past
        if past is not None and past.begin is not None:
            return self._go_on(past)
        at = self.now()
        if past is not None:
            self._tell_gap(past, at)
        self._phase("idle_before", at)
        rest = (past.stood if past is not None else 0.0) + self.scenario.phases.idle_before
        begin = round(max(rest, self.now() + _LEAD_S), 3)
        self._until(begin - _LEAD_S)
        return begin

    def _go_on(self, past: Past) -> float:
        """Say what is missing, and have the load go on soon; when its schedule would have begun (s)."""
        self.view.say(f"going on with a run that was {past.why} {units.duration(round(past.since))} into it")
        close(past, self.order.run_file, self.order.folder)
        self._sample(self.now())
        step = self.scenario.interval_s
        at = math.ceil((self.now() + _LEAD_S) / step) * step  # on the grid of intervals, which the gap does not touch
        begin = self._tell_gap(past, at)
        self.total += begin - past.begin if past.begin is not None else 0.0
        return begin

    def _tell_gap(self, past: Past, at: float) -> float:
        anew = [w.side for w in self.watching.sides if not w.goes_on(past.known[w.side])]
        return write_gap(past, anew, at)

    def _only_close(self, past: Past) -> Verdict:
        """Its load was over when it was cut off: the account is closed, and it is judged."""
        self.zero = monotonic() - past.stood
        close(past, self.order.run_file, self.order.folder)
        write_gap(replace(past, since=past.stood), (), past.stood)
        self._event(Event(past.stood, "phase", None, "end", {"name": "end"}))
        return self._close(past.stood, past.stood)

    def _load(self, begin: float) -> float:
        """All phases with load from `begin` on, and the drain; when the last arrival could fall due (s).

        Of a run that is resumed, a part of the schedule is over: it would have begun at `begin`, had it gone on.
        """
        self.loading.begin(self.zero + begin)
        goes_on = begin + self.since
        self._until(goes_on)
        steady = begin + self.scenario.phases.warmup_s
        soaked = self.scenario.soak_ends(begin)
        end = self.load_end = begin + self.scenario.load_s
        if self.scenario.stop_early is not None and self.past is None:  # its looks are of one soak without a gap
            self.judging.plan(steady)
        self._let("warmup", goes_on, steady)
        self._let("soak", max(goes_on, steady), soaked)
        if (burst := self.scenario.phases.burst) is not None:
            self.packed_until = soaked
            self._let("burst", max(goes_on, soaked), soaked + burst.length)
            self._let("recovery", max(goes_on, soaked + burst.length), end)
        until = max(goes_on, min(end, self.stopped or math.inf))
        self._phase("drain", until)
        self._drain(until)
        return until

    def _start_load(self) -> None:
        try:
            self.loading.start(self.zero, self.cleanup)
        except (LoadError, KeyboardInterrupt):
            if self.past is None:
                self.writer.discard()
            raise

    def _head(self, started: float) -> dict[str, Any]:
        earlier = {EARLIER: self.earlier} if self.earlier is not None else {}
        return self.order.head(started, {**earlier, "observers": self.watching.observers})

    def _let(self, name: PhaseName, start: float, end: float) -> None:
        """Have a phase from `start` to `end`, unless it is empty or the run was stopped before it."""
        if end > start and self.stopped is None:
            self._phase(name, start, end)
            self._until(end)

    def _until(self, moment: float) -> None:
        """Let the run go on until `moment` (s since its start), or until it is stopped."""
        while self.now() < moment and self.stopped is None:
            self._tick()

    def _drain(self, until: float) -> None:
        """Wait for every answer that is still to come."""
        deadline = until + self.scenario.drain_s + _DRAIN_GRACE_S
        while not self.loading.drained and self.now() < deadline and self.interrupts.count < 2:
            self._tick()

    def _tick(self) -> None:
        now = self.now()
        if self.interrupts.count and self.stopped is None:
            self._event(Event(now, "interrupted", None, "interrupted by the user"))
            self.view.say("stopping: in-flight requests are drained, then what there is is judged")
            self._stop(now)
        if self.stopped is None and now < self.load_end and self._spent():
            self._stop(now)
        for event in self.loading.poll(now):
            self._event(event)
            if event.kind == "generator_error":
                self._stop(now)
        for event in self.watching.clocks(now):
            self._event(event)
        if now >= self.next_sample:
            self._sample(now)
            self.next_sample = max(self.next_sample + self.scenario.probe.every, self.now())
        if self.view.wants(self.phase, now):
            self._show(now)
        self.looks.tick(now, self.phase, self.findings)
        self._live_look(now)
        self._tell_alerts(self.alerts.told(), now)
        if self.certain is not None and self.stopped is None and now >= self.certain[1]:
            self._stop_early(now, self.certain[0])
        time.sleep(_TICK_S)

    def _spent(self) -> bool:
        """Whether the load has to end for the rest to be over in time; says so."""
        budget = self.order.budget
        if budget is None or monotonic() < budget.load_until(self.scenario):
            return False
        text = f"the budget of {units.duration(budget.seconds)} is used up"
        self._event(Event(self.now(), "budget", None, text))
        return True

    def _sample(self, now: float) -> None:
        self._write(self.watching.look(now))
        if self.watching.lost:
            self._stop(now)

    def _hear_observers(self) -> None:
        """Have what observers saw until now, though one may be cut off and need a while to be back."""
        moment = monotonic()
        deadline = min(moment + _OBSERVER_GRACE_S, self.zero + self.latest + _BUDGET_GRACE_S)
        waited = False
        while not self.watching.complete(moment) and self.interrupts.count < 2 and monotonic() < deadline:
            if not waited and monotonic() > moment + _SAY_AFTER_S:
                self.view.say(f"waiting up to {_OBSERVER_GRACE_S:.0f} s for what an observer saw")
                waited = True
            time.sleep(_TICK_S)
        self._write(self.watching.observed(self.now()))

    def _stop(self, now: float) -> None:
        """End the load; the run goes on to its verdict. All workers have heard of it when it ends."""
        if self.stopped is None:
            self.stopped = now + STOP_LEAD_S
            self.loading.stop(self.zero + self.stopped)

    def _show(self, now: float) -> None:
        file, rss = self.order.run_file, self.watching.rss
        sides = {side: lately(file, side, now, rss.get(side)) for side in self.scenario.sides}
        self.view.show(Status(self.phase, now, self.total, sides, self.findings))

    def _live_look(self, now: float) -> None:
        """Heed what a look found, and have the next one when it is due."""
        if (found := self.judging.found()) is not None:
            self._heed(now, *found)
        if self.phase == "soak" and self.certain is None:
            self.judging.begin(now)

    def _heed(self, now: float, verdict: Verdict, sure: Certain | None) -> None:
        self.findings = verdict.candidate.findings
        self.alerts.look(verdict)
        self._stand(verdict)
        if sure is not None and self.stopped is None:
            self.certain = sure, now + (self.looks.conclude(now) if sure.rule == "fail" else 0.0)

    def _stand(self, verdict: Verdict) -> None:
        """Note how the run stands, for whoever reads its file and does not judge."""
        self.writer.set_meta(STANDING, {"judged": time.time(), "verdict": verdict.to_json()})

    def _stop_early(self, now: float, sure: Certain) -> None:
        """End the load: its verdict is certain."""
        look = {"look": sure.look.number, "upto": sure.look.upto} if sure.look is not None else {}
        saved = max(0.0, self.load_end - now - STOP_LEAD_S)
        data = {"rule": sure.rule, **look, "reasons": list(sure.reasons), "saved": saved}
        text = f"a {sure.rule} is certain, {units.duration(round(saved))} before the end: {sure.reasons[0]}"
        self._event(Event(now, "stopped_early", None, text, data))
        self._stop(now)

    def _finish_looks(self) -> None:
        """Wait for a look that is still under way, or being read; and see what malloc_trim gives back."""
        deadline = min(self.now() + _LOOKS_GRACE_S, self.latest + _BUDGET_GRACE_S)
        if self.scenario.probe.trim and self.stopped is None:
            self.looks.trim()
        while any(agent.busy for agent in self.watching.agents) and self.now() < deadline and self.interrupts.count < 2:
            self._tick()
        if any(agent.present for agent in self.watching.agents):
            self._sample(self.now())

    def _close(self, begin: float, until: float) -> Verdict:
        over = self.now()
        self.loading.close(self.writer, begin, until)
        for log in self.watching.stop_targets(self.now()):
            self.writer.add_artifact(*log)
        self.judging.close()
        # burst and recovery are seconds to minutes, and looked at by the second: they stay as they are
        self.writer.roll_up(min(self.now(), self.packed_until), window_length(self.scenario))
        self.writer.set_meta("finished", True)
        verdict = judge(read(self.order.run_file))
        self._stand(verdict)
        told = self.alerts.end(verdict)
        self._tell_alerts(told, over)
        if any(t.kind == "alert_lost" for t in told):
            verdict = judge(read(self.order.run_file))  # which tells of it, whenever it is asked
        self.writer.set_meta("verdict", verdict.verdict)
        self.writer.set_meta("headline", verdict.headline)
        self.writer.set_meta("soak_s", verdict.soak_s)
        self.writer.finish()
        return verdict

    def _tell_alerts(self, told: list[Told], at: float) -> None:
        """Write down what became of alerts; what is told after the end belongs to the end."""
        for one in told:
            self._event(Event(at, one.kind, one.alert.labels.get("side"), one.text, one.data))

    def _phase(self, name: PhaseName, at: float, end: float = math.inf) -> None:
        self.phase = name
        self.looks.enter(name, at, end)
        self._event(Event(at, "phase", None, name, {"name": name}))

    def _write(self, seen: Seen) -> None:
        for event in seen.events:
            self._event(event)
        for artifact in seen.artifacts:
            self.writer.add_artifact(*artifact)
        self.writer.add_samples(seen.samples)

    def _note(self, text: str) -> None:
        self._event(Event(self.now(), "note", None, text))

    def _event(self, event: Event) -> None:
        self.writer.add_event(event)
        self.crier.tell(event)
