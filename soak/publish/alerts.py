"""The alerts of one run: from what its looks find, once each, to all receivers, and to a truthful end."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

from soak.core import wording
from soak.core.alerting import AlertTo
from soak.core.budget import ALERTS_S
from soak.core.records import Event
from soak.core.scenario import Scenario
from soak.core.verdict import Finding, SideVerdict, Verdict
from soak.publish.alert import Alert, of_finding, of_run
from soak.publish.alertmanager import Alertmanager
from soak.publish.courier import Courier, Receiver, Told, known
from soak.publish.holding import Holding, Key, key_of
from soak.publish.webhook import Webhook


class Alerts:
    """Tells the receivers of a scenario what a run finds. Without any it does nothing.

    `facts` are the causes that wait for nothing; addresses and secrets come from `environ`. `events` are those of the
    run so far, if it is resumed: what was told and goes on is not told again.
    """

    def __init__(
        self,
        scenario: Scenario,
        run_file: Path,
        facts: Collection[str],
        environ: Mapping[str, str],
        events: Iterable[Event] = (),
    ) -> None:
        self._scenario = scenario
        self._run = run_file.stem
        self._page = str(run_file.with_suffix(".html").absolute())
        self._holding = Holding(scenario.phases.soak, facts)
        self._open: dict[Key, Alert] = {}
        self._couriers = [Courier(to.name, _receiver(to, environ)) for to in scenario.alerts]
        for alert, receivers in known(events):
            key = _key_in(alert)
            self._open[key] = alert
            self._holding.restore(key)
            for courier in self._couriers:
                (courier.hold if courier.name in receivers else courier.post)(alert)

    def look(self, verdict: Verdict) -> None:
        """What a look at the live run found."""
        if not self._couriers:
            return
        found = _failing(verdict)
        changes = self._holding.look(found, verdict.soak_s)
        for key in changes.raised:
            self._open[key] = self._alert(key, found[key])
            self._post(self._open[key])
        for key in changes.gone:
            alert = self._open.pop(key)
            after = _successor(key, found)
            note = (
                f"It goes on, as {after.cause}: {after.title}." if after else "It was not seen again; the run goes on."
            )
            self._post(alert.over("resolved", time.time(), note))

    def told(self) -> list[Told]:
        """What became of alerts since this was asked last."""
        return [told for courier in self._couriers for told in courier.told()]

    def end(self, verdict: Verdict, patience: float = ALERTS_S) -> list[Told]:
        """Tell how the run ended, and wait for that to be delivered, for `patience` s at most."""
        if not self._couriers:
            return []
        now, found = time.time(), _failing(verdict)
        for key, alert in self._open.items():
            self._post(_over(alert, key, found, verdict, now))
        for key in found.keys() - self._open.keys():  # told by the whole run only, or too late to have held
            self._post(self._alert(key, found[key]).over("ended", now, _THERE))
        if verdict.verdict in ("fail", "invalid") or (self._open and verdict.verdict != "pass"):
            self._post(of_run(verdict, self._page, now))
        self._open.clear()
        return self.close(patience)

    def close(self, patience: float = 0.0) -> list[Told]:
        """Leave; what still waits after `patience` s is lost."""
        deadline = monotonic() + patience
        for courier in self._couriers:
            courier.leave(deadline)
        for courier in self._couriers:
            courier.join()
        return self.told()

    def _alert(self, key: Key, finding: Finding) -> Alert:
        return of_finding(finding, key[0], self._scenario.name, self._run, self._page, time.time())

    def _post(self, alert: Alert) -> None:
        for courier in self._couriers:
            courier.post(alert)


_THERE = "The run has ended with this fault: this is no all-clear."


def _over(alert: Alert, key: Key, found: Mapping[Key, Finding], verdict: Verdict, now: float) -> Alert:
    """An alert that was told while the run went on, by the verdict at its end."""
    if key in found:
        latest = of_finding(found[key], key[0], verdict.scenario, verdict.run, alert.page, alert.started)
        return replace(latest, started=alert.started).over("ended", now, _THERE)
    if (after := _successor(key, found)) is not None:
        note = f"The run has ended with this fault, as {after.cause}: {after.title}. This is no all-clear."
        return alert.over("ended", now, note)
    if verdict.verdict == "pass":
        return alert.over("resolved", now, "The whole run does not show it: the run passed.")
    if verdict.verdict == "fail":  # a crash, say, may have come of this, and be told in its place
        note = f"The run failed, and what it is told for is another thing: {wording.clean(verdict.headline)}"
        return alert.over("ended", now, f"{note}. This is no all-clear.")
    return alert.over("ended", now, f"The run ended {verdict.verdict}: whether it is still there is not known.")


def _failing(verdict: Verdict) -> dict[Key, Finding]:
    sides: list[tuple[str, SideVerdict | None]] = [("candidate", verdict.candidate), ("reference", verdict.reference)]
    return {
        key_of(name, finding): finding
        for name, side in sides
        if side is not None
        for finding in side.findings
        if finding.severity == "fail"
    }


def _key_in(alert: Alert) -> Key:
    labels = alert.labels
    return labels["side"], labels["cause"], labels["metric"], labels.get("endpoint", "")


def _successor(key: Key, found: Mapping[Key, Finding]) -> Finding | None:
    """The same trouble under another name: the cause of growth is often known only after a close look."""
    side, _, metric, endpoint = key
    room = metric.partition(".")[0]
    same: Sequence[Finding] = [
        f for (s, _, m, e), f in found.items() if (s, e) == (side, endpoint) and m.partition(".")[0] == room
    ]
    return same[0] if same else None


def _receiver(to: AlertTo, environ: Mapping[str, str]) -> Receiver:
    from_outside = {key: environ.get(variable, "") for key, variable in to.variables.items()}
    token = from_outside.get("token")
    if to.webhook is not None:
        return Webhook(to, from_outside["webhook"], token, from_outside.get("secret"))
    return Alertmanager(to, from_outside.get("alertmanager") or to.alertmanager or "", token)
