"""The dashboards: made here, committed in dashboards/ for those who provision them from files."""

from __future__ import annotations

from soak.publish.grafana.boards.fleet import FLEET
from soak.publish.grafana.boards.oncall import ONCALL
from soak.publish.grafana.boards.reference import REFERENCE
from soak.publish.grafana.boards.run import RUN_IN_DEPTH
from soak.publish.grafana.client import Json

BOARDS = (ONCALL, RUN_IN_DEPTH, REFERENCE, FLEET)


def boards(data_source: str | None = None) -> list[Json]:
    """All of them as Grafana takes them; they begin with that data source (a uid), or with Grafana's default."""
    return [board.model(data_source) for board in BOARDS]
