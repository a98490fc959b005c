"""What the benchmarks of exponents and stories hold soak against."""

from __future__ import annotations

import re

import numpy as np
import pytest
import yaml

from benchmarks import exponent
from benchmarks.stories import STORIES, Told, scenario
from soak.core.scenario import Scenario


@pytest.mark.parametrize("name", exponent.SHAPES)
def test_costs_grow_by_what_they_are_told_to(name: str) -> None:
    n, z = exponent.costs(name, 2.0, 0.0, 0.0, np.random.default_rng(1))
    assert z[0] == pytest.approx(exponent.FIXED_S)
    assert z[-1] == pytest.approx(exponent.FIXED_S * (1 if name == "O(1)" else 3))
    assert len(n) == exponent.WINDOWS


@pytest.mark.parametrize(
    "name,classes,word",
    [
        ("O(n)", ("O(n)", "O(n log n)"), "right"),
        ("O(n)", ("O(n)", "O(n^2)"), "open"),
        ("O(n^2)", ("O(n^2)",), "right"),
        ("O(n^2)", ("O(n)",), "wrong"),
        ("O(n^2)", (), "wrong"),
        ("O(log n)", ("O(1)",), "none"),
        ("O(1)", ("O(1)",), "right"),
    ],
)
def test_right_is_the_true_class_alone(name: str, classes: tuple[str, ...], word: str) -> None:
    assert exponent.right(name, classes) == word


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("itself", [False, True])
def test_a_story_is_soaked_on_ports_of_its_own(name: str, itself: bool) -> None:
    made = Scenario.model_validate(yaml.safe_load(scenario(name, "50s", itself)))
    assert made.phases.soak == 50
    commands = [side.process.command for side in made.sides.values() if side.process is not None]
    assert ["--reference" in c for c in commands] == [itself, True]
    ports = [side.tcp_port for side in made.sides.values()]
    assert len(set(ports)) == 2
    assert [int(re.findall(r"--port (\d+)", c)[0]) for c in commands] == ports


def test_a_story_is_caught_by_its_own_cause_and_beside_a_clean_reference() -> None:
    assert Told(1, ("superlinear_cost", "fd_leak"), ()).caught("lookup")
    assert not Told(1, ("fd_leak",), ()).caught("lookup")
    assert not Told(1, ("superlinear_cost",), ("superlinear_cost",)).caught("lookup")
    assert not Told(0, (), ()).caught("lookup")
