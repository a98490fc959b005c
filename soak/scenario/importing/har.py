"""HTTP Archives, as browsers save them (http://www.softwareishard.com/blog/har-12-spec/)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from email import message_from_string
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from soak.core.errors import Problem, ScenarioError
from soak.scenario.importing.compose import Import, compose, plain, speakable
from soak.scenario.importing.secrets import holds_secret, names_secret, without_secrets
from soak.scenario.importing.seen import Seen, is_asset
from soak.scenario.importing.shapes import as_list, as_map

_KEPT_HEADERS = ("accept", "content-type", "x-requested-with")
_MAX_BODY = 65_536
_MAX_ITEMS, _MAX_NESTED = 500, 20
"""JSON beyond this is sent as text: a scenario has an end."""


def from_har(path: Path, url: str | None = None, *, assets: bool = True) -> str:
    """The scenario of a HAR: the requests to its main host. Cookies and tokens in it do not reach the scenario.

    Raises ScenarioError when it is no HAR.
    """
    try:
        entries = list(json.loads(path.read_bytes())["log"]["entries"])
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ScenarioError(str(path), [Problem(f"no HTTP Archive: {type(error).__name__}: {error}")]) from None
    asked = [(entry, parts) for entry in entries if (parts := _url(entry)) is not None]
    hosts = Counter(_origin(parts) for _, parts in asked)
    if not hosts:
        raise ScenarioError(str(path), [Problem("no requests in it")])
    main = hosts.most_common(1)[0][0]
    about = Import("", url or main, 1.0)
    seen, times, dropped, hidden, lost = Seen(), [], 0, 0, 0
    for entry, parts in asked:
        if _origin(parts) != main:
            continue
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not assets and is_asset(target):
            dropped += 1
            continue
        headers = _headers(entry["request"])
        body, secrets, left_out = _body(as_map(entry["request"].get("postData")))
        hidden, lost = hidden + secrets, lost + left_out
        _authenticate(about, headers)
        seen.add(
            str(entry["request"].get("method", "GET")),
            target,
            _status(as_map(entry.get("response")).get("status")),
            _kept(headers, body) | body,
        )
        times.append(_time(entry.get("startedDateTime")))
    seen.secrets += hidden
    seen.collapse()
    known = [t for t in times if t is not None]
    about.rate = seen.total / max(1.0, max(known) - min(known) if known else 0.0)
    about.source = f"{path.name}: {seen.total:,} requests to {main}"
    if about.auth or about.headers:
        about.notes.append("secrets come from the environment: see ${...} below")
    if others := len(asked) - hosts[main]:
        about.notes.append(f"{others:,} requests to other hosts are left out")
    if bad := len(entries) - len(asked):
        about.notes.append(f"{bad:,} entries are no HTTP requests and are left out")
    if dropped:
        about.notes.append(f"{dropped:,} pictures, styles and scripts are left out")
    if lost:
        about.notes.append(f"{lost:,} bodies are left out: too large, or with secrets that cannot be cut out of them")
    try:
        return compose(about, seen)
    except ValueError as error:
        raise ScenarioError(str(path), [Problem(str(error))]) from None


def _url(entry: Any) -> SplitResult | None:
    """Where an entry went; None when it is no HTTP request."""
    request = as_map(as_map(entry).get("request"))
    try:
        parts = urlsplit(speakable(str(request.get("url") or "")))
        _ = parts.port  # raises ValueError beyond 65535
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def _origin(parts: SplitResult) -> str:
    """Scheme, host and port, without the user and password that a URL can hold."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _headers(request: dict[str, Any]) -> dict[str, str]:
    found = [as_map(h) for h in as_list(request.get("headers"))]
    return {str(h.get("name")).lower(): speakable(str(h.get("value", ""))) for h in found}


def _authenticate(about: Import, headers: dict[str, str]) -> None:
    """Say in the scenario how the requests authenticated, and not with what."""
    scheme = headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "bearer":
        about.auth = {"bearer": "${API_TOKEN}"}
    elif scheme == "basic" and about.auth is None:
        about.auth = {"basic": {"user": "${API_USER}", "password": "${API_PASSWORD}"}}
    if name := next((n for n in headers if names_secret(n) and n.replace("-", "").endswith("apikey")), None):
        about.headers[name.title()] = "${API_KEY}"


def _kept(headers: dict[str, str], body: dict[str, object]) -> dict[str, object]:
    kept = {n.title(): headers[n] for n in _KEPT_HEADERS if headers.get(n, "*/*") != "*/*"}
    media = headers.get("content-type", "").partition(";")[0].strip()
    if "body" not in body and not ("json" in body and media != "application/json"):
        kept.pop("Content-Type", None)  # said by the kind of the body
    return {"headers": {n: plain(" ".join(v.split())) for n, v in kept.items()}} if kept else {}


def _body(posted: dict[str, Any]) -> tuple[dict[str, object], int, int]:
    """The keys of a scenario's request that say its body; how many secrets, and how many bodies, were left out."""
    kind, text = str(posted.get("mimeType") or ""), str(posted.get("text") or "")
    media = kind.partition(";")[0].strip().lower()
    if len(text) > _MAX_BODY:
        return {}, 0, 1
    fields = [as_map(p) for p in as_list(posted.get("params"))]
    if media == "application/x-www-form-urlencoded":
        pairs = {str(p.get("name")): str(p.get("value") or "") for p in fields} or dict(parse_qsl(text, True))
        shown, hidden = without_secrets(pairs)
        return ({"form": plain(shown)} if pairs else {}), hidden, 0
    if media == "multipart/form-data":
        fields = fields or _parts(kind, text)
        shown, hidden = without_secrets({str(p.get("name")): str(p.get("value") or "") for p in fields})
        files = {str(p.get("name")): p for p in fields if p.get("fileName")}
        parts = {n: _file(files[n], text) if n in files else text for n, text in as_map(plain(shown)).items()}
        return ({"multipart": parts} if parts else {}), hidden, 0
    if media.endswith("json"):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        if data is not None and text.count(",") <= _MAX_ITEMS and text.count("[") + text.count("{") <= _MAX_NESTED:
            shown, hidden = without_secrets(data)
            return {"json": plain(shown)}, hidden, 0
    if not text:
        return {}, 0, 0
    return ({}, 0, 1) if holds_secret(text) else ({"body": plain(text)}, 0, 0)


def _parts(kind: str, text: str) -> list[dict[str, Any]]:
    """The fields of a multipart form that was kept as text (RFC 7578)."""
    message = message_from_string(f"Content-Type: {' '.join(kind.split())}\n\n{text.replace(chr(13), '')}")
    found = message.get_payload() if message.is_multipart() else []
    return [
        {"name": part.get_param("name", "", "content-disposition"), "value": part.get_payload(),
         "fileName": part.get_filename(), "contentType": part.get_content_type()}
        for part in found if not isinstance(part, str)
    ]  # fmt: skip


def _file(part: dict[str, Any], content: str) -> dict[str, str]:
    kind = {"type": plain(str(part["contentType"]))} if part.get("contentType") else {}
    return {"content": content, "name": plain(str(part["fileName"]))} | kind


def _status(value: object) -> int:
    return value if isinstance(value, int) and 100 <= value <= 599 else 0


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
