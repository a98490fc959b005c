"""A locustfile as far as it can be judged unrun: Locust patches the process that imports it, so soak only reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path


def check_user_class(file: Path, name: str) -> None:
    """Raises ValueError when `file` is no Python, or nothing in it can be called `name`; OSError if it is not there."""
    try:
        module = ast.parse(file.read_bytes())
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    except ValueError as error:  # a null byte
        raise ValueError(f"not Python: {error}") from None
    names = list(_bound(module.body))
    if name not in names and "*" not in names:
        classes = [node.name for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
        near = get_close_matches(name, classes, 1)
        known = f"did you mean {near[0]}?" if near else f"it has {', '.join(classes[:12]) or 'no class'}"
        raise ValueError(f"no class {name!r}; {known}")


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Names that a module binds, whichever branch of it is taken; `*` for what a star import may bring."""
    for node in body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name for alias in names)
            case ast.Assign() | ast.AnnAssign():
                yield from (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                for inner in ("body", "orelse", "finalbody"):
                    yield from _bound(getattr(node, inner, []))
                yield from (name for handler in getattr(node, "handlers", ()) for name in _bound(handler.body))
            case _:
                pass
