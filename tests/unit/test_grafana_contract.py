"""The contract that the stand-in is held to: it refuses what Grafana refuses, and nothing that Grafana takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from soak.publish.grafana.rules import rules
from tests.grafana_contract import DOCUMENT, contract

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason=f"Grafana's OpenAPI document is not there: {DOCUMENT}")

_NOW = 1_767_225_600_000
_BOARD = {"uid": "soak-run", "title": "soak"}
_RULE = rules("soak", "prometheus", "soak")[0]
_POINT = {"uid": "x", "name": "soak", "type": "webhook", "settings": {"url": "https://hooks.example"}}


def refused(method: str, path: str, body: Any = None, auth: bool = True) -> str:
    headers = {"Content-Type": "application/json"} | ({"Authorization": "Bearer glsa"} if auth else {})
    data = json.dumps(body).encode() if body is not None else b""
    return contract().request(method, f"/api{path}", {}, headers, data)


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/dashboards/db", {"dashboard": _BOARD, "folderUid": "soak", "overwrite": False}),
        ("POST", "/annotations", {"time": _NOW, "timeEnd": _NOW + 1, "text": "soak", "tags": ["soak"]}),
        ("PATCH", "/annotations/7", {"timeEnd": _NOW}),
        ("POST", "/v1/provisioning/alert-rules", _RULE),
        ("POST", "/v1/provisioning/alert-rules", _RULE | {"noDataState": "KeepLast", "for": "1m30s"}),
        ("POST", "/v1/provisioning/contact-points", _POINT),
    ],
)
def test_what_grafana_takes_is_taken(method: str, path: str, body: Any) -> None:
    assert refused(method, path, body) == ""


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", "/dashboards/db", {}),
        ("POST", "/dashboards/db", {"dashboard": "soak"}),
        ("POST", "/dashboards/db", {"dashboard": {"title": "soak"}}),
        ("POST", "/dashboards/db", {"dashboard": _BOARD | {"uid": "x" * 41}}),
        ("POST", "/dashboards/db", {"dashboard": _BOARD, "overwrite": "yes"}),
        ("POST", "/dashboards/db", {"dashboard": _BOARD, "folder": "soak"}),
        ("POST", "/annotations", {"time": _NOW}),
        ("POST", "/annotations", {"time": _NOW / 1000, "text": "seconds, and a fraction"}),
        ("POST", "/annotations", {"time": _NOW // 1000, "text": "seconds"}),
        ("POST", "/annotations", {"time": _NOW, "text": "x", "tags": "soak"}),
        ("POST", "/folders", {"uid": "soak", "title": 7}),
        ("POST", "/v1/provisioning/alert-rules", _RULE | {"for": "PT5M"}),
        ("POST", "/v1/provisioning/alert-rules", {k: v for k, v in _RULE.items() if k != "data"}),
        ("POST", "/v1/provisioning/contact-points", _POINT | {"type": " webhook"}),
        ("GET", "/nothing/there", None),
    ],
)
def test_what_grafana_refuses_is_refused(method: str, path: str, body: Any) -> None:
    assert refused(method, path, body) != ""


def test_all_but_health_needs_a_token() -> None:
    assert refused("GET", "/folders", auth=False) != ""
    assert refused("GET", "/health", auth=False) == ""


def test_answers_are_held_to_it_too() -> None:
    def wrong(status: int, body: Any) -> str:
        return contract().answer("POST", "/api/annotations", {}, status, json.dumps(body).encode())

    assert wrong(200, {"id": 7, "message": "Annotation added"}) == ""
    assert wrong(200, {"message": "Annotation added"}) != ""
    assert wrong(403, {"text": "no message"}) != ""
    assert wrong(418, {"message": "not one of its statuses"}) != ""
    assert wrong(429, {"message": "a proxy's"}) == ""
