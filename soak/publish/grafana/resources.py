"""What soak keeps in Grafana, one strategy a kind: how it is found, who owns it, what of it counts, how it is written.

Everything is found by its uid, which soak gives. Grafana adds fields of its own (ids, versions, times); only what soak
says counts when it is asked whether something changed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from soak.core.errors import PublishError
from soak.publish.grafana.client import Grafana, Json, RefusedError, segment


class Resource(Protocol):
    """One thing to have in Grafana."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def wanted(self) -> Json:
        """What soak says of it."""

    def find(self, grafana: Grafana) -> Json | None:
        """What Grafana has of it, only what soak says of it; None when there is nothing. Raises PublishError when it
        belongs to somebody else."""

    def write(self, grafana: Grafana) -> None:
        """Make it so. Called after `find` only."""


@dataclass
class Folder:
    """The folder of the dashboards and rules."""

    uid: str
    title: str
    _there: bool = False

    @property
    def name(self) -> str:
        """Folder and uid."""
        return f"folder {self.uid}"

    def wanted(self) -> Json:
        """Its uid and title."""
        return {"uid": self.uid, "title": self.title}

    def find(self, grafana: Grafana) -> Json | None:
        """By its uid."""
        found = grafana.find(f"/folders/{segment(self.uid)}")
        self._there = found is not None
        return _same_keys(found, self.wanted()) if found is not None else None

    def write(self, grafana: Grafana) -> None:
        """Create it, or give it its title."""
        if self._there:
            grafana.send("PUT", f"/folders/{segment(self.uid)}", {"title": self.title, "overwrite": True})
        else:
            grafana.send("POST", "/folders", self.wanted())


@dataclass
class DataSource:
    """The Prometheus that has soak's metrics."""

    uid: str
    title: str
    url: str
    scrape_s: int
    _found: Json | None = None

    @property
    def name(self) -> str:
        """Data source and uid."""
        return f"data source {self.uid}"

    def wanted(self) -> Json:
        """A Prometheus that Grafana's server asks (`proxy`)."""
        return {
            "uid": self.uid,
            "name": self.title,
            "type": "prometheus",
            "access": "proxy",
            "url": self.url,
            "jsonData": {"timeInterval": f"{self.scrape_s}s", "httpMethod": "POST"},
        }

    def find(self, grafana: Grafana) -> Json | None:
        """By its uid; one that a file provisions is refused."""
        self._found = grafana.find(f"/datasources/uid/{segment(self.uid)}")
        if self._found is None:
            return None
        if self._found.get("readOnly"):
            raise _owned(self.name, "leave --prometheus away to use it as it is")
        return _same_keys(self._found, self.wanted())

    def write(self, grafana: Grafana) -> None:
        """Create it, or change it; what else it holds (credentials) is Grafana's and stays."""
        if self._found is None:
            grafana.send("POST", "/datasources", self.wanted())
            return
        kept = {k: v for k, v in self._found.items() if k in ("basicAuth", "basicAuthUser", "isDefault", "version")}
        data = {**(self._found.get("jsonData") or {}), **self.wanted()["jsonData"]}
        body = {**kept, **self.wanted(), "jsonData": data}
        grafana.send("PUT", f"/datasources/uid/{segment(self.uid)}", body)


@dataclass
class Dashboard:
    """One dashboard in the folder."""

    model: Json
    folder: str
    message: str
    _version: int | None = None
    _id: int | None = None

    @property
    def name(self) -> str:
        """Dashboard and uid."""
        return f"dashboard {self.model['uid']}"

    def wanted(self) -> Json:
        """Its model, and its folder."""
        return {"folderUid": self.folder, "dashboard": self.model}

    def find(self, grafana: Grafana) -> Json | None:
        """By its uid; one that a file provisions is refused: it has one owner."""
        found = grafana.find(f"/dashboards/uid/{segment(self.model['uid'])}")
        if found is None:
            return None
        meta, model = found["meta"], found["dashboard"]
        if meta.get("provisioned"):
            file = meta.get("provisionedExternalId")
            raise _owned(self.name, "change it there, or remove it there to have it pushed", file)
        self._version, self._id = model.get("version"), model.get("id")
        kept = {k: v for k, v in model.items() if k not in ("id", "version")}
        if kept.get("schemaVersion", 0) > self.model["schemaVersion"]:  # a newer Grafana shows it migrated
            kept = _same_keys(kept, self.model) | {"schemaVersion": self.model["schemaVersion"]}
        return {"folderUid": meta.get("folderUid", ""), "dashboard": kept}

    def write(self, grafana: Grafana) -> None:
        """Save it over the version that was looked at, into its folder: without that it would move to the root."""
        model = {**self.model, "id": self._id}
        if self._version is not None:
            model["version"] = self._version
        body = {"dashboard": model, "folderUid": self.folder, "message": self.message, "overwrite": False}
        grafana.send("POST", "/dashboards/db", body)


@dataclass
class AlertRule:
    """One alert rule that Grafana evaluates.

    It is written as the API's own (no X-Disable-Provenance), so that nobody changes it by hand and it has one owner.
    """

    rule: Json
    _there: bool = False

    @property
    def name(self) -> str:
        """Alert rule and uid."""
        return f"alert rule {self.rule['uid']}"

    def wanted(self) -> Json:
        """The rule."""
        return self.rule

    def find(self, grafana: Grafana) -> Json | None:
        """By its uid; one that a file provisions is refused."""
        found = grafana.find(f"/v1/provisioning/alert-rules/{segment(self.rule['uid'])}")
        self._there = found is not None
        if found is None:
            return None
        if found.get("provenance") == "file":
            raise _owned(self.name, "leave --alerts away, or remove it there")
        return _same_keys(found, self.rule) | {"orgID": self.rule["orgID"]}  # it has that of the token

    def write(self, grafana: Grafana) -> None:
        """Create it, or replace it."""
        path = "/v1/provisioning/alert-rules"
        if self._there:
            grafana.send("PUT", f"{path}/{segment(self.rule['uid'])}", self.rule)
        else:
            grafana.send("POST", path, self.rule)


@dataclass
class ContactPoint:
    """The webhook that rules are told to. Its address may be a secret: it is never shown whole."""

    uid: str
    title: str
    webhook: str
    _there: bool = False

    @property
    def name(self) -> str:
        """Contact point and uid."""
        return f"contact point {self.uid}"

    def wanted(self) -> Json:
        """A webhook that hears of ends too."""
        return {
            "uid": self.uid,
            "name": self.title,
            "type": "webhook",
            "settings": {"url": self.webhook, "httpMethod": "POST"},
            "disableResolveMessage": False,
        }

    def find(self, grafana: Grafana) -> Json | None:
        """By its uid among those of its name; Grafana has no way to ask for one."""
        points = grafana.get("/v1/provisioning/contact-points", {"name": self.title})
        found = next((p for p in points or [] if p.get("uid") == self.uid), None)
        self._there = found is not None
        if found is None:
            return None
        if found.get("provenance") == "file":
            raise _owned(self.name, "leave --webhook away to use it as it is")
        return _same_keys(found, self.wanted())

    def write(self, grafana: Grafana) -> None:
        """Create it, or replace it."""
        path = "/v1/provisioning/contact-points"
        try:
            if self._there:
                grafana.send("PUT", f"{path}/{segment(self.uid)}", self.wanted())
            else:
                grafana.send("POST", path, self.wanted())
        except RefusedError as error:  # Grafana may repeat the settings that it does not like
            raise RefusedError(str(error).replace(self.webhook, "(the webhook)"), error.status, error.kind) from None


def shown(resource: Resource, data: Json) -> Json:
    """What may be shown of a resource: of a webhook only its host, and a mark that differs when the rest does."""
    if not isinstance(resource, ContactPoint):
        return data
    url = str(data.get("settings", {}).get("url", ""))
    mark = hashlib.sha256(url.encode()).hexdigest()[:6]
    return {**data, "settings": {**data["settings"], "url": f"{urlsplit(url).hostname}/... ({mark})"}}


def _same_keys(found: object, wanted: object) -> Json:
    """What was found, without what soak never said."""
    kept = _kept(found, wanted)
    assert isinstance(kept, dict)
    return kept


def _kept(found: object, wanted: object) -> object:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return {k: _kept(v, wanted[k]) for k, v in found.items() if k in wanted}
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        return [_kept(f, w) for f, w in zip(found, wanted, strict=True)]
    return found


def _owned(name: str, advice: str, file: object = None) -> PublishError:
    where = f" ({file})" if file else ""
    return PublishError(f"{name} belongs to a file that this Grafana is provisioned from{where}: {advice}")
