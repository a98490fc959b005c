"""YAML with marks: plain data, and where each key and value of it stands in the file.

Only what a scenario needs is read: mappings with text keys, lists, text, decimal numbers, true, false
and null, as in the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema). The
surprises of YAML 1.1 (`on` and `no` as booleans, `1:30` as 90, `010` as 8, dates) stay text, so that a
message can say what was written. Tags that would build objects are refused, and so are duplicate keys.
Size, depth and number of nodes are bounded while reading: a few lines of aliases of aliases would
otherwise unfold into gigabytes, and a page of brackets would exhaust the stack.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from soak.core.errors import Problem, ScenarioError

MAX_BYTES = 2**20
MAX_NODES = 50_000
"""Keys and values, once aliases are unfolded."""
MAX_DEPTH = 40
MAX_DIGITS = 18
"""Whole numbers of up to so many digits fit into 64 bits."""

Path = tuple[str | int, ...]
Mark = tuple[int, int]
"""Line and column, from 1."""

_TAG = "tag:yaml.org,2002:"
_KINDS: dict[type[Node], str] = {MappingNode: "map", SequenceNode: "seq"}


class _Loader(yaml.SafeLoader):
    """Resolves only null, booleans and decimal numbers; stops at a file that is too large or deep."""

    def __init__(self, text: str, *, aliases: bool) -> None:
        self._nodes = 0
        self._depth = 0
        self._aliases = aliases
        super().__init__(text)

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES or self._depth > MAX_DEPTH:
            what = "nested too deeply" if self._depth > MAX_DEPTH else "too large"
            raise yaml.MarkedYAMLError(problem=f"{what} to be a scenario", problem_mark=self.get_mark())
        if not self._aliases and self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias may not be in it", problem_mark=self.get_mark())
        node: Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _kind, _pattern, _first in (
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$",
        list("-+.0123456789"),
    ),
    ("merge", r"^(?:<<)$", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(_pattern), _first)


@dataclass(frozen=True, slots=True)
class Document:
    """A scenario file as plain JSON data, with the mark of each key and value by its path.

    What came through an alias or a merge key has the mark of where it is written.
    """

    data: Any
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)

    def mark(self, path: Path, *, of_key: bool = False) -> Mark:
        """Where a path stands; the nearest parent that is written, if it is not."""
        if of_key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def at(self, path: Path) -> Any:
        """The data at a path that is written; None if it is not."""
        found = self.data
        for part in path:
            try:
                found = found[part]
            except (KeyError, IndexError, TypeError):
                return None
        return found


def parse(text: str, name: str, *, aliases: bool = True) -> Document:
    """Read one YAML document. Raises ScenarioError with line and column.

    Without `aliases`, reading takes no longer than the text is long: each of them may stand for most of it.
    """
    if len(text) > MAX_BYTES:
        raise ScenarioError(name, [Problem("larger than 1 MiB: not a scenario")])
    loader = None
    try:
        loader = _Loader(text, aliases=aliases)
        node = loader.get_single_node()
    except ReaderError as error:
        before = text[: int(error.position)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        code = f"U+{int(error.character):04X}"
        raise ScenarioError(name, [Problem(f"the character {code} is not allowed", "", line, column)]) from None
    except yaml.YAMLError as error:
        raise ScenarioError(name, [_syntax(error)]) from None
    except (ValueError, OverflowError) as error:  # pyyaml on escapes beyond Unicode, such as "\UFFFFFFFF"
        mark = loader.get_mark() if loader is not None else yaml.Mark(name, 0, 0, 0, None, 0)
        problem = Problem(f"not valid YAML: {error}", "", mark.line + 1, mark.column + 1)
        raise ScenarioError(name, [problem]) from None
    if node is None:
        raise ScenarioError(name, [Problem("is empty: expected a scenario (`soak init` writes one to start from)")])
    reader = _Reader()
    try:
        data = reader.read(node, (), 0)
    except _TooLargeError as error:
        raise ScenarioError(name, [error.problem]) from None
    if reader.problems:
        raise ScenarioError(name, sorted(reader.problems, key=lambda p: (p.line, p.column)))
    return Document(data, reader.keys, reader.values)


def dotted(path: Path) -> str:
    """`("criteria", 1, "below")` as `criteria[1].below`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if part.isprintable() else repr(part)
            text += f".{word}" if text else word
    return text


class _TooLargeError(Exception):
    def __init__(self, problem: Problem) -> None:
        self.problem = problem


class _Reader:
    """Unfolds nodes into data, noting marks and collecting every problem on the way."""

    def __init__(self) -> None:
        self.keys: dict[Path, Mark] = {}
        self.values: dict[Path, Mark] = {}
        self.problems: list[Problem] = []
        self._nodes = 0

    def read(self, node: Node, path: Path, depth: int) -> Any:
        self._count(node, depth)
        self.values[path] = _mark(node)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag != _TAG + _KINDS[type(node)]:
            self._complain(node, path, f"the tag {_short_tag(node)} is not allowed")
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        return [self.read(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]

    def _count(self, node: Node, depth: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            what = "too deep" if depth > MAX_DEPTH else "too large"
            raise _TooLargeError(Problem(f"{what} once its aliases are unfolded", "", *_mark(node)))

    def _mapping(self, node: MappingNode, path: Path, depth: int) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:  # first, so that the mapping's own keys and their marks win
            if key.tag == _TAG + "merge":
                self._merge(value, path, depth + 1, data)
        own: set[str] = set()
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                continue
            name = self._key(key, path, own)
            if name is None:
                continue
            own.add(name)
            self.keys[*path, name] = _mark(key)
            data[name] = self.read(value, (*path, name), depth + 1)
        return data

    def _merge(self, node: Node, path: Path, depth: int, data: dict[str, Any]) -> None:
        """`<<: *defaults` or a list of mappings, whose first one wins (https://yaml.org/type/merge.html)."""
        self._count(node, depth)
        for source in reversed(node.value) if isinstance(node, SequenceNode) else [node]:
            if isinstance(source, MappingNode):
                self._count(source, depth)
                data |= self._mapping(source, path, depth)
            else:
                self._complain(source, path, "expected a mapping, or a list of mappings, after <<")

    def _key(self, node: Node, path: Path, own: set[str]) -> str | None:
        if not isinstance(node, ScalarNode):
            self._complain(node, path, "expected a plain word as a key")
            return None
        name = str(node.value)
        if node.tag != _TAG + "str":
            what = f'the key {name or "null"} is not text: write "{name}" in quotes if it is meant so'
            self._complain(node, path, what)
            return None
        if name in own:
            first = self.keys[*path, name][0]
            self._complain(node, (*path, name), f"is given twice; it stands in line {first} already")
            return None
        return name if self._printable(node, path) else None

    def _scalar(self, node: ScalarNode, path: Path) -> Any:
        text = str(node.value)
        match node.tag.removeprefix(_TAG):
            case "str" | "merge":
                return text if self._printable(node, path) else None
            case "null" if text in ("", "~") or text.lower() == "null":
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int" if re.fullmatch(r"[-+]?[0-9]+", text):
                if len(text.lstrip("+-")) <= MAX_DIGITS:
                    return int(text)
                self._complain(node, path, f"the number has more than {MAX_DIGITS} digits")
            case "float" if re.fullmatch(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?", text) and text.count(".") < 2:
                number = float(text)
                if abs(number) < 1e300:
                    return number
                self._complain(node, path, "the number is too large")
            case _:
                self._complain(node, path, f"the tag {_short_tag(node)} is not allowed here")
        return None

    def _printable(self, node: ScalarNode, path: Path) -> bool:
        """YAML's escapes can spell what no program, path or terminal takes: control codes, halves of characters."""
        bad = next((c for c in node.value if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r"), None)
        if bad is not None:
            self._complain(node, path, f"the character U+{ord(bad):04X} is not allowed")
        return bad is None

    def _complain(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(Problem(message, dotted(path), *_mark(node)))


def _short_tag(node: Node) -> str:
    tag = str(node.tag)
    return f"!!{tag.removeprefix(_TAG)}" if tag.startswith(_TAG) else tag


def _mark(node: Node) -> Mark:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _syntax(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    parts = [getattr(error, "problem", None), getattr(error, "context", None)]
    message = "; ".join(str(p) for p in parts if p) or str(error).splitlines()[0]
    message = message if message.endswith("to be a scenario") else f"not valid YAML: {message}"
    return Problem(message, "", mark.line + 1, mark.column + 1) if mark is not None else Problem(message)


def scalar(value: str | int) -> str:
    """A value as YAML: a JSON string is a quoted scalar, but for line ends that only YAML knows (U+0085, U+2028)."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
