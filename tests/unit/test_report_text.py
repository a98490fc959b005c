from __future__ import annotations

from dataclasses import replace

import pytest

from soak.report import facts, text
from tests.unit import report_making as made


def lines() -> list[str]:
    return text.render(made.recording(), made.verdict()).splitlines()


def test_the_first_five_lines_say_what_is_wrong_and_what_to_do() -> None:
    head = "\n".join(lines()[:5])
    assert head.startswith("FAIL: memory grows by 24.1 MiB/h")
    assert "Next: Compare two heap snapshots" in head
    assert "soaked 2 h" in head


def test_no_line_is_wider_than_a_terminal_and_none_steers_it() -> None:
    assert max(map(len, lines())) <= text.WIDTH
    assert "\x1b" not in "\n".join(lines())


def test_every_finding_has_cause_place_rate_time_left_evidence_and_next_step() -> None:
    shown = "\n".join(lines())
    for expected in (
        "1. FAIL  memory_growth: ",
        "where      memory.anon of the candidate",
        "rate       24.1 MiB/h (23.8 MiB/h to 24.4 MiB/h)",
        "time left  1 d 18 h (1 d 17 h to 1 d 19 h) to the container limit of 1 GiB",
        "evidence   the floor of anonymous memory",
        "next       Compare two heap snapshots",
        "4. info  cache_fill: ",
        "where      memory.anon of the reference",
    ):
        assert expected in shown


def test_candidate_and_reference_stand_one_above_the_other() -> None:
    shown = lines()
    at = shown.index(next(line for line in shown if line.startswith("  buy")))
    assert shown[at + 1].split()[:3] == ["intended", "start,", "candidate"]
    assert shown[at + 2].split()[:3] == ["intended", "start,", "reference"]
    assert shown[at + 1].split()[-2:] == ["480,000", "3,850"]


def test_without_a_reference_no_side_is_named() -> None:
    shown = text.render(made.alone(), made.passed())
    assert shown.startswith("PASS: all 2 criteria hold")
    assert "candidate" not in shown
    assert "Next:" not in shown


def test_an_account_that_does_not_balance_is_not_written_as_an_equation() -> None:
    own = made.verdict().candidate
    broken = replace(own, validity=replace(own.validity, lost=7, reasons=("a worker was lost",)))
    shown = text.render(made.recording(), made.verdict(candidate=broken))
    assert "1,500,000 scheduled ≠ 1,496,150 done" in shown
    assert "not to be trusted: candidate: a worker was lost" in shown


@pytest.mark.parametrize(
    "word,step", [("inconclusive", "Do what the reasons say"), ("invalid", "Mend the measurement")]
)
def test_what_is_no_verdict_on_the_target_says_what_to_do_too(word: str, step: str) -> None:
    verdict = made.verdict(verdict=word, headline=f"{word.upper()}: too short", reasons=("too short", "gaps"))
    shown = text.render(made.recording(), verdict).splitlines()
    assert shown[0] == f"{word.upper()}: too short"
    assert shown[1].startswith(f"Next: {step}")
    assert "- gaps" in shown


def test_who_knows_what_mends_the_measurement_says_it_once() -> None:
    own = made.verdict().candidate
    noisy = replace(own.findings[0], cause="noisy_host", severity="info", advice="Soak on a host of its own.")
    verdict = made.verdict(verdict="invalid", candidate=replace(own, findings=(*own.findings, noisy, noisy)))
    assert facts.next_step(verdict).endswith("then soak again. Soak on a host of its own.")


def test_a_phase_that_was_not_asked_for_is_not_told() -> None:
    whole = made.recording()
    *before, last = whole.phases
    at_once = replace(last, end=last.start + 0.0003)
    assert last.name == "idle_after"
    assert [name for name, _ in facts.phases(whole)][-1] == "idle-after"
    shown = facts.phases(replace(whole, phases=(*before, at_once)))
    assert [name for name, _ in shown] == [p.name.replace("_", "-") for p in before]


@pytest.mark.parametrize("word", ["pass", "inconclusive"])
def test_what_was_interrupted_can_go_on(word: str) -> None:
    verdict = made.verdict(verdict=word, interrupted=True, reasons=("the run was interrupted",))
    assert "`soak run --resume RUN` goes on with it" in facts.next_step(verdict)
    assert "--resume" not in facts.next_step(made.verdict(verdict=word, reasons=("too short",)))
