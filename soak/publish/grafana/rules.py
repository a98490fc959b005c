"""Rules of a Prometheus rules file as rules that Grafana evaluates: written once, evaluated by whom you choose.

A rule of Prometheus fires for each series that its expression gives, whatever the value: so does this. What Grafana
lacks or does otherwise is said in `Converted.lost`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from soak.core.errors import PublishError
from soak.publish.grafana.client import Json

_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_WHOLE = ("y", "w")
"""Units that are written only when nothing is left over."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The rules, and what of the file Grafana cannot be told, a line each."""

    rules: tuple[Json, ...]
    lost: tuple[str, ...]


def rules_of(file: Path, folder: str, data_source: str, receiver: str | None) -> Converted:
    """The alerts of a rules file. Raises PublishError when it is none."""
    try:
        groups = yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
        alerts = [(str(g["name"]), rule) for g in groups for rule in g["rules"] if "alert" in rule]
        recorded = [str(rule["record"]) for g in groups for rule in g["rules"] if "record" in rule]
    except OSError as error:
        raise PublishError(f"--rules {file}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError):
        raise PublishError(f"--rules {file}: not a rules file of Prometheus (`promtool check rules`)") from None
    lost = [f"{name} is recorded by Prometheus: it needs the file too" for name in recorded]
    seen: dict[str, int] = {}
    rules = []
    for group, alert in alerts:
        name = str(alert["alert"])
        seen[name] = seen.get(name, 0) + 1
        title = name if seen[name] == 1 else f"{name} {seen[name]}"  # titles are unique in a folder
        if "keep_firing_for" in alert:
            lost.append(f"{title}: keep_firing_for is left out, it resolves as soon as its condition ends")
        try:
            rules.append(_rule(title, group, alert, folder, data_source, receiver))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise PublishError(
                f"--rules {file}: the alert {name}: not one of Prometheus (`promtool check rules`)"
            ) from None
    return Converted(tuple(rules), tuple(lost))


def _rule(title: str, group: str, alert: dict[str, Any], folder: str, data_source: str, receiver: str | None) -> Json:
    rule: Json = {
        "uid": f"soak-{re.sub(r'[^a-z0-9]+', '-', title.lower()).strip('-')}"[:40],
        "orgID": 1,
        "folderUID": folder,
        "ruleGroup": group,
        "title": title,
        "condition": "fires",
        "data": [
            _node("A", data_source, {"expr": str(alert["expr"]).strip(), "instant": True, "range": False}, since_s=600),
            _node("any", "__expr__", {"type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)"}),
            _node("fires", "__expr__", {
                "type": "threshold", "expression": "any", "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
            }),
        ],
        # without a series nothing fires, as with Prometheus; that soak itself is silent is a rule of its own
        "noDataState": "OK",
        "execErrState": "Error",
        "for": duration(str(alert.get("for", "0s"))),
        "labels": {k: str(v) for k, v in (alert.get("labels") or {}).items()},
        "annotations": {k: _template(str(v)) for k, v in (alert.get("annotations") or {}).items()},
    }  # fmt: skip
    if receiver is not None:
        rule["notification_settings"] = {"receiver": receiver}
    return rule


def _node(ref: str, source: str, model: Json, since_s: int = 0) -> Json:
    window = {"from": since_s, "to": 0}
    return {"refId": ref, "datasourceUid": source, "relativeTimeRange": window, "model": {"refId": ref, **model}}


def _template(text: str) -> str:
    """Grafana's `$value` is a text of all values; the number is that of the query."""
    return re.sub(r"\$value\b", "$values.A.Value", text)


def duration(text: str) -> str:
    """A duration as Grafana writes it back (`90s` is `1m30s`). Raises ValueError when it is none."""
    if not re.fullmatch(r"([0-9]+(ms|[smhdwy]))+", text):
        raise ValueError(text)
    ms = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"([0-9]+)(ms|[smhdwy])", text))
    written = ""
    for unit, size in _UNITS.items():
        if ms >= size and (unit not in _WHOLE or ms % size == 0):
            written += f"{ms // size}{unit}"
            ms %= size
    return written or "0s"
