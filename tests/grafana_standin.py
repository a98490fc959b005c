"""A Grafana to test with: it keeps what it is given, has versions, owners and refusals, and checks every request and
every answer against Grafana's own OpenAPI document. What does not conform is in `faults`."""

from __future__ import annotations

import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from werkzeug.datastructures import MultiDict

from tests.grafana_contract import contract

Json = dict[str, Any]
Answer = tuple[int, Any]
TOKEN, VIEWER = "glsa_good", "glsa_viewer"
"""One that may do everything, and one that may look."""


@dataclass
class Trouble:
    """What comes instead of the next answers. `done`: the request has its effect all the same; 0 hangs up."""

    status: int
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    done: bool = False
    method: str | None = None
    """Only for requests of this method."""


class StandIn:
    """The state, and what it answers."""

    def __init__(self) -> None:
        self.url = ""
        self.faults: list[str] = []
        self.seen: list[tuple[str, str]] = []
        self.troubles: list[Trouble] = []
        self.folders: dict[str, Json] = {}
        self.sources: dict[str, Json] = {}
        self.dashboards: dict[str, Json] = {}
        self.rules: dict[str, Json] = {}
        self.points: dict[str, Json] = {}
        self.annotations: dict[int, Json] = {}
        self._lock = threading.Lock()
        self._next = 0

    def number(self) -> int:
        self._next += 1
        return self._next

    def provision(self, uid: str, title: str) -> None:
        """Have a dashboard that a file owns."""
        model = {"uid": uid, "title": title, "version": 1, "id": self.number()}
        meta = {"provisioned": True, "provisionedExternalId": f"{uid}.json", "folderUid": ""}
        self.dashboards[uid] = {"dashboard": model, "meta": meta}

    def handle(
        self, method: str, path: str, query: MultiDict[str, str], headers: dict[str, str], body: bytes
    ) -> Answer:
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if path != "/health" and token not in (TOKEN, VIEWER):
            return 401, {"message": "Invalid API key"}
        if method != "GET" and token == VIEWER:
            return 403, {"message": "You'll need additional permissions to perform this action."}
        for m, pattern, action in _ROUTES:
            found = re.fullmatch(pattern, path)
            if m == method and found:
                return action(self, json.loads(body) if body else {}, query, *map(unquote, found.groups()))
        return 404, {"message": "Not found"}

    def health(self, _b: Json, _q: Any) -> Answer:
        return 200, {"database": "ok", "version": "11.4.0", "commit": "0"}

    def folder(self, _b: Json, _q: Any, uid: str) -> Answer:
        return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})

    def add_folder(self, body: Json, _q: Any) -> Answer:
        taken = any(f["title"] == body["title"] for f in self.folders.values())
        if body["uid"] in self.folders or taken:
            return 409, {"message": "a folder with the same name already exists in the current location"}
        self.folders[body["uid"]] = {"id": self.number(), "version": 1, "url": "/dashboards/f/x", **body}
        return 200, self.folders[body["uid"]]

    def change_folder(self, body: Json, _q: Any, uid: str) -> Answer:
        self.folders[uid]["title"] = body["title"]
        self.folders[uid]["version"] += 1
        return 200, self.folders[uid]

    def source(self, _b: Json, _q: Any, uid: str) -> Answer:
        return (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})

    def add_source(self, body: Json, _q: Any) -> Answer:
        if any(body["name"] == s["name"] for s in self.sources.values()):
            return 409, {"message": "data source with the same name already exists"}
        made = {"id": self.number(), "orgId": 1, "readOnly": False, "isDefault": False, "version": 1, **body}
        self.sources[body["uid"]] = made
        return 200, {"id": made["id"], "name": made["name"], "message": "Datasource added", "datasource": made}

    def change_source(self, body: Json, _q: Any, uid: str) -> Answer:
        made = self.sources[uid]
        if made["readOnly"]:
            return 403, {"message": "Cannot update read-only data source"}
        made.update(body, version=made["version"] + 1)
        return 200, {"id": made["id"], "name": made["name"], "message": "Datasource updated", "datasource": made}

    def dashboard(self, _b: Json, _q: Any, uid: str) -> Answer:
        return (200, self.dashboards[uid]) if uid in self.dashboards else (404, {"message": "Dashboard not found"})

    def save_dashboard(self, body: Json, _q: Any) -> Answer:
        model, folder = copy.deepcopy(body["dashboard"]), body.get("folderUid", "")
        if folder and folder not in self.folders:
            return 404, {"message": "folder not found"}
        before = self.dashboards.get(model["uid"])
        if before is not None and before["meta"].get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if before is None and model.get("id") is not None:
            return 404, {"message": "Dashboard not found"}
        for other in self.dashboards.values():
            same = (other["dashboard"]["title"], other["meta"]["folderUid"]) == (model["title"], folder)
            if same and other is not before:
                return 412, {"status": "name-exists", "message": "A dashboard with the same name already exists"}
        version = before["dashboard"]["version"] if before else 0
        if before is not None and model.get("version") != version and not body.get("overwrite"):
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        model["id"] = before["dashboard"]["id"] if before else self.number()
        model["version"] = version + 1
        self.dashboards[model["uid"]] = {"dashboard": model, "meta": {"folderUid": folder, "provisioned": False}}
        said = {k: model[k] for k in ("id", "uid", "version")} | {"status": "success", "title": "x", "url": "/d/x"}
        return 200, said

    def rule(self, _b: Json, _q: Any, uid: str) -> Answer:
        return (200, self.rules[uid]) if uid in self.rules else (404, None)

    def add_rule(self, body: Json, _q: Any) -> Answer:
        if body["uid"] in self.rules or body["folderUID"] not in self.folders:
            return 400, {"message": "invalid alert rule"}
        self.rules[body["uid"]] = self._ruled(body)
        return 201, self.rules[body["uid"]]

    def change_rule(self, body: Json, _q: Any, uid: str) -> Answer:
        self.rules[uid] = self._ruled(body)
        return 200, self.rules[uid]

    def _ruled(self, body: Json) -> Json:
        """A rule as Grafana gives it back: with defaults of its own."""
        made = copy.deepcopy(body)
        for query in made["data"]:
            query["model"] |= {"intervalMs": 1000, "maxDataPoints": 43200}
        return made | {"id": self.number(), "provenance": "api", "updated": "2026-01-01T00:00:00Z", "isPaused": False}

    def contact_points(self, _b: Json, query: Any) -> Answer:
        return 200, [p for p in self.points.values() if query.get("name") in (None, p["name"])]

    def add_point(self, body: Json, _q: Any) -> Answer:
        self.points[body["uid"]] = body | {"provenance": "api"}
        return 202, self.points[body["uid"]]

    def change_point(self, body: Json, _q: Any, uid: str) -> Answer:
        self.points[uid] = body | {"provenance": "api", "uid": uid}
        return 202, {"message": "contactpoint updated"}

    def list_annotations(self, _b: Json, query: MultiDict[str, str]) -> Answer:
        tags = set(query.getlist("tags"))
        found = [a for a in self.annotations.values() if tags <= set(a["tags"])]
        return 200, found[: int(query.get("limit", 100))]

    def add_annotation(self, body: Json, _q: Any) -> Answer:
        number = self.number()
        self.annotations[number] = {"id": number, "timeEnd": body["time"], "tags": [], **body}
        return 200, {"id": number, "message": "Annotation added"}

    def patch_annotation(self, body: Json, _q: Any, number: str) -> Answer:
        if int(number) not in self.annotations:
            return 404, {"message": "Annotation not found"}
        self.annotations[int(number)] |= body
        return 200, {"message": "Annotation patched"}

    def delete_annotation(self, _b: Json, _q: Any, number: str) -> Answer:
        del self.annotations[int(number)]
        return 200, {"message": "Annotation deleted"}


_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/health", StandIn.health),
    ("GET", "/folders/([^/]+)", StandIn.folder),
    ("POST", "/folders", StandIn.add_folder),
    ("PUT", "/folders/([^/]+)", StandIn.change_folder),
    ("GET", "/datasources/uid/([^/]+)", StandIn.source),
    ("POST", "/datasources", StandIn.add_source),
    ("PUT", "/datasources/uid/([^/]+)", StandIn.change_source),
    ("GET", "/dashboards/uid/([^/]+)", StandIn.dashboard),
    ("POST", "/dashboards/db", StandIn.save_dashboard),
    ("GET", "/v1/provisioning/alert-rules/([^/]+)", StandIn.rule),
    ("POST", "/v1/provisioning/alert-rules", StandIn.add_rule),
    ("PUT", "/v1/provisioning/alert-rules/([^/]+)", StandIn.change_rule),
    ("GET", "/v1/provisioning/contact-points", StandIn.contact_points),
    ("POST", "/v1/provisioning/contact-points", StandIn.add_point),
    ("PUT", "/v1/provisioning/contact-points/([^/]+)", StandIn.change_point),
    ("GET", "/annotations", StandIn.list_annotations),
    ("POST", "/annotations", StandIn.add_annotation),
    ("PATCH", "/annotations/([0-9]+)", StandIn.patch_annotation),
    ("DELETE", "/annotations/([0-9]+)", StandIn.delete_annotation),
]


@contextmanager
def standing_in() -> Iterator[StandIn]:
    """A stand-in that listens on this machine."""
    state = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            with state._lock:
                status, headers, data = self._answer(parts.path, MultiDict(parse_qsl(parts.query)), body)
            if status == 0:
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _answer(self, path: str, query: MultiDict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
            method, sent = self.command, dict(self.headers)
            state.seen.append((method, path))
            trouble = next((x for x in state.troubles if x.method in (None, method)), None)
            if trouble is not None:
                trouble.times -= 1
                if not trouble.times:
                    state.troubles.remove(trouble)
                if not trouble.done:
                    return trouble.status, trouble.headers, b'{"message": "later"}'
            fault = contract().request(method, path, query, sent, body) if "Authorization" in sent else ""
            if fault:
                state.faults.append(fault)
            if fault:
                return 422, {}, json.dumps({"message": fault}).encode()
            status, said = state.handle(method, path.removeprefix("/api"), query, sent, body)
            data = json.dumps(said).encode() if said is not None else b""
            if wrong := contract().answer(method, path, query, status, data):
                state.faults.append(wrong)
            return (trouble.status, {}, b"") if trouble is not None else (status, {}, data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
