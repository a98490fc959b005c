"""The pages that are made are what the code makes now, and nothing is left out of them."""

from __future__ import annotations

import click
import pytest

from reference.__main__ import DOCS
from reference.meanings import ROOMS
from reference.pages import PAGES
from reference.schema import type_of
from soak.cli import verbs
from soak.core.metrics import METRICS
from soak.judge.advice import ADVICE
from soak.scenario import json_schema
from tests.unit.report_making import schema


@pytest.mark.parametrize("name", PAGES)
def test_the_page_that_is_committed_is_the_one_that_is_made(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name](), "run `make reference`"


def test_no_other_page_lies_in_the_reference() -> None:
    assert {f"reference/{path.name}" for path in (DOCS / "reference").iterdir()} == {
        name for name in PAGES if "/" in name
    }


def test_each_cause_that_a_verdict_may_name_has_its_meaning_and_advice() -> None:
    named = schema("verdict")["$defs"]["finding"]["properties"]["cause"]["enum"]
    told = [cause for causes in ROOMS.values() for cause in causes]
    assert sorted(told) == sorted(named) == sorted(ADVICE)


def test_every_key_metric_and_verb_is_on_its_page() -> None:
    text = {name: (DOCS / name).read_text(encoding="utf-8") for name in PAGES}
    for model in (json_schema(), *json_schema()["$defs"].values()):
        assert all(f"| `{key}` |" in text["reference/scenario.md"] for key in model["properties"])
    assert all(f"| `{name}` |" in text["reference/metrics.md"] for name in METRICS)
    assert all(f"## soak {verb}\n" in text["reference/cli.md"] for verb in verbs())


def test_no_key_or_option_is_without_its_meaning() -> None:
    for name in ("reference/scenario.md", "reference/settings.md"):
        rows = [line for line in (DOCS / name).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
        assert rows
        assert not [row for row in rows if row.endswith("|  |")], name
    for verb, command in verbs().items():
        assert not [p.name for p in command.params if isinstance(p, click.Option) and not p.help], verb


@pytest.mark.parametrize(
    "node, words",
    [
        ({"type": "string"}, "text"),
        ({"type": ["string", "null"]}, "text"),
        ({"type": "integer", "minimum": 1, "maximum": 64}, "whole number, 1 to 64"),
        ({"type": "number", "exclusiveMinimum": 0}, "number, more than 0"),
        ({"anyOf": [{"$ref": "#/$defs/Tls"}, {"type": "null"}]}, "[Tls](#tls)"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "list of `a`, `b`"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "mapping of names to text"),
    ],
)
def test_a_schema_in_words(node: dict[str, object], words: str) -> None:
    assert type_of(node) == words
