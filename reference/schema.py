"""JSON Schema in words: the type, the default and the meaning of each key of an object."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from reference.markdown import code, sentence, slug, table

Node = Mapping[str, Any]
_QUANTITIES = {r"(us|µs|ms|s|m|min|h|d)\s*$": "duration", r"/\s*(s|sec|m|min|h|d)\s*$": "rate"}


def section_of(ref: str) -> str:
    """The heading under which what a `$ref` names is told."""
    return ref.rpartition("/")[2]


def type_of(node: Node, link: Callable[[str], str] = section_of) -> str:
    """The type as a person would say it; `link` gives the heading that a `$ref` leads to."""
    if "$ref" in node:
        heading = link(node["$ref"])
        return f"[{heading}](#{slug(heading)})"
    for key in ("anyOf", "oneOf"):
        if key in node:
            kinds = [type_of(one, link) for one in node[key]]
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null")) or "null"
    if "const" in node:
        return code(json.dumps(node["const"]).strip('"'))
    if "enum" in node:
        return ", ".join(code(value) for value in node["enum"])
    return _plain(node, link)


def _plain(node: Node, link: Callable[[str], str]) -> str:
    match node.get("type"):
        case "array":
            several = node.get("prefixItems")
            inner = " and ".join(type_of(one, link) for one in several) if several else type_of(node["items"], link)
            return f"list of {inner}"
        case "object" if isinstance(node.get("additionalProperties"), dict):
            return f"mapping of names to {type_of(node['additionalProperties'], link)}"
        case "string" if "pattern" in node:
            known = (name for end, name in _QUANTITIES.items() if node["pattern"].endswith(end))
            return next(known, "text")
        case "string":
            return "text"
        case "integer" | "number" as kind:
            return f"{'whole number' if kind == 'integer' else 'number'}{_bounds(node)}"
        case "boolean":
            return "true or false"
        case ["string", "number"]:
            return "quantity"
        case list() as kinds:
            return " or ".join(type_of({**node, "type": kind}, link) for kind in kinds if kind != "null")
        case "null":
            return "null"
        case _:
            return "anything" if node.get("type") is None else str(node["type"])


def _bounds(node: Node) -> str:
    low, high, above = node.get("minimum"), node.get("maximum"), node.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if above is not None:
        return f", more than {above:g}" + (f", up to {high:,}" if high is not None else "")
    return f", {low:,} or more" if low is not None else ""


def default_of(key: str, value: Node, model: Node) -> str:
    """`required`, the default as it is written in a file, or nothing where leaving it out means none."""
    if key in model.get("required", ()):
        return "required"
    default = value.get("default")
    if default is None or isinstance(default, (dict, list)):
        return ""
    return code(default if isinstance(default, str) else json.dumps(default))


def keys(
    model: Node, types: Mapping[str, str] | None = None, link: Callable[[str], str] = section_of, column: str = "key"
) -> str:
    """The table of the keys of an object; `types` says other types than the schema."""
    rows = [
        (
            code(key),
            (types or {}).get(key) or type_of(value, link),
            default_of(key, value, model),
            sentence(value.get("description", "")),
        )
        for key, value in model.get("properties", {}).items()
    ]
    return table((column, "type", "default", "meaning"), rows)
