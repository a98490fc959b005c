"""The dashboards: committed as they are made, by the rules of Grafana's dashboard-linter, their queries PromQL."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from soak.publish import names
from soak.publish.grafana.boards import boards
from soak.publish.grafana.boards.__main__ import main, text

FOLDER = Path(__file__).parents[2] / "dashboards"
MODELS = {model["uid"]: model for model in boards()}
Json = dict[str, Any]


def panels(model: Json) -> Iterator[Json]:
    for panel in model["panels"]:
        assert panel["type"] != "row" or panel["panels"] == []
        if panel["type"] != "row":
            yield panel


def targets(model: Json) -> Iterator[tuple[str, Json]]:
    for panel in panels(model):
        for target in panel["targets"]:
            yield panel["title"], target


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Json:
    return MODELS[request.param]


def test_what_is_committed_is_what_is_made(tmp_path: Path) -> None:
    main(tmp_path)
    made = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert made == {p.name: p.read_text() for p in FOLDER.glob("*.json")}, "run `make dashboards`"


def test_the_uid_and_the_schema_are_such_that_grafana_10_to_13_take_them(model: Json) -> None:
    assert re.fullmatch(r"soak-[a-z]+", model["uid"])
    assert len(model["uid"]) <= 40
    assert 39 <= model["schemaVersion"] <= 42
    assert "id" not in model  # another Grafana has another
    assert "version" not in model
    assert "__inputs" not in model  # only an import by hand fills them in


def test_the_linters_rules_of_variables(model: Json) -> None:
    variables = {v["name"]: v for v in model["templating"]["list"]}
    sources = [v for v in variables.values() if v["type"] == "datasource"]
    assert [(v["name"], v["label"], v["query"]) for v in sources] == [("datasource", "Data source", "prometheus")]
    for name in ("job", "instance"):
        found = variables[name]
        assert found["type"] == "query"
        assert found["datasource"]["uid"] == "${datasource}"
        assert found["label"].lower() == name
        assert found["multi"] is True
        assert found["allValue"] == ".+"
    for found in (v for v in variables.values() if v["type"] == "query"):
        assert found["refresh"] == 2, "template-on-time-change-reload"
        assert re.fullmatch(r"label_values\(\w+(\{.*\})?, \w+\)", found["query"]["query"])


def test_the_linters_rules_of_panels(model: Json) -> None:
    assert model["editable"] is False
    for panel in panels(model):
        where = panel["title"]
        assert where, "panel-title-description"
        assert len(panel["description"]) > 10, where
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, where
        assert panel["targets"], where
        assert panel["fieldConfig"]["defaults"]["unit"], where
        assert all(t["datasource"] == panel["datasource"] for t in panel["targets"]), where


def test_the_linters_rules_of_queries(model: Json) -> None:
    for where, target in targets(model):
        expr = target["expr"]
        selectors = re.findall(r"\b(soak_\w+)\{([^}]*)\}", expr)
        assert {name for name, _ in selectors} == set(re.findall(r"\bsoak_\w+", expr)), f"{where}: no bare metric"
        for name, matchers in selectors:
            assert 'job=~"$job"' in matchers, (where, name)
            assert 'instance=~"$instance"' in matchers, (where, name)
            if name.endswith(("_total", "_bucket")):
                wrapped = rf"(rate|increase)\({name}\{{[^}}]*\}}\[\$__rate_interval\]\)"
                assert re.search(wrapped, expr), f"{where}: target-counter-agg, target-rate-interval"
        assert not re.search(r"\b(rate|irate|increase)\([^\[]*\[(?!\$__rate_interval)", expr), where


def test_every_name_and_label_is_one_that_soak_has() -> None:
    known = {family.sample: {*family.labels, "job", "instance"} for family in names.FAMILIES.values()}
    for model in MODELS.values():
        for where, target in targets(model):
            for name, matchers in re.findall(r"\b(soak_\w+)\{([^}]*)\}", target["expr"]):
                assert name in known, where
                assert set(re.findall(r'(\w+)=~?"', matchers)) <= known[name], (where, name)


def test_quantiles_of_different_series_are_never_averaged_or_summed() -> None:
    for model in MODELS.values():
        for where, target in targets(model):
            if "quantile=" in target["expr"]:
                assert not re.search(r"\b(avg|sum|avg_over_time|sum_over_time)\b", target["expr"]), where


def test_panels_do_not_overlap_and_have_numbers_of_their_own(model: Json) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in model["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    numbers = [p["id"] for p in model["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_what_no_other_dashboard_shows_is_there() -> None:
    shown = {uid: " ".join(t["expr"] for _, t in targets(m)) for uid, m in MODELS.items()}
    for name in ("rss", "live", "fragmentation"):
        assert f"soak_memory_{name}" in shown["soak-run"]
        assert f"soak_memory_{name}" in shown["soak-reference"]
    assert 'side="candidate"} / ignoring (side)' in shown["soak-reference"]
    assert "soak_reference_ratio" in shown["soak-reference"]
    assert "[$span] offset $ago" in shown["soak-reference"]
    for name in ("soak_stack_headroom_ratio", "soak_cost_cores", "soak_cost_per_hour", "soak_finding_eta_seconds"):
        assert name in shown["soak-run"]


def test_the_next_step_of_each_finding_is_readable_where_one_looks_first() -> None:
    table = next(p for p in panels(MODELS["soak-oncall"]) if p["type"] == "table")
    organised = next(t for t in table["transformations"] if t["id"] == "organize")["options"]
    order = sorted(organised["indexByName"], key=organised["indexByName"].get)
    headings = [organised["renameByName"][name] for name in order]
    assert headings[:5] == ["Severity", "Scenario", "Cause", "Time left", "Next step"]
    assert table["fieldConfig"]["defaults"]["custom"]["cellOptions"]["wrapText"] is True
    assert table["gridPos"]["y"] < 12, "on the first screen"


def resolved(expr: str) -> str:
    """A query as Prometheus sees it, with all of everything chosen and short times."""
    names = {"__rate_interval": "1m", "span": "5m", "ago": "5m"}
    return re.sub(r"\$(\w+)", lambda m: names.get(m[1], ".+"), expr)


def test_every_query_is_promql(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    exprs = sorted({resolved(t["expr"]) for m in MODELS.values() for _, t in targets(m)})
    rules = [{"record": f"query:{i}", "expr": expr} for i, expr in enumerate(exprs)]
    file = tmp_path / "rules.yml"

    def check(extra: list[Json]) -> int:
        file.write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": rules + extra}]}))
        return subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, timeout=60).returncode

    assert check([{"record": "query:broken", "expr": "sum(up"}]) != 0
    assert check([]) == 0, subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True
    ).stdout


def test_a_file_ends_with_one_new_line() -> None:
    assert all(text(m).endswith("}\n") and json.loads(text(m)) == m for m in MODELS.values())
