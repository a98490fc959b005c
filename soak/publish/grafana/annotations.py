"""What happened in a run, beside the graphs: phases, findings and what was deployed, as ranges of time.

Each has a key among its tags, so that writing a run again changes what differs and adds what is new. A range that still
goes on is written as a moment, and closed by a PATCH when it has ended.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from soak.core import wording
from soak.core.records import Recording
from soak.core.verdict import Finding, Verdict
from soak.publish.grafana.client import Grafana, Json

_MOST = 2000
"""Annotations of one run that are looked for."""
_LONGEST_TAG = 100
"""Grafana's columns hold no more of a tag."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One range of time to be shown. Times in milliseconds since 1970; without an end it goes on."""

    key: str
    start: int
    end: int | None
    text: str
    tags: tuple[str, ...]

    def wanted(self) -> Json:
        """Grafana's form of it."""
        ended = {"timeEnd": self.end} if self.end is not None else {}
        return {"time": self.start, **ended, "text": self.text, "tags": [*self.tags, self.key]}


@dataclass(frozen=True, slots=True)
class Written:
    """How many annotations were added, changed, removed, and left as they were."""

    added: int
    changed: int
    removed: int
    same: int


def marks(recording: Recording, verdict: Verdict | None) -> list[Mark]:
    """What there is to show of a run; its findings when it was judged."""
    run = [f"scenario:{recording.scenario.name}", _run_tag(recording.run)]
    found = list(_phases(recording, run)) + list(_deploy(recording, run))
    if verdict is not None:
        sides = [("candidate", verdict.candidate), ("reference", verdict.reference)]
        for side, judged in sides:
            for finding in judged.findings if judged is not None else ():
                if finding.severity != "info":
                    found.append(_finding(recording, side, finding, run))
    return found


def write(grafana: Grafana, run: str, wanted: Iterable[Mark]) -> Written:
    """Have just these annotations of a run in Grafana. Raises PublishError."""
    there: dict[str, Json] = {}
    for found in grafana.get("/annotations", {"tags": ["soak", _run_tag(run)], "limit": _MOST, "type": "annotation"}):
        there |= {tag: found for tag in found.get("tags") or () if tag.startswith("key:")}
    added = changed = same = 0
    for mark in wanted:
        before = there.pop(mark.key, None)
        if before is None:
            grafana.send("POST", "/annotations", mark.wanted())
            added += 1
        elif differs := {k: v for k, v in mark.wanted().items() if not _same(k, v, before.get(k))}:
            grafana.send("PATCH", f"/annotations/{before['id']}", differs)
            changed += 1
        else:
            same += 1
    for left in there.values():
        grafana.send("DELETE", f"/annotations/{left['id']}")
    return Written(added, changed, len(there), same)


def deployed(grafana: Grafana, what: str, scenarios: Iterable[str], began: float, ended: float, exit_code: int) -> None:
    """Add a deploy, beside the runs of some scenarios. Times in s since 1970. Raises PublishError."""
    text = f"{what}: deployed" if exit_code == 0 else f"{what}: the deploy failed with exit code {exit_code}"
    tags = ["soak", "kind:deploy", *(f"scenario:{name}"[:_LONGEST_TAG] for name in scenarios)]
    body = {"time": round(1000 * began), "timeEnd": round(1000 * ended), "text": _shown(text), "tags": tags}
    grafana.send("POST", "/annotations", body)


def _same(key: str, wanted: object, found: object) -> bool:
    """Whether a field is as it should be; tags are a set."""
    if key == "tags" and isinstance(wanted, list) and isinstance(found, list):
        return set(wanted) == set(found)
    return wanted == found


def _phases(recording: Recording, run: list[str]) -> Iterator[Mark]:
    for phase in recording.phases:
        text = f"{recording.scenario.name}: {phase.name.replace('_', ' ')}"
        yield _mark(recording, "phase", phase.name, phase.start, phase.end, text, [*run, f"phase:{phase.name}"])


def _deploy(recording: Recording, run: list[str]) -> Iterator[Mark]:
    """What was under test, for as long as it was; each time that the candidate became another process."""
    anew = [gap.end for gap in recording.gaps if "candidate" in gap.anew]
    revision = recording.provenance.get("git_revision")
    known = [f"revision:{revision}"] if revision else []
    end = recording.duration if recording.finished else None
    starts = [0.0, *anew]
    for number, (start, until) in enumerate(zip(starts, [*anew, end], strict=True)):
        text = f"{recording.scenario.name}: under test" + (f" is {revision}" if revision else "")
        yield _mark(recording, "deploy", str(number), start, until, text, [*run, *known])


def _finding(recording: Recording, side: str, finding: Finding, run: list[str]) -> Mark:
    """Where it was seen, and all that whoever sees it needs: how sure, how long, what to do."""
    span = recording.soak_span or (0.0, recording.duration)
    start = finding.start if finding.start is not None else span[0]
    end = finding.end if finding.end is not None else span[1]
    lines = [f"{recording.scenario.name}, {side}: {finding.severity.upper()} {finding.cause}: {finding.title}"]
    if finding.location:
        lines.append(f"Where: {finding.location}")
    if rate := wording.growth(finding):
        lines.append(f"How fast: {rate}")
    if left := wording.time_left(finding):
        lines.append(f"Time left: {left}, from the end of the soak")
    if finding.advice:
        lines.append(f"Next: {finding.advice}")
    tags = [*run, f"cause:{finding.cause}", f"severity:{finding.severity}", f"side:{side}"]
    what = f"{side}|{finding.cause}|{finding.metric}|{finding.endpoint}"
    return _mark(recording, "finding", what, start, end, "\n".join(lines), tags)


def _mark(
    recording: Recording, kind: Literal["phase", "deploy", "finding"], what: str, start: float, end: float | None,
    text: str, tags: list[str],
) -> Mark:  # fmt: skip
    key = hashlib.sha256(f"{recording.run}|{kind}|{what}".encode()).hexdigest()[:12]
    begin = _ms(recording, start)
    until = max(begin, _ms(recording, end)) if end is not None else None
    return Mark(f"key:{key}", begin, until, _shown(text), ("soak", f"kind:{kind}", *(t[:_LONGEST_TAG] for t in tags)))


def _ms(recording: Recording, t: float) -> int:
    return round(1000 * recording.wall(t))


def _run_tag(run: str) -> str:
    return f"run:{run}"[:_LONGEST_TAG]


def _shown(text: str) -> str:
    """As Grafana shows it, which takes it for HTML; names that a target or a scenario chose stay text."""
    lines = ("".join(c if c.isprintable() else " " for c in line) for line in text.splitlines())
    return "<br>".join(html.escape(line, quote=False) for line in lines)
