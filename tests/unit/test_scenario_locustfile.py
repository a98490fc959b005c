"""A locustfile is read before a run, and never imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import ScenarioError
from soak.scenario import loads
from soak.scenario.locustfile import check_user_class
from soak.scenario.sight import sight
from tests.unit.test_scenario_load import GOOD


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "locustfile.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "class Shopper(HttpUser): ...",
        "from shop.users import Shopper",
        "from shop.users import Visitor as Shopper",
        "from shop.users import *",
        "Shopper = made()",
        "try:\n    from fast import Shopper\nexcept ImportError:\n    class Shopper: ...",
        "if FAST:\n    class Shopper: ...",
    ],
)
def test_a_class_may_come_from_anywhere(tmp_path: Path, text: str) -> None:
    check_user_class(written(tmp_path, text), "Shopper")


@pytest.mark.parametrize(
    "text, words",
    [
        ("class Shoper: ...", "no class 'Shopper'; did you mean Shoper?"),
        ("class A: ...\nclass B: ...", "no class 'Shopper'; it has A, B"),
        ("x = 1", "no class 'Shopper'; it has no class"),
        ("class Shopper(:\n", "line 1: "),
        ("a = '\0'", "not Python|null bytes"),
    ],
)
def test_what_is_not_there_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        check_user_class(written(tmp_path, text), "Shopper")


def test_a_scenario_says_so_with_its_line(tmp_path: Path) -> None:
    written(tmp_path, "raise SystemExit('imported')\nclass Shoper: ...")
    head, _, rest = GOOD.partition("  requests:\n")
    criteria = rest[rest.index("phases:") :].replace("endpoint: browse, ", "")
    with pytest.raises(ScenarioError, match=r"t:7:15: load\.locustfile: .*did you mean Shoper\?"):
        loads(f"{head}  locustfile: locustfile.py::Shopper\n{criteria}", "t", tmp_path)


def test_what_a_criterion_sees_is_said_to_be_shared_by_the_endpoints(tmp_path: Path) -> None:
    written(tmp_path, "class Shopper: ...")
    head, _, rest = GOOD.partition("  requests:\n")
    criteria = rest[rest.index("phases:") :].replace("endpoint: browse, ", "")
    loaded = loads(f"{head}  locustfile: locustfile.py::Shopper\n{criteria}", "t", tmp_path)
    told = [sight(criterion, loaded.scenario, tmp_path) for criterion in loaded.scenario.criteria]
    assert ["its own share" in text for text in told] == [True, False], told
