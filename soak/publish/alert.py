"""An alert: one finding of one scenario, in the words that somebody on call needs, with the next step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from soak.core import wording
from soak.core.alerting import RUN, AlertTo
from soak.core.verdict import Finding, Verdict

Status = Literal["firing", "resolved", "ended"]
"""`ended`: the run is over and the fault was there to its end, or nobody knows. That is no all-clear."""

FINDING, RUN_ENDED = "SoakFinding", "SoakRunEnded"
RUNBOOK = "docs/alerts.md"
LINGER_S = 3600.0
"""How long an Alertmanager is told that a run ended badly: nobody is left to say when that is over."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told. `labels` say which alert it is, and nothing that changes while it goes on; times in s since 1970.

    `facts` are what, where, how fast and how long, as pairs of a name and a text; `until` is when it lapses by itself,
    `ended` when it was over, and `note` how.
    """

    fingerprint: str
    name: str
    labels: Mapping[str, str]
    title: str
    facts: tuple[tuple[str, str], ...]
    advice: str
    cause: str
    run: str
    page: str
    """The report of the run: a file of the machine that it runs on."""
    started: float
    status: Status = "firing"
    ended: float | None = None
    until: float | None = None
    note: str = ""

    def over(self, status: Status, at: float, note: str) -> Alert:
        """The same alert when it is over."""
        return replace(self, status=status, ended=max(at, self.started), note=note)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> Alert:
        """The alert that `asdict` made plain data of."""
        return cls(**{**data, "facts": tuple((str(name), str(text)) for name, text in data["facts"])})

    @property
    def severity(self) -> str:
        """`critical` of a candidate's fault, `warning` of a reference's."""
        return self.labels["severity"]

    @property
    def subject(self) -> str:
        """What it is in a few words, for a phone that shows no more."""
        word = {"firing": "ALERT", "resolved": "RESOLVED", "ended": "RUN ENDED, NOT RESOLVED"}[self.status]
        left = next((f", {text.partition(' (')[0]} left" for name, text in self.facts if name == "Time left"), "")
        if self.name == RUN_ENDED:
            found = f": {self.cause}{left}" if any(name == "Cause" for name, _ in self.facts) else ""
            return f"{word} {self.labels['scenario']}: the soak ended, {self.labels['verdict'].upper()}{found}"
        return f"{word} {self.labels['scenario']}: {self.cause}{left}"

    def links(self, to: AlertTo) -> tuple[str, str]:
        """Where its runbook and its report are: addresses if the receiver has them, else paths."""
        report = to.report.replace(RUN, self.run) if to.report is not None else self.page
        return f"{to.runbook or RUNBOOK}#{self.cause}", report


def fingerprint(scenario: str, cause: str, metric: str, endpoint: str | None, side: str) -> str:
    """The same for the same trouble of the same scenario, in every run of it."""
    return hashlib.sha256("\0".join((scenario, cause, metric, endpoint or "", side)).encode()).hexdigest()[:16]


def of_finding(finding: Finding, side: str, scenario: str, run: str, page: str, at: float) -> Alert:
    """The alert of a finding that fails its side, told first at `at`."""
    number = fingerprint(scenario, finding.cause, finding.metric, finding.endpoint, side)
    facts = (
        *_what(finding, side),
        ("Evidence", wording.clean(finding.evidence[0]) if finding.evidence else ""),
        ("Run", run),
    )
    labels = {
        "scenario": scenario,
        "cause": finding.cause,
        "metric": finding.metric,
        "endpoint": wording.clean(finding.endpoint or ""),
        "side": side,
        "severity": "critical" if side == "candidate" else "warning",
        "fingerprint": number,
    }
    return Alert(
        fingerprint=number,
        name=FINDING,
        labels={key: value for key, value in labels.items() if value},
        title=wording.clean(finding.title),
        facts=_told(facts),
        advice=wording.clean(finding.advice) or "Look at its chart in the report.",
        cause=finding.cause,
        run=run,
        page=page,
        started=at,
    )


def _what(finding: Finding, side: str) -> tuple[tuple[str, str], ...]:
    """What, where, how fast, how long and how dear; some may be empty."""
    where = f"{wording.where(finding)} of the {side}"
    return (
        ("Cause", finding.cause),
        ("Where", f"{where}, {wording.clean(finding.location)}" if finding.location else where),
        ("How fast", wording.growth(finding)),
        ("Time left", wording.time_left(finding)),
        ("Cost", wording.clean(finding.cost or "")),
    )


def _told(facts: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, text) for name, text in facts if text)


def of_run(verdict: Verdict, page: str, at: float) -> Alert:
    """The alert of a run that ended badly: it stays for an hour, so that what it had found is not taken for mended.

    It may be all that somebody hears of the run, so it tells of the most urgent finding as if that were alone.
    """
    failing = [f for f in verdict.candidate.findings if f.severity == "fail"]
    advice = next((f.advice for f in failing if f.advice), "") or _STEPS[verdict.verdict]
    worst = _what(failing[0], "candidate") if failing else ()
    reasons = (("Reason", wording.clean(r)) for r in verdict.reasons[:5] if r not in verdict.headline)
    number = fingerprint(verdict.scenario, "run_ended", "", None, "candidate")
    return Alert(
        fingerprint=number,
        name=RUN_ENDED,
        labels={
            "scenario": verdict.scenario,
            "severity": "critical" if verdict.verdict == "fail" else "warning",
            "verdict": verdict.verdict,
            "fingerprint": number,
        },
        title=wording.clean(verdict.headline),
        facts=_told((*reasons, *worst, ("Run", verdict.run))),
        advice=wording.clean(advice),
        cause=failing[0].cause if failing else f"run_{verdict.verdict}",
        run=verdict.run,
        page=page,
        started=at,
        until=at + LINGER_S,
    )


_STEPS = {
    "fail": "Look at the criteria that failed, and at their charts in the report.",
    "invalid": "Mend the measurement first: the reasons are in the report. Then soak again.",
    "inconclusive": "Do what the reasons say, most often soak longer or with more load: they are in the report.",
    "pass": "",
}
