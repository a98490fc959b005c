"""A Grafana for tests: the stand-in, and a real one too where $SOAK_GRAFANA_URL says there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from soak.publish.grafana.client import Grafana
from tests.grafana_contract import DOCUMENT
from tests.grafana_standin import TOKEN, StandIn, standing_in

REAL = os.environ.get("SOAK_GRAFANA_URL")


@dataclass(frozen=True)
class There:
    url: str
    token: str

    def client(self) -> Grafana:
        return Grafana(self.url, self.token, lambda _: None)


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """A stand-in; a request or an answer that is not as Grafana's document has it fails the test."""
    if not DOCUMENT.exists():
        pytest.skip(f"Grafana's OpenAPI document is not there: {DOCUMENT} (or $SOAK_GRAFANA_OPENAPI)")
    with standing_in() as state:
        yield state
        assert state.faults == []


@pytest.fixture(params=["stand-in", *(["real"] if REAL else [])])
def there(request: pytest.FixtureRequest) -> There:
    """Any Grafana."""
    if request.param == "real":
        return There(str(REAL), os.environ["SOAK_GRAFANA_TOKEN"])
    return There(request.getfixturevalue("standin").url, TOKEN)
