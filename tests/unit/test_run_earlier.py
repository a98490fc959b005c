"""What is read of earlier runs: their noise where it was measured, and clear errors where there is nothing to read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.errors import RunFileError, SoakError
from soak.core.summary import Noise, Spread, Summary, load_digest
from soak.run import earlier as module
from soak.run.earlier import earlier_runs, known_noise, noise_path
from tests.making import scenario

MEASURED = Noise("this load", (Spread("latency.p50", "browse", 0.02, 6),))


def keep(folder: Path, noise: Noise = MEASURED, name: str = "shop") -> None:
    noise_path(name, folder).write_text(json.dumps(noise.to_json()))


@pytest.mark.parametrize("name", ["shop", "shop-candidate"])
def test_measured_noise_is_found_for_the_scenario_and_for_the_runs_of_its_pairs(tmp_path: Path, name: str) -> None:
    keep(tmp_path)
    assert known_noise(name, "this load", tmp_path) == MEASURED


def test_noise_of_another_load_or_scenario_says_nothing(tmp_path: Path) -> None:
    keep(tmp_path)
    assert known_noise("shop", "other load", tmp_path) == Noise()
    assert known_noise("another", "this load", tmp_path) == Noise()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "soak.noise/1", "load": "x", "spreads": [{"sd": 1}]}'])
def test_noise_that_cannot_be_read_is_an_error_and_not_ignored(tmp_path: Path, text: str) -> None:
    noise_path("shop", tmp_path).write_text(text)
    with pytest.raises(SoakError, match="calibrate anew"):
        known_noise("shop", "x", tmp_path)


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.soak").write_text("nothing")
    with pytest.raises(RunFileError, match=r"old\.soak"):
        earlier_runs(scenario(reference={"run": "old.soak"}), tmp_path, tmp_path)


def test_a_scenario_without_earlier_runs_has_none(tmp_path: Path) -> None:
    assert earlier_runs(scenario(), tmp_path, tmp_path) is None


def test_the_load_is_the_same_however_it_is_generated() -> None:
    load = {"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]}
    one = load_digest(scenario(load=load))
    assert one == load_digest(scenario(load=load | {"workers": 2, "precision": "spin"}))
    assert one != load_digest(scenario(load=load | {"rate": "101/s"}))


def test_a_run_of_another_length_is_refused_before_anything_is_soaked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = scenario(reference={"run": "old.soak"})
    old = Summary("old", load_digest(spec), 0.0, spec.phases.soak, (), (), warmup_s=spec.phases.warmup_s)
    kept = {"summary": old}
    monkeypatch.setattr(module, "summary_of", lambda _path: kept["summary"])
    assert earlier_runs(spec, tmp_path, tmp_path) is not None
    for other in (replace(old, soak_s=2 * old.soak_s), replace(old, warmup_s=2 * old.warmup_s)):
        kept["summary"] = other
        with pytest.raises(RunFileError, match=r"old\.soak: one .* the other for"):
            earlier_runs(spec, tmp_path, tmp_path)
