"""HTTP Archives, as browsers save them (http://www.softwareishard.com/blog/har-12-spec/)."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from soak.core.errors import Problem, ScenarioError
from soak.scenario.importing.compose import Import, compose, plain
from soak.scenario.importing.seen import Seen, is_asset

_KEPT_HEADERS = ("accept", "content-type", "x-requested-with")
_MAX_BODY = 65_536


def from_har(path: Path, url: str | None = None, *, assets: bool = True) -> str:
    """The scenario of a HAR: the requests to its main host. Cookies and tokens in it do not reach the scenario.

    Raises ScenarioError when it is no HAR.
    """
    try:
        entries = json.loads(path.read_bytes())["log"]["entries"]
        asked = [(e, urlsplit(e["request"]["url"])) for e in entries]
    except OSError as error:
        raise ScenarioError(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ScenarioError(str(path), [Problem(f"no HTTP Archive: {type(error).__name__}: {error}")]) from None
    hosts = Counter(f"{u.scheme}://{u.netloc}" for _, u in asked if u.scheme in ("http", "https"))
    if not hosts:
        raise ScenarioError(str(path), [Problem("no requests in it")])
    main = hosts.most_common(1)[0][0]
    seen, times, dropped, secret = Seen(), [], 0, False
    for entry, parts in asked:
        if f"{parts.scheme}://{parts.netloc}" != main:
            continue
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not assets and is_asset(target):
            dropped += 1
            continue
        extra, bearer = _extra(entry["request"])
        secret |= bearer
        seen.add(str(entry["request"]["method"]), target, int(entry.get("response", {}).get("status") or 0), extra)
        times.append(_time(entry.get("startedDateTime")))
    known = [t for t in times if t is not None]
    length = max(known) - min(known) if len(known) > 1 else 0.0
    about = Import(f"{path.name}: {seen.total:,} requests to {main}", url or main, seen.total / max(1.0, length))
    if secret:
        about.auth = {"bearer": "${API_TOKEN}"}
        about.notes.append("a token was in it and is left out: set API_TOKEN in the environment")
    if others := sum(hosts.values()) - hosts[main]:
        about.notes.append(f"{others:,} requests to other hosts are left out")
    if dropped:
        about.notes.append(f"{dropped:,} pictures, styles and scripts are left out")
    return compose(about, seen)


def _extra(request: dict[str, Any]) -> tuple[dict[str, object], bool]:
    """The keys of a scenario's request besides method and path, and whether a bearer token was sent."""
    headers = {str(h["name"]).lower(): str(h["value"]) for h in request.get("headers", [])}
    bearer = headers.get("authorization", "").lower().startswith("bearer ")
    kept = {name.title(): headers[name] for name in _KEPT_HEADERS if headers.get(name, "*/*") != "*/*"}
    body = _body(request.get("postData") or {})
    if "body" not in body:
        kept.pop("Content-Type", None)  # said by the kind of the body
    return ({"headers": kept} if kept else {}) | body, bearer


def _body(posted: dict[str, Any]) -> dict[str, object]:
    media, text = str(posted.get("mimeType", "")).partition(";")[0].strip().lower(), str(posted.get("text") or "")
    pairs = {str(p["name"]): plain(str(p.get("value", ""))) for p in posted.get("params") or []}
    if media == "application/x-www-form-urlencoded" and pairs:
        return {"form": pairs}
    if media == "multipart/form-data" and pairs:
        return {"multipart": pairs}
    if not text or len(text) > _MAX_BODY:
        return {}
    if media.endswith("json"):
        try:
            return {"json": plain(json.loads(text))}
        except ValueError:
            pass
    return {"body": plain(text)}


def _time(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
