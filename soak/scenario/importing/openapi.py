"""OpenAPI 3 documents (https://spec.openapis.org/oas/v3.1.0), JSON or YAML: one request an operation."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import yaml

from soak.core.errors import Problem, ScenarioError
from soak.core.template import escape
from soak.scenario.importing.compose import Import, compose, plain
from soak.scenario.importing.seen import HOLE, Endpoint, Seen, Values

_METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_READS = ("get", "head", "options")
_READ_WEIGHT, _WRITE_WEIGHT = 8, 1
_DEPTH = 6
_ANY_ID = (1, 1000)


def from_openapi(path: Path, url: str | None = None) -> str:
    """The scenario of an OpenAPI document: reads eight times as often as writes. Raises ScenarioError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        paths = document["paths"]
        if not str(document.get("openapi", "")).startswith("3"):
            raise ValueError("expected `openapi: 3.x`")
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        message = " ".join(str(error).split())[:200]
        raise ScenarioError(str(path), [Problem(f"no OpenAPI 3 document: {message}")]) from None
    servers = document.get("servers") or [{}]
    server = str(servers[0].get("url") or "")
    base = urlsplit(server)
    origin = f"{base.scheme}://{base.netloc}" if base.netloc else "http://127.0.0.1:8000"
    reader = _Reader(document)
    seen = Seen()
    for template, item in paths.items():
        for method in _METHODS:
            operation = (item or {}).get(method)
            if isinstance(operation, dict):
                parameters = [*(item.get("parameters") or []), *(operation.get("parameters") or [])]
                reader.add(seen, method, base.path.rstrip("/") + str(template), parameters, operation)
    about = Import(f"{path.name}: {len(seen.endpoints)} operations", url or origin, 10.0)
    about.notes.append("the rate is a guess; weights are 8 for reads and 1 for writes")
    about.auth, about.headers = _security(document)
    if about.auth or about.headers:
        about.notes.append("secrets come from the environment: see ${...} below")
    try:
        return compose(about, seen)
    except ValueError as error:
        raise ScenarioError(str(path), [Problem(str(error))]) from None


class _Reader:
    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def add(self, seen: Seen, method: str, path: str, parameters: list[Any], operation: dict[str, Any]) -> None:
        known = {(str(p.get("in")), str(p.get("name"))): p for p in map(self._resolve, parameters)}
        segments: list[str] = []
        holes: list[Values] = []
        for part in path.split("/")[1:]:
            if part.startswith("{") and part.endswith("}"):
                holes.append(self._values(known.get(("path", part[1:-1]), {})))
                segments.append(HOLE)
            else:
                segments.append(part)
        required = sorted(name for (where, name), p in known.items() if where == "query" and p.get("required"))
        holes += [self._values(known["query", name]) for name in required]
        endpoint = Endpoint(_READ_WEIGHT if method in _READS else _WRITE_WEIGHT, holes=holes)
        for status in operation.get("responses") or {}:
            if str(status).isdigit() and 200 <= int(status) < 400:
                endpoint.statuses[int(status)] += 1
        endpoint.extra = self._body(self._resolve(operation.get("requestBody") or {}))
        seen.total += endpoint.count
        seen.endpoints[method.upper(), tuple(segments), tuple(required)] = endpoint

    def _resolve(self, value: Any) -> dict[str, Any]:
        """What a `$ref` within the document stands for."""
        for _ in range(_DEPTH):
            if not (isinstance(value, dict) and "$ref" in value):
                break
            found: Any = self._document
            for key in str(value["$ref"]).removeprefix("#/").split("/"):
                found = found.get(key.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
            value = found
        return value if isinstance(value, dict) else {}

    def _values(self, parameter: dict[str, Any]) -> Values:
        schema = self._resolve(parameter.get("schema") or {})
        values = Values()
        if schema.get("type") in ("integer", "number") and "example" not in parameter and "enum" not in schema:
            values.low = int(schema.get("minimum", schema.get("example", _ANY_ID[0])))
            values.high = max(values.low, int(schema.get("maximum", values.low + _ANY_ID[1] - 1)))
        else:
            for text in schema.get("enum") or [parameter.get("example", self._example(schema, 0))]:
                values.texts[str(text)] = None
        return values

    def _body(self, body: dict[str, Any]) -> dict[str, object]:
        content = body.get("content") or {}
        for media, kind in (
            ("application/json", "json"),
            ("application/x-www-form-urlencoded", "form"),
            ("multipart/form-data", "multipart"),
        ):
            if media in content:
                described = content[media] or {}
                example = described.get("example", self._example(self._resolve(described.get("schema") or {}), 0))
                if kind == "json":
                    return {"json": plain(example)}
                if isinstance(example, dict):
                    return {kind: {str(k): escape(str(v)) for k, v in example.items()}}
        return {}

    def _example(self, schema: dict[str, Any], depth: int) -> Any:
        """A small value that a schema allows: its example, default, first choice, or the least of its type."""
        schema = self._resolve(schema)
        for key in ("example", "default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        for key in ("allOf", "oneOf", "anyOf"):
            if schema.get(key) and depth < _DEPTH:
                parts = [self._example(s, depth + 1) for s in schema[key][: None if key == "allOf" else 1]]
                if all(isinstance(p, dict) for p in parts):
                    return {k: v for p in parts for k, v in p.items()}
                return parts[0]
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "object" or "properties" in schema:
            wanted = schema.get("required") or list(schema.get("properties") or {})
            inner = schema.get("properties") or {}
            return {n: self._example(inner[n], depth + 1) for n in wanted if n in inner} if depth < _DEPTH else {}
        if kind == "array":
            return [self._example(schema.get("items") or {}, depth + 1)] if depth < _DEPTH else []
        if kind in ("integer", "number"):
            return schema.get("minimum", 1)
        if kind == "boolean":
            return True
        texts = {"date": "2026-01-01", "date-time": "2026-01-01T00:00:00Z", "email": "user@example.com",
                 "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6", "uri": "http://example.com/"}  # fmt: skip
        return texts.get(str(schema.get("format")), "text".ljust(int(schema.get("minLength") or 0), "t"))


def _security(document: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str]]:
    schemes = ((document.get("components") or {}).get("securitySchemes") or {}).values()
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    for scheme in schemes:
        kind = str(scheme.get("scheme", "")).lower()
        if scheme.get("type") in ("oauth2", "openIdConnect") or (scheme.get("type") == "http" and kind == "bearer"):
            auth = {"bearer": "${API_TOKEN}"}
        elif scheme.get("type") == "http" and kind == "basic" and auth is None:
            auth = {"basic": {"user": "${API_USER}", "password": "${API_PASSWORD}"}}
        elif scheme.get("type") == "apiKey" and scheme.get("in") == "header":
            headers[quote(str(scheme.get("name")), safe="-_")] = "${API_KEY}"
    return auth, headers
