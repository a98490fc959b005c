"""The parts of a dashboard in Grafana's classic JSON: variables, annotations, panels and how they stand on the grid.

Queries say what they are of with `$of`, the matchers that the dashboard's variables make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from soak.publish.grafana.client import Json

SCHEMA_VERSION = 41
"""Grafana 11.6's; 10 shows it too, later ones migrate it."""

OF_SCRAPE = 'job=~"$job",instance=~"$instance"'
OF_RUN = OF_SCRAPE + ',scenario=~"$scenario"'
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24

Unit = Literal["s", "bytes", "percentunit", "reqps", "short", "none"]
Place = Literal["full", "half", "third", "quarter", "sixth"]
_WIDTH: Mapping[Place, int] = {"full": 24, "half": 12, "third": 8, "quarter": 6, "sixth": 4}

GOOD, WARN, BAD, UNSURE = "green", "orange", "red", "purple"


@dataclass(frozen=True)
class Query:
    """PromQL, and what its series are called. `instant` asks for the last values only, as a table has them."""

    expr: str
    legend: str = "__auto"
    instant: bool = False
    heatmap: bool = False


@dataclass(frozen=True)
class Panel:
    """One panel: what it shows, in which unit, and why one looks at it."""

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: Unit = "short"
    kind: str = "timeseries"
    place: Place = "half"
    height: int = 8
    steps: tuple[tuple[float | None, str], ...] = ()
    """Colours from a value on; the first value is None."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Row:
    """A heading and its panels."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Board:
    """A dashboard. `of` are the matchers that stand for `$of`; `single` lets one scenario be chosen at a time."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    single: bool = False
    endpoints: bool = False
    spans: tuple[str, ...] = ()
    """Lengths of time to choose from as `$span`, and how long ago (`$ago`) to compare with; none, no such choice."""
    time_from: str = "now-6h"

    def model(self, data_source: str | None) -> Json:
        """The dashboard as Grafana takes it; with a data source of its own, or Grafana's default."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["soak"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": False,
            "graphTooltip": 1,
            "refresh": "30s",
            "timezone": "browser",
            "time": {"from": self.time_from, "to": "now"},
            "annotations": {"list": _annotations(self.single)},
            "links": [_links()],
            "templating": {"list": list(self._variables(data_source))},
            "panels": list(_placed(self.rows)),
        }

    def _variables(self, data_source: str | None) -> Iterable[Json]:
        chosen = {"text": "soak", "value": data_source} if data_source is not None else {}
        yield {
            "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
            "current": chosen, "hide": 0, "includeAll": False, "multi": False, "options": [], "refresh": 1, "regex": "",
        }  # fmt: skip
        yield _variable("job", "Job", "label_values(soak_run_info, job)")
        yield _variable("instance", "Instance", 'label_values(soak_run_info{job=~"$job"}, instance)')
        scenarios = f"label_values(soak_run_info{{{OF_SCRAPE}}}, scenario)"
        yield _variable("scenario", "Scenario", scenarios, every=not self.single)
        if self.endpoints:
            found = _variable("endpoint", "Endpoint", f"label_values(soak_latency_seconds{{{OF_RUN}}}, endpoint)")
            yield found | {"current": {"text": ["(all)"], "value": ["(all)"]}}  # all of them merged, as one line
        for name, label in (("span", "Over"), ("ago", "Against, ago")) if self.spans else ():
            options = [{"text": s, "value": s, "selected": s == self.spans[0]} for s in self.spans]
            yield {
                "name": name, "label": label, "type": "custom", "query": ",".join(self.spans), "options": options,
                "current": options[0], "hide": 0, "includeAll": False, "multi": False,
            }  # fmt: skip


def of_run(panel: Panel) -> Panel:
    """The panel with its queries about the chosen runs."""
    return replace(panel, queries=tuple(replace(q, expr=q.expr.replace("$of", OF_RUN)) for q in panel.queries))


def row_of_run(title: str, panels: Iterable[Panel]) -> Row:
    """A row of panels about the chosen runs."""
    return Row(title, tuple(of_run(p) for p in panels))


def of_scrape(panel: Panel) -> Panel:
    """The panel with its queries about the chosen daemons."""
    return replace(panel, queries=tuple(replace(q, expr=q.expr.replace("$of", OF_SCRAPE)) for q in panel.queries))


def stat(title: str, description: str, expr: str, unit: Unit, place: Place = "sixth", **more: Any) -> Panel:
    """One number, large, coloured by its steps."""
    options = {"colorMode": "background", "graphMode": "none", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return Panel(title, description, (Query(expr, instant=True),), unit, "stat", place, 4, options=options, **more)


def lines(title: str, description: str, unit: Unit, *queries: tuple[str, str], **more: Any) -> Panel:
    """Lines over time, one for each series of (query, legend)."""
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    options = {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    return Panel(title, description, tuple(Query(*q) for q in queries), unit, options=options, **more)


def table(title: str, description: str, columns: Sequence[tuple[str, str]], *exprs: str, **more: Any) -> Panel:
    """Rows of labels and values. `columns` are (field, heading): a field is a label, or `Value #A` of a query."""
    names = dict(columns)
    # Grafana names the values after their query when there are several
    values = [f"Value #{'ABCDEF'[i]}" for i in range(len(exprs))] if len(exprs) > 1 else ["Value"]
    hidden = ["Time", "__name__", "job", "instance", *values]
    organised = {
        "id": "organize",
        "options": {
            "excludeByName": {name: True for name in hidden if name not in names},
            "indexByName": {name: i for i, name in enumerate(names)},
            "renameByName": names,
        },
    }
    queries = tuple(Query(e, instant=True) for e in exprs)
    options = {"cellHeight": "sm", "showHeader": True}
    defaults = {"custom": {"cellOptions": {"type": "auto", "wrapText": True}, "filterable": True}}
    return Panel(
        title, description, queries, "short", "table", options=options, defaults=defaults,
        transformations=({"id": "merge", "options": {}}, organised), **more,
    )  # fmt: skip


def column(heading: str, **properties: Any) -> Json:
    """How one column, or one series, looks: `unit`, `width` (pixels), `mappings`, `steps`."""
    ids = {"width": "custom.width", "cell": "custom.cellOptions"}
    made = [
        {"id": "thresholds", "value": _thresholds(v)} if k == "steps" else {"id": ids.get(k, k), "value": v}
        for k, v in properties.items()
    ]
    return {"matcher": {"id": "byName", "options": heading}, "properties": made}


TO_RUN = [
    {
        "title": "This run in depth",
        "url": "/d/soak-run?${datasource:queryparam}&var-scenario=${__value.raw}&from=${__from}&to=${__to}",
    }
]
"""Where the name of a scenario leads."""


def named(values: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Values shown as (text, colour)."""
    options = {v: {"text": text, "color": color, "index": i} for i, (v, (text, color)) in enumerate(values.items())}
    return [{"type": "value", "options": options}]


def _thresholds(steps: Sequence[tuple[float | None, str]]) -> Json:
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def _placed(rows: Iterable[Row]) -> Iterable[Json]:
    number, y = 0, 0
    for row in rows:
        number += 1
        at = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": at, "panels": []}
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            width = _WIDTH[panel.place]
            if x + width > _COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            yield _panel(panel, number, {"h": panel.height, "w": width, "x": x, "y": y})
            x, tallest = x + width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, number: int, at: Json) -> Json:
    defaults: Json = {"unit": panel.unit, **panel.defaults}
    if panel.steps:
        defaults["thresholds"] = _thresholds(panel.steps)
        defaults.setdefault("color", {"mode": "thresholds"})
    if panel.kind == "timeseries":
        defaults.setdefault("custom", {"lineWidth": 1, "fillOpacity": 0, "showPoints": "auto", "spanNulls": False})
        if panel.steps:  # lines keep their own colours: the steps are drawn as areas behind them
            defaults["color"] = {"mode": "palette-classic"}
            defaults["custom"] = {**defaults["custom"], "thresholdsStyle": {"mode": "dashed"}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": SOURCE,
        "gridPos": at,
        "targets": [_target(q, "ABCDEF"[i], panel.kind) for i, q in enumerate(panel.queries)],
        "fieldConfig": {"defaults": defaults, "overrides": list(panel.overrides)},
        "options": dict(panel.options),
        "transformations": list(panel.transformations),
    }


def _target(query: Query, ref: str, kind: str) -> Json:
    form = "table" if kind == "table" else "heatmap" if query.heatmap else "time_series"
    return {
        "refId": ref, "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend, "format": form,
        "instant": query.instant, "range": not query.instant, "editorMode": "code",
    }  # fmt: skip


def _variable(name: str, label: str, query: str, *, every: bool = True) -> Json:
    """A variable of the labels that a query gives; `every`: several, or all of them."""
    more = {"allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]}} if every else {"current": {}}
    return {
        "name": name, "label": label, "type": "query", "datasource": SOURCE, "definition": query,
        "query": {"query": query, "refId": f"variable-{name}"}, "refresh": 2, "sort": 1, "regex": "", "hide": 0,
        "includeAll": every, "multi": every, "options": [], **more,
    }  # fmt: skip


def _annotations(single: bool) -> list[Json]:
    of = ["scenario:$scenario"] if single else []
    return [
        {
            "name": name, "enable": True, "hide": False, "iconColor": color,
            "datasource": {"type": "grafana", "uid": "-- Grafana --"},
            "target": {"type": "tags", "tags": ["soak", f"kind:{kind}", *of], "matchAny": False, "limit": 100},
        }
        for name, kind, color in (("Phases", "phase", "blue"), ("Findings", "finding", "red"),
                                  ("Deploys", "deploy", "purple"))
    ]  # fmt: skip


def _links() -> Json:
    """From each dashboard to the others, with what is chosen and the time."""
    return {
        "type": "dashboards", "tags": ["soak"], "title": "soak", "asDropdown": False, "includeVars": True,
        "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": "",
    }  # fmt: skip
