"""Pairs of runs: in which order, what is kept, and what each side is alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from soak.core.errors import SoakError
from soak.core.scenario import Scenario
from soak.core.summary import Summary
from soak.core.verdict import Finding, SideVerdict, Validity, Verdict
from soak.run import pairs as module
from soak.run.pairs import alone, soak_pairs

RAW: dict[str, Any] = {
    "name": "shop",
    "target": {"url": "http://127.0.0.1:8000", "process": {"command": "new"}},
    "reference": {"url": "http://127.0.0.1:8001", "process": {"command": "old"}},
    "load": {"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]},
    "phases": {"soak": "60s"},
    "criteria": [{"metric": "latency.p99", "ratio_below": 1.1}, {"metric": "errors.ratio", "below": "1%"}],
}


def sides() -> tuple[dict[str, Any], dict[str, Any]]:
    model = Scenario.model_validate(RAW)
    return alone(model, RAW, "candidate", "candidate"), alone(model, RAW, "reference", "reference")


def verdict(*causes: str, interrupted: bool = False) -> Verdict:
    findings = tuple(Finding(c, "process.restarts", None, "fail", f"it had a {c}") for c in causes)
    side = SideVerdict(findings, Validity(1, 1, 0, 0, 0, 1, 0, ()), {}, {})
    return Verdict("r", "s", "pass", "PASS", (), interrupted, 60.0, (), side)


class Soaks:
    """Stands for the soaks: remembers what was asked for; the n-th is `odd`, all others pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, odd: dict[int, Verdict | BaseException] | None = None) -> None:
        self.asked: list[str] = []
        self.odd = odd or {}
        monkeypatch.setattr(module, "summary_of", lambda path: Summary(path.name, "load", 0.0, 60.0, (), ()))

    def __call__(self, model: Scenario, _raw: dict[str, Any]) -> tuple[Verdict, Path]:
        self.asked.append(model.name.removeprefix("shop-"))
        outcome = self.odd.get(len(self.asked), verdict())
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome, Path(f"{len(self.asked)}-{model.name}")


def test_the_order_is_abba(monkeypatch: pytest.MonkeyPatch) -> None:
    soaks = Soaks(monkeypatch)
    done = soak_pairs(sides(), 3, soaks, lambda _: None)
    assert [name[0] for name in soaks.asked] == ["c", "r", "r", "c", "c", "r"]
    assert [(a.run, b.run) for a, b in done.pairs] == [
        ("1-shop-candidate", "2-shop-reference"),
        ("4-shop-candidate", "3-shop-reference"),
        ("5-shop-candidate", "6-shop-reference"),
    ]


@pytest.mark.parametrize("odd", [verdict(interrupted=True), KeyboardInterrupt()])
def test_an_interruption_keeps_the_pairs_that_are_done(monkeypatch: pytest.MonkeyPatch, odd: Any) -> None:
    done = soak_pairs(sides(), 3, Soaks(monkeypatch, {4: odd}), lambda _: None)
    assert done.interrupted
    assert len(done.pairs) == 1


def test_a_candidate_that_dies_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    soaks = Soaks(monkeypatch, {1: verdict("crash")})
    done = soak_pairs(sides(), 3, soaks, lambda _: None)
    assert done.dead == "the candidate, in pair 1: it had a crash"
    assert len(soaks.asked) == 1


def test_a_pair_that_was_not_measured_well_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    soaks = Soaks(monkeypatch)
    bad = Summary("x", "load", 0.0, 60.0, (), (), "the generator was frozen")
    monkeypatch.setattr(
        module, "summary_of", lambda p: bad if p.name.startswith("2-") else Summary(p.name, "load", 0.0, 60.0, (), ())
    )
    done = soak_pairs(sides(), 2, soaks, lambda _: None)
    assert len(done.pairs) == 1
    assert done.notes == ("pair 1 is left out: x: the generator was frozen",)


def test_a_side_alone_keeps_load_and_phases_and_its_own_criteria() -> None:
    new, old = sides()
    assert (new["target"], old["target"]) == (RAW["target"], RAW["reference"])
    for made in (new, old):
        assert "reference" not in made
        assert made["load"] == RAW["load"]
        assert made["criteria"] == [{"metric": "errors.ratio", "below": "1%"}]
    assert [new["name"], old["name"]] == ["shop-candidate", "shop-reference"]


@pytest.mark.parametrize(
    "changes,said",
    [
        ({"reference": None}, "need a reference"),
        ({"reference": {"url": "http://127.0.0.1:8001", "port": 8001}}, "must be started anew"),
    ],
)
def test_what_cannot_be_started_anew_is_refused(changes: dict[str, Any], said: str) -> None:
    raw = RAW | changes | {"criteria": RAW["criteria"][1:]}
    with pytest.raises(SoakError, match=said):
        alone(Scenario.model_validate(raw), raw, "reference", "reference")
