from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.verdict import Verdict
from soak.report import junit
from tests.unit import report_making as made

RECORDING = made.recording()


def suite(verdict: Verdict) -> ET.Element:
    root = ET.fromstring(junit.render(RECORDING, verdict).encode())
    assert root.tag == "testsuites"
    (found,) = root
    return found


def red(found: ET.Element) -> list[str]:
    return [c.attrib["name"] for c in found.iter("testcase") if len(c)]


def test_counts_are_those_of_the_cases() -> None:
    found = suite(made.verdict())
    cases = found.findall("testcase")
    assert int(found.attrib["tests"]) == len(cases) == 2 + 5 + 2
    assert int(found.attrib["failures"]) == len(list(found.iter("failure"))) == 5
    assert int(found.attrib["errors"]) == len(list(found.iter("error"))) == 1
    assert not list(found.iter("skipped"))


def test_a_pass_is_green_all_over() -> None:
    assert red(suite(made.passed())) == []


@pytest.mark.parametrize("word,tag", [("fail", "failure"), ("inconclusive", "error"), ("invalid", "error")])
def test_a_gate_that_is_not_passed_is_red_whatever_its_cause(word: str, tag: str) -> None:
    found = suite(replace(made.passed(), verdict=word, headline="why"))  # type: ignore[arg-type]
    assert "verdict" in red(found)
    assert found.find("testcase[@name='verdict']/" + tag).attrib["type"] == word  # type: ignore[union-attr]


def test_an_interrupted_run_is_red_too() -> None:
    assert red(suite(replace(made.passed(), interrupted=True))) == ["verdict"]


def test_an_untrusted_measurement_is_an_error_of_its_own() -> None:
    own = made.passed().candidate
    broken = replace(own, validity=replace(own.validity, reasons=("the loop was late",)))
    found = suite(replace(made.passed(), verdict="invalid", candidate=broken))
    case = found.find("testcase[@name='validity of the measurement']/error")
    assert case is not None
    assert case.attrib["message"] == "the loop was late"


def test_only_findings_that_fail_the_run_are_cases_and_their_names_hold_no_numbers() -> None:
    names = [n for n in red(suite(made.verdict())) if n.startswith("finding: ")]
    assert names[0] == "finding: memory_growth in memory.anon"
    assert len(names) == 2
    moved = replace(made.MEMORY, rate=1.0, title="memory grows by 1 B/h")
    again = suite(made.verdict(candidate=replace(made.verdict().candidate, findings=(moved,))))
    assert names[0] in red(again)


@given(st.text(alphabet=st.characters(), max_size=40))
def test_any_text_gives_xml_that_can_be_read(text: str) -> None:
    finding = replace(made.MEMORY, title=text, endpoint=text, evidence=(text,), advice=text)
    criterion = replace(made.criteria()[1], text=text, reason=text, endpoint=text)
    own = replace(made.verdict().candidate, findings=(finding,))
    found = suite(made.verdict(headline=text, reasons=(text,), candidate=own, criteria=(criterion,)))
    assert found.attrib["tests"] == "4"
