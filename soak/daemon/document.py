"""The OpenAPI document, completed by what stands in front of the routes and they therefore do not say themselves."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from soak.daemon.guard import OPEN
from soak.daemon.problems import Problem

_ANSWERS_304 = {
    "description": "Not Modified: it is as the ETag of If-None-Match says",
    "headers": {"ETag": {"schema": {"type": "string"}}},
}


def complete(app: FastAPI) -> None:
    """Add the problem document, what needs no token, and conditional answers to the document that `app` serves."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = made()
            document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
            for path, methods in document["paths"].items():
                for method, operation in methods.items():
                    if path in OPEN:
                        operation["security"] = []
                    elif method == "get" and "application/json" in operation["responses"]["200"].get("content", {}):
                        operation["responses"]["304"] = _ANSWERS_304
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
