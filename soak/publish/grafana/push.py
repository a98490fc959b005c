"""Having in Grafana what soak wants there: looked at, said, and then written where it differs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from soak.publish.grafana.client import Grafana, Json
from soak.publish.grafana.resources import Resource, shown

Change = Literal["create", "update", "same"]


@dataclass(frozen=True, slots=True)
class Step:
    """What there is to do for one resource; `diff` is unified, from what Grafana has to what soak wants."""

    resource: Resource
    change: Change
    diff: str


def plan(grafana: Grafana, resources: Iterable[Resource]) -> list[Step]:
    """Look at everything before anything is written: what is not soak's to touch stops all of it (PublishError)."""
    return [_step(grafana, resource) for resource in resources]


def apply(grafana: Grafana, steps: Iterable[Step]) -> None:
    """Write what differs, in order. Done again it writes nothing."""
    for step in steps:
        if step.change != "same":
            step.resource.write(grafana)


def _step(grafana: Grafana, resource: Resource) -> Step:
    found, wanted = resource.find(grafana), resource.wanted()
    if found == wanted:
        return Step(resource, "same", "")
    before, after = (_lines(shown(resource, x)) if x is not None else [] for x in (found, wanted))
    diff = "\n".join(difflib.unified_diff(before, after, "in Grafana", resource.name, n=2, lineterm=""))
    return Step(resource, "create" if found is None else "update", diff)


def _lines(data: Json) -> list[str]:
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
