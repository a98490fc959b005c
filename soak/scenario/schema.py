"""The JSON Schema of a scenario, for editors that complete and check while one types.

It is made from the models, so it cannot fall behind them; what they check in code (one of several keys,
metric names, limits) is added here, as far as an editor can use it. The models have the last word.
"""

from __future__ import annotations

from typing import Any

from soak.core import units
from soak.core.metrics import METRICS
from soak.core.scenario import METHODS, Scenario

_LIMITS = {
    "below": "limit in the unit of the metric: 50ms, 0.1%, 200 MiB, 100",
    "above": "limit in the unit of the metric: 50%, 180/s",
    "growth_below": "growth over the soak phase (10%, 1 MiB), or by time (2%/h, 1 MiB/h, 5ms/h)",
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
        "oneOf": [{"const": m.name, "description": m.meaning} for m in METRICS.values() if m.measured],
    }
    for key, description in _LIMITS.items():
        models["Criterion"]["properties"][key]["description"] = description
    models["Criterion"]["oneOf"] = [{"required": [key]} for key in _LIMITS]
    models["Request"]["oneOf"] = [{"required": [method]} for method in METHODS]
    models["Load"]["anyOf"] = [{"required": ["rate"]}, {"required": ["users"]}]
    models["Load"]["oneOf"] = [{"required": ["requests"]}, {"required": ["locustfile"]}]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "soak scenario",
        "description": "What a soak does and what it is judged by.",
    }


def _default_as_written(value: dict[str, Any]) -> None:
    """A default duration is seconds inside, and text with its unit in a file."""
    if isinstance(value.get("default"), float) and value.get("type") == "string":
        value["default"] = units.duration(value["default"]).replace(" ", "")
