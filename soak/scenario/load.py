"""From a file to a Scenario, with every fault named by file, line, column and key."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from soak.core.errors import Problem, ScenarioError
from soak.core.scenario import Scenario
from soak.scenario.document import Document, dotted, parse

_SUBKEY = re.compile(r"^((?:[a-z_]+(?:\[\d+\])?)(?:\.[a-z_]+(?:\[\d+\])?)*): (.*)$", re.DOTALL)
_PART = re.compile(r"([a-z_]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario and where it came from. `raw` is its plain data; `folder` the base of relative paths."""

    scenario: Scenario
    raw: dict[str, Any]
    text: str
    path: str
    folder: Path


def load(path: Path) -> Loaded:
    """Read a scenario file. Raises ScenarioError."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ScenarioError(str(path), [Problem(f"is not UTF-8 text (byte {error.start})")]) from None
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    return loads(text, str(path), path.parent)


def loads(text: str, name: str, folder: Path) -> Loaded:
    """Read a scenario from text; `name` stands for the file in messages. Raises ScenarioError."""
    document = parse(text, name)
    if not isinstance(document.data, dict):
        raise ScenarioError(
            name, [Problem("expected a mapping with name, target, load, phases and criteria")]
        )
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(dict(e), document) for e in error.errors(include_url=False)]
        raise ScenarioError(name, sorted(problems, key=lambda p: (p.line, p.column))) from None
    problems = _missing_files(scenario, document, folder)
    if problems:
        raise ScenarioError(name, problems)
    return Loaded(scenario, document.data, text, name, folder)


def _problem(error: dict[str, Any], document: Document) -> Problem:
    """One pydantic error in plain words, at the key that it is about."""
    path: tuple[str | int, ...] = tuple(error["loc"])
    kind, message = error["type"], str(error["msg"])
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
        if found := _SUBKEY.match(message):
            parts = tuple(int(n) if n else word for word, n in _PART.findall(found[1]))
            # only a key that the model has: a message may begin with any word and a colon
            if parts and (path + parts in document.values or _is_field(path, parts)):
                path, message = path + parts, found[2]
    elif kind == "extra_forbidden":
        return _at(path, document, _unknown(path), of_key=True)
    elif kind == "missing":
        message = "is missing"
    elif kind in ("none_required",):
        message = "not supported yet"
    else:
        given = error.get("input")
        message = message.replace("Input should be", "expected")
        if isinstance(given, (str, int, float, bool)):
            message += f", got {given!r}"
        elif kind.endswith("_type"):
            message += f", got {_kind(given)}"
    return _at(path, document, message, of_key=False)


def _at(path: tuple[str | int, ...], document: Document, message: str, *, of_key: bool) -> Problem:
    line, column = document.mark(path, of_key=of_key)
    return Problem(message, dotted(path), line, column)


def _unknown(path: tuple[str | int, ...]) -> str:
    known = sorted(_fields(path[:-1]))
    near = difflib.get_close_matches(str(path[-1]), known, 1)
    return f"unknown key; did you mean `{near[0]}`?" if near else f"unknown key; known are {', '.join(known)}"


def _is_field(path: tuple[str | int, ...], parts: tuple[str | int, ...]) -> bool:
    return isinstance(parts[0], str) and parts[0] in _fields(path)


def _fields(path: tuple[str | int, ...]) -> set[str]:
    """The keys of the model at a path, as they are written in YAML."""
    model: type[BaseModel] = Scenario
    for part in path:
        if isinstance(part, str):
            by_key = {f.alias or name: f for name, f in model.model_fields.items()}
            field = by_key.get(part)
            inner = _model_in(field.annotation) if field is not None else None
            if inner is None:
                return set()
            model = inner
    return {f.alias or name for name, f in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", type(None): "nothing"}
    return names.get(type(value), type(value).__name__)


def _missing_files(scenario: Scenario, document: Document, folder: Path) -> list[Problem]:
    """Paths that the scenario names and that are not there."""
    problems = []
    if scenario.load.locustfile is not None:
        file = folder / scenario.load.locustfile.partition("::")[0]
        if not file.is_file():
            problems.append(_at(("load", "locustfile"), document, f"no such file: {file}", of_key=False))
    for key, target in (("target", scenario.target), ("reference", scenario.reference)):
        if target is not None and target.process is not None and not (folder / target.process.cwd).is_dir():
            text = f"no such folder: {folder / target.process.cwd}"
            problems.append(_at((key, "process", "cwd"), document, text, of_key=False))
    return problems
