"""The Scenario: what a soak will do and what it is judged by; pydantic models of the YAML contract.

Every key of the contract is here from the start. One whose feature comes later is refused with
"not supported yet": a key that is silently ignored would let a run pass a criterion nobody checked.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from soak.core.criterion import Criterion
from soak.core.model import Duration, Later, Model, Rate

DRAIN_MARGIN = 2.0
"""Seconds that drain waits beyond the request timeout, for the last answers to be recorded."""


class Command(Model):
    """A target that soak starts itself and whose end it therefore sees."""

    command: Annotated[str, Field(min_length=1, description="program and arguments, no shell; {python} is soak's own")]
    cwd: Annotated[str, Field(description="working folder, relative to the scenario file")] = "."
    env: Annotated[dict[str, str], Field(default_factory=dict, description="added to the environment")]
    ready: Annotated[Duration, Field(description="longest wait until it accepts connections")] = 30.0


class Target(Model):
    """Where load goes, and which process is watched there."""

    url: Annotated[str, Field(description="base URL: http, https, or tcp for a locustfile of another protocol")]
    process: Annotated[Command | None, Field(description="start this program and watch it")] = None
    pid: Annotated[int | None, Field(gt=0, description="watch this running process")] = None
    port: Annotated[int | None, Field(gt=0, lt=65536, description="watch whoever listens on this port")] = None
    name: Annotated[str | None, Field(min_length=1, description="watch the one process of this name")] = None
    observer: Later = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            parts = urlsplit(self.url)
            whole = parts.scheme in ("http", "https", "tcp") and parts.hostname and parts.port != 0
        except ValueError:  # a port beyond 65535, or half an IPv6 address
            whole = False
        if not whole or re.search(r"\s", self.url):
            raise ValueError(f"url: expected http://HOST:PORT, https://... or tcp://..., got {self.url!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"url: expected a base URL without user, query and fragment, got {self.url!r}")
        if parts.scheme == "tcp" and parts.port is None:
            raise ValueError(f"url: expected tcp://HOST:PORT, got {self.url!r}")
        ways = [k for k in ("process", "pid", "port", "name") if getattr(self, k) is not None]
        if len(ways) > 1:
            raise ValueError(f"expected one of process, pid, port and name, got {' and '.join(ways)}")
        return self

    @property
    def host(self) -> str:
        """The host name or address that load goes to."""
        return urlsplit(self.url).hostname or ""

    @property
    def tcp_port(self) -> int:
        """The port that load goes to."""
        parts = urlsplit(self.url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def watched(self) -> bool:
        """Whether a process is watched at all."""
        return any(v is not None for v in (self.process, self.pid, self.port, self.name))


class Reference(Target):
    """A trusted target soaked beside the candidate under the same arrivals."""

    run: Later = None


METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_DRAW = re.compile(r"\{([a-z]+):([^{}]*)\}")


class Request(Model):
    """One kind of request of the mix; exactly one method names its path."""

    name: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    get: str | None = None
    post: str | None = None
    put: str | None = None
    patch: str | None = None
    delete: str | None = None
    head: str | None = None
    options: str | None = None
    headers: Annotated[dict[str, str], Field(default_factory=dict)]
    json_body: Annotated[Any, Field(alias="json")] = None
    expect: Annotated[list[Annotated[int, Field(ge=100, le=599)]] | None, Field(min_length=1)] = None

    @model_validator(mode="after")
    def _one_method(self) -> Self:
        given = [m for m in METHODS if getattr(self, m) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(METHODS)} with a path, got {' and '.join(given) or 'none'}"
            )
        if not self.path.startswith("/"):
            raise ValueError(f"{given[0]}: expected a path that starts with '/', got {self.path!r}")
        for kind, argument in _DRAW.findall(self.path):
            bounds = re.fullmatch(r"([0-9]{1,15})-([0-9]{1,15})", argument)
            if kind != "random" or bounds is None or int(bounds[1]) > int(bounds[2]):
                raise ValueError(
                    f"{given[0]}: expected {{random:LOW-HIGH}} with LOW up to HIGH, got {{{kind}:{argument}}}"
                )
        return self

    @property
    def method(self) -> str:
        """GET, POST, ..."""
        return next(m for m in METHODS if getattr(self, m) is not None).upper()

    @property
    def path(self) -> str:
        """The path as written, with its placeholders."""
        return str(getattr(self, self.method.lower()))

    @property
    def endpoint(self) -> str:
        """The name that its latencies are kept under: `name`, else the path with {placeholders}."""
        return self.name or f"{self.method} {_DRAW.sub(lambda m: '{' + m[1] + '}', self.path)}"


class Load(Model):
    """The traffic: an open model of `rate` arrivals a second, or a closed model of `users`."""

    rate: Annotated[Rate | None, Field(description="arrivals a second, whatever the target does")] = None
    arrivals: Annotated[Literal["poisson", "constant"], Field(description="how arrivals are spaced")] = "poisson"
    users: Annotated[
        int | None,
        Field(gt=0, le=20_000, description="closed model: plain Locust users; with `rate`, paced to it together"),
    ] = None
    pattern: Later = None
    connections: Annotated[int, Field(gt=0, le=20_000, description="slots: requests that can be in flight")] = 50
    timeout: Annotated[Duration, Field(description="a request is failed after this")] = 10.0
    seed: Annotated[int, Field(ge=0, description="the same seed gives the same arrivals and requests")] = 1
    workers: Annotated[int, Field(gt=0, le=64, description="generator processes")] = 1
    requests: Annotated[list[Request] | None, Field(min_length=1)] = None
    journeys: Later = None
    locustfile: Annotated[str | None, Field(description="FILE::UserClass, relative to the scenario file")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rate is None and self.users is None:
            raise ValueError("expected `rate` (open model: arrivals a second) or `users` (closed model)")
        if (self.requests is None) == (self.locustfile is None):
            raise ValueError("expected one of `requests` and `locustfile`")
        if self.locustfile is not None and not re.fullmatch(r".+\.py::[A-Za-z_]\w*", self.locustfile):
            raise ValueError(f"locustfile: expected FILE.py::UserClass, got {self.locustfile!r}")
        if self.timeout <= 0:
            raise ValueError("timeout: expected more than 0 s")
        names = Counter(r.endpoint for r in self.requests or [])
        for name, count in names.items():
            if count > 1:
                raise ValueError(f"requests: {count} requests are named {name!r}; give each its own name")
        return self

    @property
    def open_model(self) -> bool:
        """Whether arrivals follow the shared schedule instead of the users' own pace."""
        return self.users is None

    @property
    def slots(self) -> int:
        """Locust users to spawn: connection slots, or the users of the closed model."""
        return self.users if self.users is not None else self.connections


class Phases(Model):
    """How long each phase lasts; only the soak phase is judged for drift."""

    idle_before: Duration = 0.0
    warmup: Annotated[Duration | None, Field(description="default: a tenth of the soak, at most 5 minutes")] = None
    soak: Duration
    idle_after: Duration = 0.0

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.soak < 1:
            raise ValueError("soak: expected at least 1 s")
        return self

    @property
    def warmup_s(self) -> float:
        """The warm-up in seconds, default filled in."""
        return self.warmup if self.warmup is not None else min(self.soak / 10, 300.0)


class Probe(Model):
    """How often the target's process is looked at."""

    every: Duration = 1.0
    allocator: Later = None
    allocations: Later = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not 0.1 <= self.every <= 60:
            raise ValueError("every: expected 100ms to 60s")
        return self


class Scenario(Model):
    """One soak, whole: target, load, phases, probe, reference, criteria."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    target: Target
    load: Load
    phases: Phases
    probe: Probe = Probe()
    reference: Reference | None = None
    criteria: Annotated[list[Criterion], Field(min_length=1)]
    cost: Later = None
    alerts: Later = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """All faults at once, a line each: whoever mends a scenario wants to mend it once."""
        faults = []
        endpoints = {r.endpoint for r in self.load.requests or []}
        for i, criterion in enumerate(self.criteria):
            if endpoints and criterion.endpoint is not None and criterion.endpoint not in endpoints:
                known = ", ".join(sorted(endpoints)[:12])
                faults.append(f"criteria[{i}].endpoint: no request is named {criterion.endpoint!r}; there are {known}")
            if criterion.over is not None and criterion.over > self.phases.soak:
                faults.append(f"criteria[{i}].over: longer than the soak phase")
            if criterion.spec.room in ("memory", "stack", "process", "cpu") and not self.target.watched:
                faults.append(
                    f"criteria[{i}].metric: {criterion.metric} needs a process to watch: "
                    "add process, pid, port or name to the target"
                )
        for key, side in (("target", self.target), ("reference", self.reference)):
            if side is not None and side.url.startswith("tcp") and self.load.locustfile is None:
                faults.append(f"{key}.url: a tcp:// target needs load.locustfile: soak itself speaks HTTP")
        if self.reference is not None and self.reference.url.rstrip("/") == self.target.url.rstrip("/"):
            faults.append("reference.url: the same as target.url: both sides would be one program")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def sides(self) -> dict[str, Target]:
        """What is soaked, by side: the candidate, and the reference if there is one."""
        return {"candidate": self.target} | ({"reference": self.reference} if self.reference else {})

    @property
    def load_s(self) -> float:
        """Seconds during which arrivals are scheduled: warm-up and soak."""
        return self.phases.warmup_s + self.phases.soak

    @property
    def drain_s(self) -> float:
        """Longest drain in seconds: every request in flight has answered or timed out by then."""
        return self.load.timeout + DRAIN_MARGIN

    @property
    def interval_s(self) -> float:
        """Length of a recording interval in seconds: 1 s for short runs, 10 s from two hours on."""
        return min(10.0, max(1.0, float(round(self.phases.soak / 720))))
