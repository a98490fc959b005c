"""How a run stands: its criteria, findings and ratios to the reference, from a `soak.verdict/1` document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from soak.core.verdict import RESULTS
from soak.publish.names import SEVERITIES
from soak.publish.page import Page

MOST_FINDINGS = 20
MOST_CRITERIA = 60
MOST_COMPARED = 60

Document = Mapping[str, Any]


def tell_verdict(page: Page, scenario: str, document: Document) -> None:
    """Add criteria, findings, ratios and how much of the measurement was spoiled; and what was left out of it."""
    _criteria(page, scenario, document["criteria"][:MOST_CRITERIA])
    sides = {"candidate": document, "reference": document.get("reference")}
    for side, found in sides.items():
        if found is not None:
            _findings(page, scenario, side, found["findings"])
    for one in document["comparison"][:MOST_COMPARED]:
        labels = [scenario, one["metric"], one["endpoint"] or ""]
        page.add("soak_reference_ratio", labels, one["ratio"])
        page.add("soak_reference_ratio_low", labels, one["low"])
        page.add("soak_reference_ratio_high", labels, one["high"])
    page.add("soak_intervals", [scenario], document["validity"]["intervals"])
    page.add("soak_intervals_invalid", [scenario], document["validity"]["invalid_intervals"])
    beyond = {
        "criteria": len(document["criteria"]) - MOST_CRITERIA,
        "findings": sum(len(found["findings"]) - MOST_FINDINGS for found in sides.values() if found is not None
                        and len(found["findings"]) > MOST_FINDINGS),
        "comparisons": len(document["comparison"]) - MOST_COMPARED,
    }  # fmt: skip
    for what, count in beyond.items():
        page.add("soak_left_out", [scenario, what], max(0, count))


def _criteria(page: Page, scenario: str, criteria: list[Document]) -> None:
    for one in criteria:
        labels = [scenario, one["text"], one["metric"], one["endpoint"] or ""]
        page.choose("soak_criterion_state", labels, RESULTS, one["result"])
        page.add("soak_criterion_value", [*labels, one["unit"]], one["value"])
        page.add("soak_criterion_limit", [*labels, one["unit"]], one["limit"])


def _findings(page: Page, scenario: str, side: str, findings: list[Document]) -> None:
    for severity in SEVERITIES:
        page.add("soak_findings", [scenario, side, severity], sum(f["severity"] == severity for f in findings))
    for one in findings[:MOST_FINDINGS]:  # the verdict has the most urgent first
        labels = [scenario, side, one["cause"], one["metric"], one["endpoint"] or ""]
        # nothing in it that changes from look to look: each change would be another series
        about = [one["severity"], one["confidence"] or "", one["location"] or "", one["advice"]]
        page.add("soak_finding_info", [*labels, *about], 1)
        page.add("soak_finding_eta_seconds", labels, one["eta_s"])
        page.add("soak_finding_eta_low_seconds", labels, one["eta_low_s"])
        page.add("soak_finding_eta_high_seconds", labels, one["eta_high_s"])
        page.add("soak_finding_rate", [*labels, one["rate_unit"] or ""], one["rate"])
