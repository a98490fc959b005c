"""What is soaked: where it answers, how its process is found or started, and the reference beside it or before it."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from soak.core.metrics import METRICS
from soak.core.model import Duration, Model, variable_of
from soak.core.scrape import Scrape


class Command(Model):
    """A target that soak starts itself and whose end it therefore sees."""

    command: Annotated[str, Field(min_length=1, description="program and arguments, no shell; {python} is soak's own")]
    cwd: Annotated[str, Field(description="working folder, relative to the scenario file")] = "."
    env: Annotated[dict[str, str], Field(default_factory=dict, description="added to the environment")]
    ready: Annotated[Duration, Field(description="longest wait until it accepts connections")] = 30.0
    agent: Annotated[bool, Field(description="look into it from inside, if it is Python")] = True


class Tls(Model):
    """How an https target is trusted. Files are PEM, relative to the scenario file."""

    verify: Annotated[bool, Field(description="check its certificate and name")] = True
    ca: Annotated[str | None, Field(description="trust these authorities instead of the system's")] = None
    cert: Annotated[str | None, Field(description="client certificate")] = None
    key: Annotated[str | None, Field(description="its private key")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("expected cert and key together")
        if self.ca is not None and not self.verify:
            raise ValueError("ca: without `verify` nothing is checked against it")
        return self


OBSERVER_TOKEN = "SOAK_OBSERVER_TOKEN"
"""The environment variable that holds the token of an observer, unless the scenario names another one."""


class Observer(Model):
    """Who watches the process of a target on another machine: `soak observe` runs there."""

    url: Annotated[str, Field(description="where it serves: https://HOST:9645")]
    token: Annotated[str | None, Field(description="${NAME}: the variable that holds its token")] = None
    ca: Annotated[str | None, Field(description="PEM: trust these authorities instead of the system's")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            parts = urlsplit(self.url)
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if not whole or re.search(r"\s", self.url):
            raise ValueError(f"url: expected https://HOST:PORT or http://..., got {self.url!r}")
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError(f"url: expected a base URL without user, query and fragment, got {self.url!r}")
        if self.token is not None:
            variable_of("token", self.token)
        if self.ca is not None and parts.scheme != "https":
            raise ValueError("ca: only an https observer has it")
        return self

    @property
    def host(self) -> str:
        """The machine that it watches."""
        return urlsplit(self.url).hostname or ""

    @property
    def variable(self) -> str:
        """The environment variable that holds its token."""
        return variable_of("token", self.token) if self.token is not None else OBSERVER_TOKEN


def _observer(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class Target(Model):
    """Where load goes, and which process is watched there."""

    url: Annotated[str, Field(description="base URL: http, https, or tcp for a locustfile of another protocol")]
    process: Annotated[Command | None, Field(description="start this program and watch it")] = None
    pid: Annotated[int | None, Field(gt=0, description="watch this running process")] = None
    port: Annotated[int | None, Field(gt=0, lt=65536, description="watch whoever listens on this port")] = None
    name: Annotated[str | None, Field(min_length=1, description="watch the one process of this name")] = None
    tls: Annotated[Tls | None, Field(description="how an https target is trusted; default: as the system does")] = None
    observer: Annotated[
        Observer | None, BeforeValidator(_observer), Field(description="watched by `soak observe` on its own machine")
    ] = None
    scrape: Annotated[Scrape | None, Field(description="a door where it tells of its allocator and runtime")] = None
    size: Annotated[
        str | None,
        Field(
            description="cost is held against this: a metric, or a name on the prometheus page; default: requests done"
        ),
    ] = None
    artefact: Annotated[
        str | None, Field(min_length=1, description="file or folder that is installed: its size is artefact.size")
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.tls is not None and not self.url.startswith("https:"):
            raise ValueError("tls: only an https target has it")
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
        if ways and self.observer is not None:
            raise ValueError(f"{ways[0]}: with an observer, `soak observe` is told there which process it is")
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
    def machine(self) -> str | None:
        """The machine that it is observed on; None when that is the one soak runs on."""
        return self.observer.host if self.observer is not None else None

    @property
    def page_size(self) -> str | None:
        """The name on its page of metrics that tells its size; None if nothing there does."""
        return self.size if self.size is not None and self.size not in METRICS else None

    @property
    def watched(self) -> bool:
        """Whether a process is watched at all."""
        return any(v is not None for v in (self.process, self.pid, self.port, self.name, self.observer))


class Reference(Target):
    """A trusted target soaked beside the candidate under the same arrivals."""


class EarlierRuns(Model):
    """Run files of a trusted version, soaked before under the same load."""

    run: Annotated[list[str] | str, Field(min_length=1, description="a run file, or several: relative to this file")]

    @model_validator(mode="before")
    @classmethod
    def _alone(cls, data: object) -> object:
        if isinstance(data, dict) and (others := sorted(str(k) for k in data if k != "run")):
            raise ValueError(
                f"{others[0]}: does not go with run: the reference is either soaked beside the candidate, or was before"
            )
        return data

    @property
    def files(self) -> list[str]:
        """The run files as they are written."""
        return [self.run] if isinstance(self.run, str) else list(self.run)


BESIDE, EARLIER = "<beside>", "<earlier>"
"""Tags of the two kinds of reference; no key of a scenario looks like that."""


def _kind_of_reference(value: object) -> str:
    earlier = isinstance(value, EarlierRuns) or (isinstance(value, dict) and "run" in value)
    return EARLIER if earlier else BESIDE


AnyReference = Annotated[
    Annotated[Reference, Tag(BESIDE)] | Annotated[EarlierRuns, Tag(EARLIER)], Discriminator(_kind_of_reference)
]


def size_fault(target: Target) -> str:
    """Why nothing will tell the size of a target; empty when something does."""
    size = target.size or ""
    page = target.scrape is not None and target.scrape.prometheus is not None
    if size in METRICS:
        spec = METRICS[size]
        if spec.room not in ("memory", "process", "redis", "go", "jvm"):
            return f"{size} says nothing of how much data there is; expected one such as redis.keys or memory.live"
        return "" if target.watched or target.scrape is not None else f"{size} needs a process to watch, or a door"
    if not re.fullmatch(r"[A-Za-z_:][A-Za-z0-9_:]*", size):
        return f"expected a metric such as redis.keys, or a name on a page of Prometheus, got {size[:60]!r}"
    return "" if page else f"{size} is no metric of soak; to read it from a page, add scrape.prometheus"
