from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from soak.judge.advice import ADVICE
from soak.report import json_view
from tests.unit import report_making as made

VALIDATOR = jsonschema.Draft202012Validator(made.schema("verdict"))


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(json_view.render(made.recording(), made.verdict()))
    return loaded


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(made.schema("verdict"))


def test_every_cause_that_the_judge_may_name_is_in_the_schema() -> None:
    text = json.dumps(made.schema("verdict"))
    assert [cause for cause in ADVICE if f'"{cause}"' not in text] == []


@pytest.mark.parametrize("verdict", [made.verdict(), made.passed(), made.verdict(verdict="invalid", interrupted=True)])
def test_verdicts_obey_the_schema(verdict: Any) -> None:
    VALIDATOR.validate(json.loads(json_view.render(made.recording(), verdict)))


def test_what_is_not_finite_becomes_null_and_is_allowed() -> None:
    odd = replace(made.criteria()[0], value=math.nan, high=math.inf)
    loaded = json.loads(json_view.render(made.recording(), made.verdict(criteria=(odd,))))
    assert loaded["criteria"][0]["value"] is loaded["criteria"][0]["high"] is None
    VALIDATOR.validate(loaded)


def test_the_contract_of_keys_holds() -> None:
    found = document()
    assert {"run", "verdict", "criteria", "findings", "validity", "latency", "service"} <= set(found)
    wanted = "cause metric endpoint severity rate rate_unit low high eta_s cost evidence advice"
    assert set(wanted.split()) <= set(found["findings"][0])
    wanted = "metric endpoint result value low high limit unit reason"
    assert set(wanted.split()) <= set(found["criteria"][0])
    wanted = "scheduled done failed unserved lost invalid_intervals reasons"
    assert set(wanted.split()) <= set(found["validity"])
    row = "p50_ms p90_ms p99_ms p999_ms p9999_ms max_ms count failed timeouts censored"
    assert set(found["latency"]["buy"]) == set(row.split())
    assert made.ODD in found["latency"]


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(found: Any) -> None:
        *heads, last = path.split("/")
        for key in heads:
            found = found[int(key) if isinstance(found, list) else key]
        found[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("verdict", "green"),
        _set("schema", "soak.verdict/2"),
        _set("extra", 1),
        _set("findings/0/cause", "gremlins"),
        _set("findings/0/severity", "fatal"),
        _set("findings/0/rate", "fast"),
        _set("findings/0/extra", 1),
        _set("criteria/0/result", "maybe"),
        _set("validity/done", -1),
        _set("validity/done", 1.5),
        _set("latency/buy/p99_ms", "9"),
        _set("latency/buy/p75_ms", 1.0),
        _set("reference/findings/0/cause", "gremlins"),
        lambda d: d.pop("headline"),
        lambda d: d["findings"][0].pop("advice"),
        lambda d: d["validity"].pop("lost"),
        lambda d: d["latency"]["buy"].pop("failed"),
        lambda d: d.pop("reference"),
    ],
)
def test_the_schema_refuses_what_is_wrong(change: Callable[[dict[str, Any]], None]) -> None:
    found = copy.deepcopy(document())
    VALIDATOR.validate(found)
    change(found)
    assert not VALIDATOR.is_valid(found)
