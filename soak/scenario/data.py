"""What a scenario reads besides itself: feeds, traces, bodies, and the environment. All is tried before a run.

A run must not find out in the night that row 70,000 has no password.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from soak.core.alerting import address_fault
from soak.core.errors import Problem, ScenarioError
from soak.core.feedfile import cell, read_rows
from soak.core.pattern import read_trace
from soak.core.scenario import Scenario
from soak.core.traffic import Feed
from soak.scenario.document import Document
from soak.scenario.document import Path as KeyPath
from soak.scenario.locustfile import check_user_class
from soak.scenario.problems import place

_KEY_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def unusable(scenario: Scenario, document: Document, folder: Path) -> list[Problem]:
    """Files of the load that are not there or not what they should be, each at the key that names it."""
    load = scenario.load
    wanted: dict[str, set[str]] = {}
    for p in load.placeholders:
        if p.column is not None:
            wanted.setdefault(p.name, set()).add(p.column)
    problems = []
    for key, file in load.files.items():
        path = _path(f"load.{key}")
        try:
            if path[1] == "feeds":
                _check_feed(load.feeds[str(path[2])], wanted.get(str(path[2]), set()), folder)
            elif path[1] == "pattern":
                read_trace(folder / file)
            elif path[1] == "locustfile":
                check_user_class(folder / file, (load.locustfile or "").partition("::")[2])
            else:
                (folder / file).open("rb").close()
        except OSError as error:
            if path[1] != "locustfile":  # that it is not there was said, whatever else is wrong
                problems.append(place(path, document, f"{folder / file}: {error.strerror or error}"))
        except ValueError as error:
            problems.append(place(path, document, f"{folder / file}: {error}"))
    return problems


def refuse_unset(scenario: Scenario, name: str) -> None:
    """Raises ScenarioError when an environment variable is not set that something wants, or holds no address."""
    wanted = [p.name for p in scenario.load.placeholders if p.kind == "env"]
    wanted += [t.observer.variable for t in scenario.sides.values() if t.observer is not None and t.observer.token]
    wanted += [t.scrape.variable for t in scenario.sides.values() if t.scrape is not None and t.scrape.variable]
    wanted += [v for to in scenario.alerts for v in to.variables.values()]
    missing = sorted(name for name in wanted if name not in os.environ)
    if missing:
        raise ScenarioError(name, [Problem(f"the environment variable {v} is not set") for v in dict.fromkeys(missing)])
    addresses = [v for to in scenario.alerts for k, v in to.variables.items() if k in ("alertmanager", "webhook")]
    for variable in dict.fromkeys(addresses):  # what it holds is never shown: who knows a webhook may post there
        if fault := address_fault(os.environ[variable], base=False):
            raise ScenarioError(name, [Problem(f"the environment variable {variable}: {fault}")])


def _check_feed(feed: Feed, columns: set[str], folder: Path) -> None:
    for number, row in enumerate(read_rows(feed, folder), 1):
        for column in columns:
            try:
                cell(row, column)
            except KeyError:
                known = ", ".join(list(row)[:12])
                raise ValueError(f"row {number} has no {column!r}; it has {known}") from None


def _path(dotted: str) -> KeyPath:
    return tuple(int(index) if index else word for word, index in _KEY_PART.findall(dotted))
