"""Scenarios that callers bring along: only what is known to do no harm, and by what is listed, not by what is not.

An uploaded scenario decides what is sent where, so its author must not gain what only the machine's owner has: its
programs, files, processes, environment and network. Whatever key is not in `_ALLOWED` is refused, so a key that a later
version of soak adds is refused until somebody has thought about it.

    reads a file            *.tls.ca/cert/key, observer.ca, feeds.*.csv/jsonl, pattern.file, *.body.file,
                            multipart.*.file, reference.run, artefact                                   never
    runs a program          process, locustfile, probe.attach                                           never
    looks into processes    pid, name, probe.trim                                                       never
                            port                                                   that which is loaded, here
    reads the environment   ${NAME} in any text, observer.token, scrape.password                        never
    opens a connection      target.url, reference.url, scrape            to this machine, or to allowed hosts
                            observer: it is sent $SOAK_OBSERVER_TOKEN      to a HOST:PORT that is allowed as such

This machine is a loopback address or `localhost`, never a name that happens to lead there now.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from soak.core import units
from soak.core.errors import Problem, ScenarioError, SoakError
from soak.core.scenario import Scenario
from soak.daemon.job import UPLOADED
from soak.scenario import Loaded, loads
from soak.scenario.document import Path as KeyPath
from soak.scenario.document import dotted, parse

MOST = 1000
"""Scenarios that are kept."""

_CALL_KEYS = (
    *["get", "post", "put", "patch", "delete", "head", "options", "headers.*", "json", "form.*", "expect", "name"],
    *["body", "body.text", "multipart.*", "multipart.*.content", "multipart.*.name", "multipart.*.type"],
)
_SIDE_KEYS = ["url", "port", "size", "tls.verify", "observer", "observer.url", "scrape.redis", "scrape.prometheus"]
_ALLOWED = {
    "name", "stop_early",
    *(f"{side}.{key}" for side in ("target", "reference") for key in _SIDE_KEYS),
    *(f"load.{key}" for key in (
        "rate", "arrivals", "users", "connections", "churn", "precision", "timeout", "seed", "workers",
        "headers.*", "cookies.*", "auth.bearer", "auth.basic.user", "auth.basic.password",
        *(f"pattern.{key}" for key in (
            "kind", "steps[].rate", "steps[].for", "repeat", "from", "to", "over", "peak", "period", "peak_at", "every",
            "for", "speed",
        )),
        *(f"feeds.*.{key}" for key in ("choose", "random", "sequence", "uuid", "order")),
        *(f"requests[].{key}" for key in (*_CALL_KEYS, "weight")),
        "journeys[].name", "journeys[].weight", "journeys[].steps[].think",
        *(f"journeys[].steps[].{key}" for key in _CALL_KEYS),
        *(f"journeys[].steps[].capture.*.{key}" for key in ("jsonpath", "regex", "header")),
        *(f"journeys[].steps[].think.{key}" for key in (
            "constant", "uniform", "exponential", "lognormal.median", "lognormal.sigma",
        )),
    )),
    *(f"phases.{key}" for key in ("idle_before", "warmup", "soak", "idle_after")),
    *(f"phases.burst.{key}" for key in ("rate", "times", "for", "recovery")),
    *(f"probe.{key}" for key in ("every", "allocator", "allocations")),
    *(f"probe.allocations.{key}" for key in ("every", "for", "objects")),
    *(f"criteria[].{key}" for key in (
        "metric", "endpoint", "below", "above", "growth_below", "ratio_below", "ratio_above", "over",
    )),
    *(f"cost.{key}" for key in ("rate", "instances", "price")),
}  # fmt: skip
"""Every key that may be there: `*` is any name, `[]` any place in a list."""
_KNOWN = frozenset(
    key[:end] for key in _ALLOWED for end in (*(m.start() for m in re.finditer(r"[.]|\[\]", key)), len(key))
)
"""Those, and all that leads to them."""
_DATA = ("json", "choose")
"""Keys below which everything is plain data that is sent."""
_NAMED = ("headers", "cookies", "form", "multipart", "feeds", "capture")
"""Mappings whose keys are names of the author's own."""
_HOP_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")
"""They say where a request ends and whom it is for: with them one request could be two, or for another host."""


class Uploads:
    """Scenarios in a folder of their own, named by the digest of their content. `at` is where the daemon listens."""

    def __init__(
        self,
        folder: Path,
        allowed: Collection[str],
        at: tuple[str, int],
        max_rate: float | None = None,
        max_duration: float | None = None,
    ) -> None:
        """`max_rate` (1/s) and `max_duration` (s) bound what one may ask for."""
        self._folder = folder
        self._max_rate, self._max_duration = max_rate, max_duration
        self._allowed = {entry.lower() for entry in allowed}
        self._at = at

    def keep(self, content: bytes, in_use: Collection[str]) -> tuple[str, Scenario]:
        """Keep a scenario: its name, and what it says. Raises ScenarioError with every fault, SoakError.

        Those that nobody asked for longest make room, but for those in use.
        """
        scenario = self._read(content).scenario
        digest = hashlib.sha256(content).hexdigest()
        path = self._folder / f"{digest}.yaml"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.is_file():
                fresh = path.with_suffix(".part")
                with fresh.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                fresh.rename(path)
            path.touch()
            self._make_room(in_use)
        except OSError as error:
            raise SoakError(f"the scenario cannot be kept: {error.strerror}") from None
        return UPLOADED + digest, scenario

    def find(self, name: str) -> tuple[Path, Loaded] | None:
        """The file of a name, and what is in it; None where there is none. Raises SoakError where it may not be run.

        It is looked at anew: what is allowed may have changed, and so may the file.
        """
        digest = name.removeprefix(UPLOADED)
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            return None
        path = self._folder / f"{digest}.yaml"
        try:
            content = path.read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != digest:
            raise SoakError(f"{name}: its file is not what was uploaded")
        return path, self._read(content)

    def _read(self, content: bytes) -> Loaded:
        name = "the uploaded scenario"
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise ScenarioError(name, [Problem("not UTF-8 text")]) from None
        document = parse(text, name, aliases=False)
        faults = [*_unknown(document.data, (), ""), *_variables(document.data, ())]
        if faults:  # before anything else looks at it: a check whether a file is there tells whether it is
            problems = [Problem(why, dotted(path), *document.mark(path, of_key=True)) for path, why in faults[:20]]
            raise ScenarioError(name, sorted(problems, key=lambda p: (p.line, p.column)))
        loaded = loads(text, name, self._folder)
        if wrong := [*self._beyond(loaded.scenario), *self._too_much(loaded.scenario)]:
            raise ScenarioError(name, [Problem(why, key, *document.mark(tuple(key.split(".")))) for key, why in wrong])
        return loaded

    def _beyond(self, scenario: Scenario) -> Iterator[tuple[str, str]]:
        """Connections that it may not open, and more processes than the machine has room for: the key, and why."""
        for key, side in (("target", scenario.target), ("reference", scenario.beside)):
            if side is None:
                continue
            if not self._may(side.host, side.tcp_port):
                yield f"{key}.url", _not_allowed(side.host)
            door = side.scrape
            if door is not None and not self._may(door.host, door.tcp_port):
                yield f"{key}.scrape", _not_allowed(door.host)
            if side.port is not None and (side.port != side.tcp_port or not _is_here(side.host)):
                yield f"{key}.port", "an uploaded scenario may only watch what it loads, on this machine"
            if side.observer is not None:
                parts = urlsplit(side.observer.url)
                port = parts.port or (443 if parts.scheme == "https" else 80)
                if f"{_bracketed(side.observer.host)}:{port}".lower() not in self._allowed:
                    yield f"{key}.observer", _not_allowed(f"{_bracketed(side.observer.host)}:{port}")

        if scenario.load.workers > (cores := os.cpu_count() or 1):
            yield "load.workers", f"an uploaded scenario may have as many as there are cores: {cores}"

    def _too_much(self, scenario: Scenario) -> Iterator[tuple[str, str]]:
        """More load, or for longer, than the admin grants: the key, and why."""
        rate, longest = scenario.highest_rate, scenario.longest_s
        if self._max_rate is not None and rate is None:
            yield "load.users", f"an uploaded scenario says its rate here, {units.show(self._max_rate, 'rate')} at most"
        elif self._max_rate is not None and rate is not None and rate > self._max_rate:
            asked, most = (units.show(number, "rate") for number in (rate, self._max_rate))
            yield "load", f"it asks for up to {asked} of requests; this daemon grants {most} to an uploaded scenario"
        if self._max_duration is not None and longest > self._max_duration:
            asked, most = (units.duration(seconds) for seconds in (longest, self._max_duration))
            yield "phases", f"it takes up to {asked}; this daemon grants {most} to an uploaded scenario"

    def _may(self, host: str, port: int) -> bool:
        host = _bracketed(host).lower()
        if f"{host}:{port}" in self._allowed:
            return True
        if _is_here(host) and port == self._at[1]:
            return False  # the daemon's own door is no target of a stranger's
        return _is_here(host) or not self._allowed.isdisjoint({host, host.strip("[]")})

    def _make_room(self, in_use: Collection[str]) -> None:
        held = {name.removeprefix(UPLOADED) for name in in_use}
        kept = sorted(self._folder.glob("*.yaml"), key=lambda path: path.stat().st_mtime)
        for path in [p for p in kept if p.stem not in held][: max(0, len(kept) - MOST)]:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _unknown(value: Any, path: KeyPath, pattern: str) -> Iterator[tuple[KeyPath, str]]:
    """Every key that is not known to do no harm, by where it stands, and why it is refused."""
    parent = pattern.rpartition(".")[2]
    if parent in _DATA:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            word = "*" if parent in _NAMED else key
            below = f"{pattern}.{word}" if pattern else word
            if parent == "headers" and key.lower() in _HOP_HEADERS:
                yield (*path, key), "an uploaded scenario may not set this header"
            elif below not in _KNOWN:
                yield (*path, key), "not in an uploaded scenario; the admin of the daemon could put it into its folder"
            else:
                yield from _unknown(inner, (*path, key), below)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unknown(inner, (*path, number), f"{pattern}[]")


def _variables(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text, in keys too, that names a variable of the environment."""
    if isinstance(value, str) and "${" in value:
        yield path, "an uploaded scenario may not name a variable of the environment: ${...}"
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _variables(key, (*path, key))
            yield from _variables(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _variables(inner, (*path, number))


def _is_here(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_allowed(host: str) -> str:
    return f"{host} is not among the hosts that this daemon allows"
