"""The verdict as JUnit XML, for the test pages of CI systems.

There is no XSD that all follow; this keeps to what GitLab, Jenkins and the GitHub actions read: one
`testsuite` in `testsuites`, a `testcase` for the verdict, the validity, each criterion and each finding
that fails the run. `fail` becomes `<failure>`: the target was judged and is bad. `inconclusive` and
`invalid` become `<error>`: no judgement was reached. All of these systems count an error as red;
`<skipped>` would be the closer word for inconclusive, but they show it as green. The case named
`verdict` is there in every run, so that a gate that is not passed has a red case whatever its cause.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from soak.core.records import Recording
from soak.core.verdict import Finding, Verdict
from soak.report import facts, phrases, text
from soak.report.criteria import criterion_rows

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even as a character reference (https://www.w3.org/TR/xml/#charsets)."""


def render(recording: Recording, verdict: Verdict) -> str:
    """The XML document."""
    cases = [_verdict_case(recording, verdict), _validity_case(recording, verdict)]
    cases += _criterion_cases(recording, verdict)
    cases += [_finding_case(f) for f in verdict.candidate.findings if f.severity == "fail"]
    name = _legal(f"soak.{verdict.scenario}")
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(c.find("failure") is not None for c in cases)),
        "errors": str(sum(c.find("error") is not None for c in cases)),
        "skipped": "0",
        "time": f"{recording.duration:.3f}",
    }
    root = ET.Element("testsuites", {"name": "soak", **counts})
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": name,
            **counts,
            "timestamp": datetime.fromtimestamp(recording.started, UTC).strftime("%Y-%m-%dT%H:%M:%S"),
            "hostname": _legal(str(recording.provenance.get("host", "unknown"))),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in (("run", verdict.run), ("verdict", verdict.verdict), ("soak_s", f"{verdict.soak_s:.3f}")):
        ET.SubElement(properties, "property", {"name": key, "value": _legal(value)})
    for case in cases:
        case.set("classname", name)
        case.set("time", "0")
        suite.append(case)
    cases[0].set("time", f"{recording.duration:.3f}")
    ET.SubElement(suite, "system-out").text = _legal(text.render(recording, verdict))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode")


def _verdict_case(recording: Recording, verdict: Verdict) -> ET.Element:
    kind = "interrupted" if verdict.interrupted and verdict.verdict == "pass" else verdict.verdict
    detail = [facts.summary(recording, verdict), *verdict.reasons, f"Next: {facts.next_step(verdict)}"]
    return _case("verdict", kind, facts.headline(verdict), detail)


def _validity_case(recording: Recording, verdict: Verdict) -> ET.Element:
    validity = verdict.candidate.validity
    kind = "invalid" if validity.reasons or verdict.verdict == "invalid" else "pass"
    detail = [facts.account(verdict.candidate), facts.instrument(recording, "candidate", verdict.candidate)]
    return _case("validity of the measurement", kind, "; ".join(validity.reasons) or detail[0], detail)


def _criterion_cases(recording: Recording, verdict: Verdict) -> list[ET.Element]:
    cases = []
    for row in criterion_rows(recording, verdict):
        message = "; ".join(filter(None, (f"{row.measured}, limit: {row.limit}", row.reason)))
        cases.append(_case(row.text, row.result, message, [f"interval: {row.interval}"] if row.interval else []))
    return cases


def _finding_case(finding: Finding) -> ET.Element:
    # no rate in the name: a test is followed from run to run by its name
    parts = (
        ("where", phrases.where(finding)),
        ("rate", phrases.growth(finding)),
        ("time left", phrases.time_left(finding)),
        ("when", phrases.span(finding)),
        ("cost", phrases.clean(finding.cost or "")),
    )
    detail = [f"{key}: {value}" for key, value in parts if value]
    detail += [f"evidence: {line}" for line in finding.evidence] + [f"next: {finding.advice}"]
    return _case(f"finding: {finding.cause} in {phrases.where(finding)}", "fail", finding.title, detail)


def _case(name: str, kind: str, message: str, detail: list[str]) -> ET.Element:
    case = ET.Element("testcase", {"name": _legal(name)})
    if kind != "pass":
        tag = "failure" if kind == "fail" else "error"
        child = ET.SubElement(case, tag, {"message": _legal(message), "type": kind})
        child.text = _legal("\n".join([message, *detail]))
    return case


def _legal(string: str) -> str:
    return _ILLEGAL.sub("\ufffd", string)
