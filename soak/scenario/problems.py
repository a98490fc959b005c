"""What pydantic found wrong, in plain words and at the key that it is about."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from soak.core.errors import Problem
from soak.core.scenario import Scenario
from soak.core.target import BESIDE, EARLIER
from soak.scenario.document import Document, Path, dotted

_SUBKEY = re.compile(r"^([a-z_]+(?:\[\d+\])?(?:\.[a-z_]+(?:\[\d+\])?)*): (.*)$", re.DOTALL)
_PART = re.compile(r"([a-z_]+)|\[(\d+)\]")

_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "string_too_short": "text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least one entry",
    "too_long": "at most {max_length} entries",
    "literal_error": "{expected}",
}
"""By pydantic's error type (https://docs.pydantic.dev/latest/errors/validation_errors/)."""

_MISSING: Mapping[str, str] = {
    "name": "a name for the soak, for example `name: checkout`",
    "target": "where load goes, for example `target: {url: http://127.0.0.1:8000}`",
    "load": "the traffic, for example `load: {rate: 50/s, requests: [{get: /}]}`",
    "phases": "how long it takes, for example `phases: {warmup: 1m, soak: 1h}`",
    "criteria": "a list of what decides the run, for example `criteria: [{metric: errors.ratio, below: 1%}]`",
    "url": "for example `url: http://127.0.0.1:8000`",
    "command": "the program to start, for example `command: python -m http.server 8000`",
    "soak": "for example `soak: 1h`",
    "metric": "for example `metric: latency.p99`",
}


def problems_of(error: ValidationError, document: Document) -> list[Problem]:
    """Every fault that the models found, each with the mark and path of its key."""
    found = [p for details in error.errors(include_url=False) for p in _problems(dict(details), document)]
    return [place(path, document, message, of_key=message.startswith("unknown key")) for path, message in found]


def place(path: Path, document: Document, message: str, *, of_key: bool = False) -> Problem:
    """A problem at a path of the document: at its value, or at its key."""
    line, column = document.mark(path, of_key=of_key)
    return Problem(message, dotted(path), line, column)


def _problems(error: dict[str, Any], document: Document) -> list[tuple[Path, str]]:
    path: Path = tuple(part for part in error["loc"] if part not in (BESIDE, EARLIER))
    match error["type"]:
        case "value_error":
            message = str(error["msg"]).removeprefix("Value error, ")
            if not isinstance(document.at(path), dict):
                return [(path, message)]
            return [_split(path, line) for line in message.split("\n")]
        case "extra_forbidden":
            return [(path, _unknown(path))]
        case "missing":
            hint = _MISSING.get(str(path[-1]))
            return [(path, f"is missing; expected {hint}" if hint else "is missing")]
        case "string_pattern_mismatch":
            rule = "letters, digits, dot, dash and underscore, at most 64, beginning with a letter or digit"
            return [(path, f"expected {rule}, got {_shown(error['input'])}")]
    wanted = _EXPECTED.get(error["type"])
    if wanted is None:
        return [(path, str(error["msg"]).replace("Input should be", "expected"))]
    given = _shown(error["input"])
    hint = "; write it in quotes" if error["type"] == "string_type" and _plain(error["input"]) else ""
    return [(path, f"expected {wanted.format_map(error.get('ctx', {}))}, got {given}{hint}")]


def _split(path: Path, message: str) -> tuple[Path, str]:
    """A model's own message may begin with the key below it that is wrong: `timeout: expected ...`."""
    if found := _SUBKEY.match(message):
        parts: Path = tuple(int(index) if index else word for word, index in _PART.findall(found[1]))
        # only a key that the model has: a message may begin with any word and a colon
        if parts[0] in _fields(path):
            return path + parts, found[2]
    return path, message


def _unknown(path: Path) -> str:
    known = sorted(_fields(path[:-1]))
    near = difflib.get_close_matches(str(path[-1])[:100], known, 1)
    return f"unknown key; did you mean `{near[0]}`?" if near else f"unknown key; known are {', '.join(known)}"


def _fields(path: Path) -> set[str]:
    """The keys of the model at a path, as they are written in YAML."""
    model: type[BaseModel] = Scenario
    for part in path:
        if isinstance(part, str):
            by_key = {field.alias or name: field for name, field in model.model_fields.items()}
            inner = _model_in(by_key[part].annotation) if part in by_key else None
            if inner is None:
                return set()
            model = inner
    return {field.alias or name for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in getattr(annotation, "__args__", ()) if (m := _model_in(a)) is not None), None)


def _plain(value: object) -> bool:
    return isinstance(value, (bool, int, float))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(value) if len(value) <= 64 else f"{value[:64]!r}..."
    if _plain(value):
        return f"the number {value}"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a mapping" if isinstance(value, dict) else "nothing"
