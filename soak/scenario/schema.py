"""The JSON Schema of a scenario, for editors that complete and check while one types.

It is made from the models, so it cannot fall behind them; what they check in code (one of several keys,
metric names, limits) is added here, as far as an editor can use it. The models have the last word.
"""

from __future__ import annotations

from typing import Any

from soak.core import units
from soak.core.metrics import METRICS
from soak.core.scenario import Scenario
from soak.core.traffic import METHODS

_LIMITS = {
    "below": "limit in the unit of the metric: 50ms, 0.1%, 200 MiB, 100",
    "above": "limit in the unit of the metric: 50%, 180/s",
    "growth_below": "growth over the soak phase (10%, 1 MiB), or by time (2%/h, 1 MiB/h, 5ms/h)",
    "ratio_below": "limit of candidate to reference: 1.1 (or 110%) allows a tenth more",
    "ratio_above": "the same for what must not be lost: 0.98 of the reference's throughput",
}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the YAML form of a scenario."""
    schema = Scenario.model_json_schema(by_alias=True, mode="validation")
    models = schema["$defs"]
    for model in (schema, *models.values()):
        for key, value in model.get("properties", {}).items():
            _default_as_written(value)
            value["title"] = key
    models["Criterion"]["properties"]["metric"] = {
        "title": "metric",
        "description": "what is judged",
        "oneOf": [{"const": m.name, "description": m.meaning} for m in METRICS.values()],
    }
    for key, description in _LIMITS.items():
        models["Criterion"]["properties"][key]["description"] = description
    models["Criterion"]["oneOf"] = [{"required": [key]} for key in _LIMITS]
    models["Request"]["oneOf"] = [{"required": [method]} for method in METHODS]
    models["Load"]["anyOf"] = [{"required": [key]} for key in ("rate", "users", "pattern")]
    models["Load"]["oneOf"] = [
        {"anyOf": [{"required": ["requests"]}, {"required": ["journeys"]}]},
        {"required": ["locustfile"]},
    ]
    models["Step"]["oneOf"] = [{"required": [key]} for key in (*METHODS, "think")]
    _one_of(models["Capture"], "jsonpath", "regex", "header")
    _one_of(models["Think"], "constant", "uniform", "exponential", "lognormal")
    _one_of(models["Feed"], "csv", "jsonl", "choose", "random", "sequence", "uuid")
    _one_of(models["Auth"], "bearer", "basic")
    _one_of(models["Scrape"], "redis", "prometheus")
    _one_of(models["AlertTo"], "alertmanager", "webhook")
    _short(models["Step"], "think")
    for side in ("Target", "Reference"):
        _short(models[side], "observer")
    for call in ("Request", "Step"):
        _short(models[call], "body")
        parts = models[call]["properties"]["multipart"]["anyOf"][0]["additionalProperties"]
        models[call]["properties"]["multipart"]["anyOf"][0]["additionalProperties"] = {
            "anyOf": [parts, {"type": "string"}]
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "soak scenario",
        "description": "What a soak does and what it is judged by.",
    }


def _one_of(model: dict[str, Any], *keys: str) -> None:
    model["oneOf"] = [{"required": [key]} for key in keys]


def _short(model: dict[str, Any], key: str) -> None:
    """A text in place of the mapping: `think: 2s`."""
    model["properties"][key]["anyOf"].insert(0, {"type": "string"})


def _default_as_written(value: dict[str, Any]) -> None:
    """A default duration is seconds inside, and text with its unit in a file."""
    if isinstance(value.get("default"), float) and value.get("type") == "string":
        value["default"] = units.duration(value["default"]).replace(" ", "")
