"""OpenAPI 3 documents (https://spec.openapis.org/oas/v3.1.0), JSON or YAML: one request an operation."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from soak.core.errors import Problem, ScenarioError
from soak.core.traffic import METHODS
from soak.scenario.importing.compose import Import, compose, plain, speakable
from soak.scenario.importing.seen import HOLE, Endpoint, Seen, Values
from soak.scenario.importing.shapes import as_list, as_map, as_text

_READS = ("get", "head", "options")
_READ_WEIGHT, _WRITE_WEIGHT = 8, 1
_LOCAL = "http://127.0.0.1:8000"
_DEPTH = 6
_MAX_PARTS = 500
"""Values of one body; schemas that refer to each other have no end."""
_MAX_LENGTH = 1_000
_IDS = 1_000
_BOUND = 10**15 - 1
_BODIES = (
    ("application/json", "json"),
    ("application/x-www-form-urlencoded", "form"),
    ("multipart/form-data", "multipart"),
)
_OWN_HEADERS = ("accept", "content-type", "authorization")
"""Parameters of these names say nothing (OpenAPI 3.1, section 4.8.12)."""
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "email": "user@example.com",
    "uuid": "3fa85f64-5717-4562-b3fc-2c963f66afa6",
    "uri": "http://example.com/",
}


def from_openapi(path: Path, url: str | None = None) -> str:
    """The scenario of an OpenAPI document: reads eight times as often as writes. Raises ScenarioError."""
    document = _document(path)
    server = _server(document)
    base = urlsplit(server)
    origin = f"{base.scheme}://{base.netloc.rpartition('@')[2]}" if base.scheme in ("http", "https") else _LOCAL
    reader = _Reader(document)
    seen = Seen()
    for template, described in as_map(document["paths"]).items():
        item = reader.resolve(described)
        for method in METHODS:
            if isinstance(operation := item.get(method), dict):
                parameters = [*as_list(item.get("parameters")), *as_list(operation.get("parameters"))]
                reader.add(seen, method, base.path.rstrip("/") + str(template), parameters, operation)
    about = Import(f"{path.name}: {len(seen.endpoints)} operations", url or origin, 10.0)
    about.notes.append("the rate is a guess; weights are 8 for reads and 1 for writes")
    about.auth, about.headers = _security(document)
    if about.auth or about.headers:
        about.notes.append("secrets come from the environment: see ${...} below")
    if reader.left_out:
        about.notes.append(f"{reader.left_out} bodies of other kinds than JSON and forms are left out")
    try:
        return compose(about, seen)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(str(path), [Problem(str(error))]) from None


def _document(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError) as error:
        message = speakable(" ".join(str(error).split()))[:200]
        raise ScenarioError(str(path), [Problem(f"no OpenAPI 3 document: {message}")]) from None
    if not str(as_map(document).get("openapi", "")).startswith("3"):
        raise ScenarioError(str(path), [Problem("no OpenAPI 3 document: expected `openapi: 3.x`")])
    if not isinstance(document.get("paths"), dict):
        raise ScenarioError(str(path), [Problem("no OpenAPI 3 document: expected `paths:`, a mapping")])
    return as_map(document)


def _server(document: dict[str, Any]) -> str:
    """The first server's URL, its variables at their defaults; empty when none can be used."""
    first = as_map(next(iter(as_list(document.get("servers"))), None))
    variables = as_map(first.get("variables"))
    text = _VARIABLE.sub(lambda m: str(as_map(variables.get(m[1])).get("default", "")), as_text(first.get("url")))
    try:
        parts = urlsplit(speakable(text))
        _ = parts.port  # raises ValueError beyond 65535
    except ValueError:
        return ""
    return parts.geturl() if parts.hostname or not parts.netloc else ""


class _Reader:
    """Follows the references of a document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._parts = 0
        self.left_out = 0

    def add(self, seen: Seen, method: str, path: str, parameters: list[Any], operation: dict[str, Any]) -> None:
        """Note an operation as one endpoint."""
        known = {(str(p.get("in")), str(p.get("name"))): p for p in map(self.resolve, parameters)}
        segments: list[str] = []
        holes: list[Values] = []
        for part in path.split("/")[1:]:
            names = _VARIABLE.findall(part)
            if not names:
                segments.append(speakable(part))
                continue
            segments.append(HOLE)
            if part == f"{{{names[0]}}}":
                holes.append(self._values(known.get(("path", names[0]), {})))
            else:  # `{name}.json`, `{a}-{b}`: one value of it
                text = _VARIABLE.sub(lambda m: self._one(known.get(("path", m[1]), {})), part)
                holes.append(Values(texts={text: None}))
        required = sorted(name for (where, name), p in known.items() if where == "query" and p.get("required"))
        holes += [self._values(known["query", name]) for name in required]
        endpoint = Endpoint(_READ_WEIGHT if method in _READS else _WRITE_WEIGHT, holes=holes)
        for status in as_map(operation.get("responses")):
            if str(status).isdecimal() and 200 <= int(status) < 400:
                endpoint.statuses[int(status)] += 1
        headers = {
            name: plain(" ".join(self._one(p).split()))
            for (where, name), p in known.items()
            if where == "header" and p.get("required") and name.lower() not in _OWN_HEADERS and _HEADER.fullmatch(name)
        }
        endpoint.extra = ({"headers": headers} if headers else {}) | self._body(operation.get("requestBody"))
        key = (method.upper(), tuple(segments), tuple(map(speakable, required)))
        if key not in seen.endpoints:  # `/a/{x}` and `/a/{y}` are one
            seen.total += endpoint.count
            seen.endpoints[key] = endpoint

    def resolve(self, value: Any) -> dict[str, Any]:
        """The mapping that stands here, or at the place in the document that a `$ref` names."""
        for _ in range(_DEPTH):
            if not (isinstance(value, dict) and "$ref" in value):
                break
            found: Any = self._document
            for key in str(value["$ref"]).removeprefix("#/").split("/"):
                found = as_map(found).get(key.replace("~1", "/").replace("~0", "~"))
            value = found
        return as_map(value)

    def _values(self, parameter: dict[str, Any]) -> Values:
        schema = self.resolve(parameter.get("schema"))
        given = [speakable(str(v)) for v in as_list(schema.get("enum")) if not isinstance(v, (dict, list))]
        if not given and not {"example", "examples"} & set(parameter) and schema.get("type") in ("integer", "number"):
            low = _whole(schema.get("minimum", schema.get("example")), 1)
            return Values(low=low, high=max(low, _whole(schema.get("maximum"), low + _IDS - 1)))
        return Values(texts=dict.fromkeys(given[:50] or [self._one(parameter)]))

    def _one(self, parameter: dict[str, Any]) -> str:
        """One value of a parameter, as text."""
        value = self._shown(parameter)
        while isinstance(value, (list, dict)):  # as an array is written in a query: each value under the name
            value = next(iter(value.values() if isinstance(value, dict) else value), "")
        return str(value).lower() if isinstance(value, bool) else speakable(str(value))

    def _body(self, described: Any) -> dict[str, object]:
        content = as_map(self.resolve(described).get("content"))
        by_media = {str(name).partition(";")[0].strip().lower(): value for name, value in content.items()}
        for media, kind in _BODIES:
            if media not in by_media:
                continue
            example = self._shown(self.resolve(by_media[media]))
            if kind == "json":
                return {"json": plain(example)}
            if isinstance(example, dict):
                return {kind: {plain(str(k)): plain(str(v)) for k, v in example.items()}}
        self.left_out += bool(content)
        return {}

    def _shown(self, described: dict[str, Any]) -> Any:
        """The example of a parameter or a body, or one that its schema allows."""
        if "example" in described:
            return described["example"]
        named = self.resolve(next(iter(as_map(described.get("examples")).values()), None))
        self._parts = 0
        return named["value"] if "value" in named else self._example(described.get("schema"), 0)

    def _example(self, described: Any, depth: int) -> Any:
        """A small value that a schema allows: its example, default, first choice, or the least of its type."""
        schema = self.resolve(described)
        self._parts += 1
        if depth > _DEPTH or self._parts > _MAX_PARTS:
            return None
        for key in ("example", "default", "const"):
            if key in schema:
                return schema[key]
        for key in ("examples", "enum"):
            if choices := as_list(schema.get(key)):
                return choices[0]
        fixed = self._object(schema, depth)
        if parts := as_list(schema.get("allOf")):
            for part in parts:
                fixed |= as_map(self._example(part, depth + 1))
            return fixed
        for key in ("oneOf", "anyOf"):
            if choices := as_list(schema.get(key)):
                first = self._example(choices[0], depth + 1)
                return fixed | first if isinstance(first, dict) else first
        kind = schema.get("type")
        kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
        if kind == "object" or "properties" in schema:
            return fixed
        if kind == "array":
            return [self._example(schema.get("items"), depth + 1)]
        if kind == "integer":
            return _whole(schema.get("minimum"), 1)
        if kind == "number":
            least = schema.get("minimum")
            return least if isinstance(least, (int, float)) and math.isfinite(least) else 1
        if kind in ("boolean", "null"):
            return True if kind == "boolean" else None
        least = min(_MAX_LENGTH, max(0, _whole(schema.get("minLength"), 0)))
        return _FORMATS.get(str(schema.get("format")), "text".ljust(least, "t"))

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        inner = as_map(schema.get("properties"))
        wanted = [str(name) for name in as_list(schema.get("required")) or inner]
        return {n: self._example(inner[n], depth + 1) for n in wanted if n in inner and self._parts < _MAX_PARTS}


def _whole(value: object, default: int) -> int:
    """The number as a whole one that a scenario can draw from, or the default."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return default
    return max(0, min(_BOUND, int(value)))


def _security(document: dict[str, Any]) -> tuple[dict[str, Any] | None, dict[str, str]]:
    auth: dict[str, Any] | None = None
    headers: dict[str, str] = {}
    for described in as_map(as_map(document.get("components")).get("securitySchemes")).values():
        scheme = as_map(described)
        kind, name = str(scheme.get("scheme", "")).lower(), str(scheme.get("name"))
        if scheme.get("type") in ("oauth2", "openIdConnect") or (scheme.get("type") == "http" and kind == "bearer"):
            auth = {"bearer": "${API_TOKEN}"}
        elif scheme.get("type") == "http" and kind == "basic" and auth is None:
            auth = {"basic": {"user": "${API_USER}", "password": "${API_PASSWORD}"}}
        elif scheme.get("type") == "apiKey" and scheme.get("in") == "header" and _HEADER.fullmatch(name):
            headers[name] = "${API_KEY}"
    return auth, headers
