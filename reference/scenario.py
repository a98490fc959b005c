"""The page of scenarios: every key, from the JSON Schema that editors use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reference import markdown
from reference.schema import keys, section_of
from soak.core import units
from soak.core.units import Dimension
from soak.scenario import json_schema

_QUANTITIES: Mapping[str, Dimension] = {"duration": "time", "rate": "rate", "size": "bytes", "share": "ratio"}
_TYPES = {"metric": "one of the [Metrics](metrics.md)"}


def page() -> str:
    """docs/reference/scenario.md."""
    schema = json_schema()
    models = schema["$defs"]
    places: dict[str, str] = {}
    for name, place in _reached(schema, models, ""):
        places.setdefault(name, place)

    def link(ref: str) -> str:
        return places[section_of(ref)]

    sections = [
        f"## {place}\n\n{_about(models[name])}\n\n{keys(models[name], _TYPES, link)}" for name, place in places.items()
    ]
    quantities = (f"a {name} is {units.EXAMPLES[dimension]}" for name, dimension in _QUANTITIES.items())
    return markdown.page(
        "Scenario",
        "A scenario is one YAML file. Unknown keys are refused with file, line and column; `soak check FILE` says in "
        "plain words what it would do. `soak check --schema` prints the JSON Schema that this page is made from, for "
        "editors that complete and check. How the keys are used: [Traffic](../traffic.md), "
        "[Against a reference](../reference-runs.md), [Concepts](../concepts.md).",
        f"Quantities are text with a unit: {'; '.join(quantities)}.",
        "## The whole\n\n" + keys(schema, _TYPES, link),
        *sections,
    )


def _about(model: Mapping[str, Any]) -> str:
    about = markdown.sentence(model.get("description", ""))
    alternatives = [one["required"][0] for one in model.get("oneOf", ()) if len(one.get("required", ())) == 1]
    if len(alternatives) > 1 and len(alternatives) == len(model["oneOf"]):
        return f"{about} Exactly one of {', '.join(map(markdown.code, alternatives))}."
    return about


def _reached(node: Any, models: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """The models, each with the key that it stands under, in the order in which a reader meets them."""
    if isinstance(node, list):
        for value in node:
            yield from _reached(value, models, place)
        return
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        name = section_of(node["$ref"])
        yield name, _apart(name, place)
        yield from _reached(models[name], models, place)
    for key, value in node.get("properties", {}).items():
        yield from _reached(value, models, f"{place}.{key}".lstrip("."))
    yield from _reached(node.get("additionalProperties"), models, f"{place}.NAME")
    for key in ("items", "anyOf", "oneOf"):
        yield from _reached(node.get(key), models, place)


def _apart(name: str, place: str) -> str:
    """Two models may stand under one key: the reference that is soaked, and the runs that were."""
    return f"{place} (earlier runs)" if name == "EarlierRuns" else place
