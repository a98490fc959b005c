"""YAML with marks: plain data, and where each key and value of it stands in the file.

Only what a scenario needs is read: mappings with text keys, lists, text, whole and decimal numbers,
true, false and null. YAML 1.1's surprises (`on` as true, `1:30` as 90, dates) stay text, so that a
message can say what was written. Duplicate keys are refused, and anchors are bounded: a few lines of
aliases of aliases would otherwise unfold into gigabytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from soak.core.errors import Problem, ScenarioError

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40

Path = tuple[str | int, ...]
Mark = tuple[int, int]
"""Line and column, from 1."""


class _Loader(yaml.SafeLoader):
    """Resolves only null, booleans and numbers; everything else is text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", list("tf")),
    ("tag:yaml.org,2002:int", r"^[-+]?[0-9]{1,18}$", list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
    ("tag:yaml.org,2002:merge", r"^(?:<<)$", ["<"]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True)
class Document:
    """A scenario file as plain data, with the mark of each key and value by its path."""

    data: Any
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, *, of_key: bool = False) -> Mark:
        """Where a path stands; the nearest parent that is written, if it is not."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path:
            if path in self.values:
                return self.values[path]
            path = path[:-1]
        return self.values.get((), (1, 1))


def parse(text: str, name: str) -> Document:
    """Read one YAML document. Raises ScenarioError with line and column."""
    if len(text) > MAX_BYTES:
        raise ScenarioError(name, [Problem(f"larger than {MAX_BYTES // 1000} kB: not a scenario")])
    _refuse_deep_flow(text, name)
    try:
        node = _Loader(text).get_single_node()
    except yaml.YAMLError as error:
        raise ScenarioError(name, [_syntax(error)]) from None
    except (RecursionError, ValueError) as error:
        raise ScenarioError(name, [Problem(f"cannot be read as YAML: {error}")]) from None
    if node is None:
        raise ScenarioError(name, [Problem("is empty: expected a scenario (see `soak init`)")])
    reader = _Reader()
    data = reader.read(node, (), 0)
    if reader.problems:
        raise ScenarioError(name, reader.problems)
    return Document(data, reader.keys, reader.values)


class _Reader:
    def __init__(self) -> None:
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def read(self, node: Node, path: Path, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            if not any("too large" in p.message for p in self.problems):
                self._complain(node, path, "too large or too deep once its anchors are unfolded")
            return None
        self.values[path] = _mark(node)
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [self.read(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                other = self.read(value, path, depth + 1)
                for part in other if isinstance(other, list) else [other]:
                    if isinstance(part, dict):
                        merged = part | merged
                    else:
                        self._complain(value, path, "expected a mapping after <<")
                continue
            if not isinstance(key, ScalarNode):
                self._complain(key, path, "expected a plain word as key")
                continue
            name = str(key.value)
            at = (*path, name)
            if name in found:
                first = self.keys[at][0]
                self._complain(key, at, f"is given twice; it stands in line {first} already")
                continue
            self.keys[at] = _mark(key)
            found[name] = self.read(value, at, depth + 1)
        self.values[path] = _mark(node)
        return merged | found

    def _scalar(self, node: Node, path: Path) -> Any:
        kind, text = node.tag.rpartition(":")[2], str(node.value)
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._complain(node, path, f"the tag {node.tag} is not allowed")
            return None
        if kind == "null":
            return None
        if kind == "bool":
            return text == "true"
        if kind == "int" and re.fullmatch(r"[-+]?[0-9]{1,18}", text):
            return int(text)
        if kind == "float":
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return number
        if kind != "str":
            self._complain(node, path, f"the tag {node.tag} is not allowed")
        return text

    def _complain(self, node: Node, path: Path, message: str) -> None:
        line, column = _mark(node)
        self.problems.append(Problem(message, dotted(path), line, column))


def dotted(path: Path) -> str:
    """`("criteria", 1, "below")` as `criteria[1].below`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _mark(node: Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _refuse_deep_flow(text: str, name: str) -> None:
    """Thousands of nested brackets would exhaust the stack of any recursive YAML reader."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.count("[") + line.count("{") > 500:
            raise ScenarioError(name, [Problem("nested too deeply to be a scenario", "", number, 1)])
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        depth += line.count("[") + line.count("{") - line.count("]") - line.count("}")
        indent = len(line) - len(line.lstrip())
        if depth > 500 or indent > 2000:
            raise ScenarioError(name, [Problem("nested too deeply to be a scenario", "", number, 1)])


def _syntax(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    parts = [getattr(error, "problem", None), getattr(error, "context", None)]
    message = "; ".join(str(p) for p in parts if p) or str(error).splitlines()[0]
    if mark is None:
        return Problem(f"not valid YAML: {message}")
    return Problem(f"not valid YAML: {message}", "", mark.line + 1, mark.column + 1)
