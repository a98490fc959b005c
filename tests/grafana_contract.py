"""Grafana's own OpenAPI document, corrected where Grafana does otherwise than it says, and checked with openapi-core.

The document is Grafana's (AGPL) and no part of this repository: it is looked for in $SOAK_GRAFANA_OPENAPI, and beside
the repository.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

_BESIDE = Path(__file__).parents[2] / "shared" / "grafana" / "openapi-11.4.0-subset.json"
DOCUMENT = Path(os.environ.get("SOAK_GRAFANA_OPENAPI", _BESIDE))
_UNSAID = {401, 403, 409, 429, 500, 502, 503, 504}
"""Refusals that the document leaves out here and there; where it has them they are checked."""


@cache
def contract() -> Contract:
    """The one contract: it takes a while to read."""
    return Contract(json.loads(DOCUMENT.read_text()))


class Contract:
    """What requests and answers must be like. Both checks give what is wrong, or nothing."""

    def __init__(self, document: dict[str, Any]) -> None:
        _correct(document)
        self._api = OpenAPI.from_dict(document)

    def request(self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes) -> str:
        request = _request(method, path, query, headers, body)
        try:
            self._api.validate_request(request)
        except OpenAPIError as error:
            return f"request {method} {path} {body[:300]!r}: {_why(error)}"
        return ""

    def answer(self, method: str, path: str, query: dict[str, Any], status: int, body: bytes) -> str:
        request = _request(method, path, query, {"Authorization": "Bearer x"}, b"")
        try:
            self._api.validate_response(
                request, MockResponse(body, status_code=status, content_type="application/json")
            )
        except OpenAPIError as error:
            if status in _UNSAID and type(error.__cause__ or error).__name__ == "ResponseNotFound":
                return ""
            return f"answer {status} to {method} {path} {body[:300]!r}: {_why(error)}"
        return ""


def _request(method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes) -> MockRequest:
    return MockRequest(
        "http://grafana", method.lower(), path, args=query, headers=headers, data=body or None,
        content_type=headers.get("Content-Type", "application/json"),
    )  # fmt: skip


def _why(error: BaseException) -> str:
    parts, seen = [], error
    while seen is not None:
        parts.append(f"{type(seen).__name__}: {seen}")
        details = getattr(seen, "schema_errors", ())
        parts += [f"{'/'.join(map(str, d.path))}: {d.message}"[:300] for d in details]
        seen = seen.__cause__  # type: ignore[assignment]
    return "; ".join(parts)


def _correct(document: dict[str, Any]) -> None:
    """Where Grafana's document is wrong or too weak, as tried against it."""
    schemas = document["components"]["schemas"]
    rule, point = schemas["ProvisionedAlertRule"]["properties"], schemas["EmbeddedContactPoint"]["properties"]
    rule["for"] = {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"}  # it is Prometheus' form, not ISO 8601
    for state in ("noDataState", "execErrState"):
        rule[state]["enum"].append("KeepLast")
    point["type"]["enum"] = [name.strip() for name in point["type"]["enum"]]
    save = schemas["SaveDashboardCommand"]
    save["required"], save["additionalProperties"] = ["dashboard"], False
    save["properties"]["dashboard"] = {
        "type": "object",
        "required": ["uid", "title"],
        "properties": {"uid": {"type": "string", "maxLength": 40}, "title": {"type": "string", "minLength": 1}},
    }
    for name in ("PostAnnotationsCmd", "PatchAnnotationsCmd", "UpdateAnnotationsCmd"):
        for moment in ("time", "timeEnd"):
            schemas[name]["properties"][moment]["minimum"] = 10**12  # milliseconds: seconds would be of 1970
    document["paths"]["/health"]["get"]["security"] = []
