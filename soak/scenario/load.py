"""From a file to a Scenario, with every fault named by file, line, column and key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from soak.core.errors import Problem, ScenarioError, SoakError
from soak.core.scenario import Scenario
from soak.scenario.data import unusable
from soak.scenario.document import MAX_BYTES, Document, parse
from soak.scenario.problems import place, problems_of


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario and where it came from.

    `raw` is its plain JSON data, from which `Scenario.model_validate` gives the same scenario again;
    `path` stands for the file in messages; `folder` is the base of relative paths.
    """

    scenario: Scenario
    raw: dict[str, Any]
    text: str
    path: str
    folder: Path


def load(path: Path) -> Loaded:
    """Read a scenario file of at most 1 MiB of UTF-8. Raises ScenarioError with every problem found."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    except ValueError:
        raise ScenarioError(repr(str(path)), [Problem("cannot be read: not a file name")]) from None
    if len(content) > MAX_BYTES:
        raise ScenarioError(str(path), [Problem("larger than 1 MiB: not a scenario")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        message = f"not UTF-8 text: byte 0x{content[error.start]:02X}; save the file as UTF-8"
        raise ScenarioError(str(path), [Problem(message, "", line, column)]) from None
    return loads(text, str(path), path.parent)


def loads(text: str, name: str, folder: Path) -> Loaded:
    """Read a scenario from text; `name` stands for the file in messages. Raises ScenarioError.

    Files and folders that the scenario names are looked for in `folder`.
    """
    document = parse(text, name)
    if not isinstance(document.data, dict):
        message = "expected a mapping with name, target, load, phases and criteria"
        raise ScenarioError(name, [Problem(message, "", *document.mark(()))])
    problems = _missing_files(document, folder)
    try:
        scenario = Scenario.model_validate(document.data)
    except ValidationError as error:
        problems += problems_of(error, document)
    else:
        problems += unusable(scenario, document, folder)
    if problems:
        raise ScenarioError(name, sorted(problems, key=lambda p: (p.line, p.column)))
    return Loaded(scenario, document.data, text, name, folder)


def compared_with(loaded: Loaded, run_file: Path) -> Loaded:
    """The scenario with an earlier run as its reference. Raises SoakError when it has one already."""
    if loaded.scenario.reference is not None:
        raise SoakError(f"{loaded.path}: has a reference already, so no other run can be one")
    raw = loaded.raw | {"reference": {"run": str(run_file.resolve())}}
    return replace(loaded, scenario=Scenario.model_validate(raw), raw=raw)


def _missing_files(document: Document, folder: Path) -> list[Problem]:
    """Paths that the scenario names and that are not there; read off the data, which may have other faults."""
    problems = []
    locustfile = document.at(("load", "locustfile"))
    if isinstance(locustfile, str) and "::" in locustfile:
        file = folder / locustfile.partition("::")[0]
        if not _there(file, folder=False):
            problems.append(place(("load", "locustfile"), document, f"no such file: {file}"))
    for side in ("target", "reference"):
        for keys in (("tls", "ca"), ("tls", "cert"), ("tls", "key"), ("observer", "ca")):
            named = document.at((side, *keys))
            if isinstance(named, str) and not _there(folder / named, folder=False):
                problems.append(place((side, *keys), document, f"no such file: {folder / named}"))
    earlier = document.at(("reference", "run"))
    for i, file in enumerate(earlier if isinstance(earlier, list) else [earlier]):
        if isinstance(file, str) and not _there(folder / file, folder=False):
            where: tuple[str | int, ...] = (
                ("reference", "run", i) if isinstance(earlier, list) else ("reference", "run")
            )
            problems.append(place(where, document, f"no such run file: {folder / file}"))
    for side in ("target", "reference"):
        named = document.at((side, "artefact"))
        if isinstance(named, str) and not any(_there(folder / named, folder=kind) for kind in (True, False)):
            problems.append(place((side, "artefact"), document, f"no such file or folder: {folder / named}"))
    for key in ("target", "reference"):
        path = (key, "process", "cwd")
        cwd = document.at(path)
        if isinstance(cwd, str) and not _there(folder / cwd, folder=True):
            problems.append(place(path, document, f"no such folder: {folder / cwd}"))
    return problems


def _there(path: Path, *, folder: bool) -> bool:
    try:
        return path.is_dir() if folder else path.is_file()
    except OSError:  # a name too long for any file
        return False
