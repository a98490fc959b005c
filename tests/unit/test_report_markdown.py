from __future__ import annotations

import re
from dataclasses import replace

import pytest

from soak.report import markdown
from tests.unit import report_making as made

RECORDING = made.recording()
UNESCAPED_PIPE = re.compile(r"(?<!\\)\|")


def test_the_first_line_is_the_verdict() -> None:
    assert markdown.render(RECORDING, made.verdict()).splitlines()[0] == "## ❌ FAIL: soak of `checkout`"
    assert markdown.render(RECORDING, made.passed()).startswith("## ✅ PASS")


@pytest.mark.parametrize("verdict", [made.verdict(), made.passed()])
def test_every_row_of_a_table_has_as_many_cells_as_its_head(verdict: made.Verdict) -> None:
    tables = re.findall(r"(?:^\|.*\n?)+", markdown.render(RECORDING, verdict), re.MULTILINE)
    assert len(tables) >= 3
    for table in tables:
        assert len({len(UNESCAPED_PIPE.split(row)) for row in table.splitlines()}) == 1


def test_names_cannot_become_markup_and_nobody_is_called() -> None:
    shown = markdown.render(RECORDING, made.verdict())
    prose = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"\\.", "", shown))
    assert "<b>" not in prose
    assert "</script>" not in prose
    assert "@all" not in prose
    assert re.findall(r"</?[a-z]+>", prose) == re.findall(r"</?(?:details|summary|sub)>", prose)


def test_findings_tell_their_rate_and_next_step() -> None:
    shown = markdown.render(RECORDING, made.verdict())
    assert "   - Rate: 24.1 MiB/h (23.8 MiB/h to 24.4 MiB/h)" in shown
    assert "   - **Next:** Compare two heap snapshots" in shown


def test_details_are_folded_away() -> None:
    shown = markdown.render(RECORDING, made.verdict())
    assert shown.count("<details>") == shown.count("</details>") == 5
    assert shown.index("### Criteria") < shown.index("<details>")


def test_a_run_with_very_much_to_say_still_fits_into_a_comment() -> None:
    long = replace(made.DRIFT, title="p99 " * 500, evidence=("evidence " * 300,) * 30, advice="look " * 400)
    criterion = replace(made.criteria()[1], reason="because " * 300)
    latency = {f"endpoint {i} {'x' * 180}": made.percentiles(i + 1.0) for i in range(500)}
    own = replace(made.verdict().candidate, findings=(long,) * 80, latency=latency, service=latency)
    verdict = made.verdict(candidate=own, criteria=(criterion,) * 300, reasons=("so " * 500,) * 50)
    shown = markdown.render(RECORDING, verdict)
    assert len(shown) < 65_536
    assert "and 270 more criteria: see the HTML report" in shown
