"""The JSON Schema for editors, and the scenario that `soak init` writes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import BaseModel

import soak.scenario
from soak.core import scenario as models
from soak.core import traffic
from soak.core.pattern import Pattern, RateStep
from soak.core.scrape import Scrape
from soak.scenario import json_schema, loads, template
from soak.scenario.document import parse

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("scenarios/*.yaml"), *ROOT.glob("soak/specimens/*.yaml")])
VALIDATOR = jsonschema.Draft202012Validator(json_schema())


def test_the_schema_that_is_shipped_is_the_one_that_is_made():
    shipped = Path(soak.scenario.__file__).with_name("scenario.schema.json")
    assert json.loads(shipped.read_text(encoding="utf-8")) == json_schema()


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())


def test_every_key_says_what_it_means_and_not_only_how_it_is_written():
    schema = json_schema()
    for name, model in {"Scenario": schema, **schema["$defs"]}.items():
        for key, value in model["properties"].items():
            assert not value.get("description", "for example").startswith("for example"), f"{name}.{key}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_scenarios_of_this_repository_load_and_fit_the_schema(path):
    text = path.read_text(encoding="utf-8")
    VALIDATOR.validate(parse(text, path.name).data)
    loads(text, path.name, path.parent)


def test_the_template_loads_and_fits_the_schema(tmp_path):
    VALIDATOR.validate(parse(template(), "t").data)
    assert loads(template(), "t", tmp_path).scenario.criteria


def keys(model: type[BaseModel]) -> set[str]:
    later = {n for n, f in model.model_fields.items() if f.annotation is type(None)}
    return {f.alias or n for n, f in model.model_fields.items() if n not in later}


def test_the_template_explains_every_key_that_is_supported():
    text = template()
    for model in (
        models.Scenario, models.Command, models.Target, models.Tls, models.Observer, models.Load, models.Phases,
        models.BurstPhase, models.Probe, models.Allocations, Scrape,
        models.Criterion, models.Cost, models.AlertTo, traffic.Request, traffic.Journey, traffic.Step,
        traffic.Capture, traffic.Think,
        traffic.Lognormal, traffic.Feed, traffic.Auth, traffic.Basic, traffic.FilePart, Pattern, RateStep,
    ):  # fmt: skip
        for key in keys(model):
            assert f"{key}:" in text or f"{key}," in text, f"{model.__name__}.{key}"


@pytest.mark.parametrize(
    "old, new",
    [
        ("rate: 100/s", "rate: 100"),
        ("rate: 100/s", "rat: 100/s"),
        ("timeout: 10s", "timeout: 10"),
        ("memory.rss", "memory.rs"),
        ("growth_below: 10%", "growth_below: 10%, below: 5ms"),
        ("get: ", "post: /, get: "),
        ("probe:\n", "alerts: 5\nprobe:\n"),
        ("seed: 1 ", "seed: one "),
    ],
)
def test_an_editor_sees_what_soak_would_refuse(old, new, tmp_path):
    assert old in template()
    text = template().replace(old, new, 1)
    with pytest.raises(soak.core.errors.ScenarioError):
        loads(text, "t", tmp_path)
    assert not VALIDATOR.is_valid(parse(text, "t").data)


def test_defaults_are_shown_as_they_are_written():
    defs = json_schema()["$defs"]
    assert defs["Load"]["properties"]["timeout"]["default"] == "10s"
    assert defs["Probe"]["properties"]["every"]["default"] == "1s"
