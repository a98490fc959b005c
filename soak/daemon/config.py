"""What `soak serve` is told: a TOML file, flags, or both; a flag goes first.

scenarios = "scenarios"              # runs only what lies in here
runs = "/var/lib/soak/runs"
listen = "127.0.0.1:9646"
parallel = 2
allow_hosts = ["shop.staging"]
tls_cert = "cert.pem"
tls_key = "key.pem"
min_free = "5 GiB"
keep = "30d"                         # run files, without the pinned ones and the last passes
time_zone = "Europe/Berlin"          # of the schedules, see calendar.py
requests = "50/s"                    # of one token, in bursts of twice as many
resumes = 3                          # how often a run that died goes on by itself
allow_uploads = false                # scenarios that callers bring along, see uploads.py
log = "text"                         # or "json"

[uploads]                            # what such a scenario may ask for at most
max_rate = "500/s"                   # of requests, where its load is highest
max_duration = "8h"                  # of all its phases

[workers]                            # of `soak worker --forever`, on other machines
listen = "0.0.0.0:5557"
token_file = "workers.token"
count = 2                            # begin when so many have joined
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from soak.core import units
from soak.core.errors import SoakError
from soak.core.model import Duration, Rate
from soak.daemon.calendar import Schedule
from soak.daemon.log import Format

STATE = "daemon.sqlite"
FIXED = ("runs", "listen", "tls_cert", "tls_key", "no_tls", "log")
"""What is only read at the start."""
_PATHS = ("scenarios", "runs", "tls_cert", "tls_key")


def _bytes(value: object) -> float:
    return units.parse(value, "bytes").value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone {name!r}; there is UTC, Europe/Berlin, ...") from None
    return name


Listen = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):[0-9]{1,5}$")]


class Workers(BaseModel):
    """Where each run listens for workers of other machines, what these must know, and how many it waits for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: Annotated[Listen, Field(description="HOST:PORT where each run listens for them")]
    token_file: Annotated[Path, Field(description="what they must know")]
    count: Annotated[int, Field(ge=0, le=1000, description="a run begins when so many have joined")] = 0


class Bounds(BaseModel):
    """What an uploaded scenario may ask for at most. Without `max_rate`, as much load as the machine can send."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rate: Annotated[
        Rate | None, Field(description="requests to a target, where load is highest; users without a rate are refused")
    ] = None
    max_duration: Annotated[Duration | None, Field(description="all phases and the drain together")] = None


class Settings(BaseModel):
    """Everything the daemon goes by. `min_free` is in bytes, `requests` in 1/s, `keep` in s."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenarios: Annotated[Path, Field(description="folder of scenarios: nothing else is run")] = Path("scenarios")
    runs: Annotated[Path, Field(description="folder of run files and of the daemon's state")] = Path("runs")
    listen: Annotated[Listen, Field(description="HOST:PORT to serve at")] = "127.0.0.1:9646"
    parallel: Annotated[int, Field(ge=1, le=64, description="runs at once, each on a target of its own")] = 1
    allow_hosts: Annotated[tuple[str, ...], Field(description="HOST or HOST:PORT: load of runs may go there too")] = ()
    tls_cert: Annotated[Path | None, Field(description="serve HTTPS with this certificate (PEM)")] = None
    tls_key: Annotated[Path | None, Field(description="its private key (PEM)")] = None
    no_tls: Annotated[bool, Field(description="serve beyond loopback without TLS")] = False
    min_free: Annotated[
        float,
        BeforeValidator(_bytes),
        WithJsonSchema({"type": "string"}),
        Field(description="no run is started while the disk of the run files has less, such as 5 GiB"),
    ] = 2.0**30
    requests: Annotated[Rate, Field(description="how often each caller may ask, twice as often for a moment")] = 50.0
    keep: Annotated[
        Duration | None, Field(description="how long run files stay, without the pinned ones and last passes")
    ] = None
    resumes: Annotated[int, Field(ge=0, le=100, description="how often a run that died goes on by itself")] = 3
    allow_uploads: Annotated[bool, Field(description="callers may bring scenarios along, within narrow bounds")] = False
    uploads: Annotated[Bounds, Field(description="how much load an uploaded scenario may ask for, and how long")] = (
        Bounds()
    )
    log: Annotated[Format, Field(description="lines for people, or JSON for programs")] = "text"
    time_zone: Annotated[str, AfterValidator(_zone), Field(description="of the schedules")] = "UTC"
    schedules: Annotated[tuple[Schedule, ...], Field(description="what runs by itself")] = ()
    workers: Annotated[
        Workers | None, Field(description="`soak worker`s of other machines, for each run; only with parallel = 1")
    ] = None

    @property
    def state(self) -> Path:
        """The state is beside the run files: who moves one moves the other."""
        return self.runs / STATE

    @property
    def uploaded(self) -> Path:
        """Where scenarios are that callers brought along."""
        return self.runs / "uploads"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen at."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def run_options(self) -> tuple[str, ...]:
        """What each `soak run` is told beside its scenario."""
        told = [word for host in self.allow_hosts for word in ("--allow-host", host)]
        if (workers := self.workers) is not None:
            told += ["--listen", workers.listen, "--token-file", str(workers.token_file.resolve())]
            told += ["--remote-workers", str(workers.count)]
        return tuple(told)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not 0 < self.address[1] < 65536:
            raise ValueError(f"listen: expected HOST:PORT, got {self.listen!r}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        if self.workers is not None and self.parallel > 1:
            raise ValueError("[workers] goes with parallel = 1: two runs cannot listen for workers at one address")
        names = [s.name for s in self.schedules]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"schedules: two are named {twice[0]!r}")
        return self


def settings(file: Path | None, flags: Mapping[str, Any]) -> Settings:
    """The settings of a file, if there is one, and of flags. Paths in the file are relative to it. Raises SoakError."""
    text, data = "", dict[str, Any]()
    if file is not None:
        text = _text(file)
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SoakError(f"{file}: {error}") from None
        data |= {k: file.parent / data[k] for k in _PATHS if isinstance(data.get(k), str)}
        workers = data.get("workers")
        if isinstance(workers, dict) and isinstance(workers.get("token_file"), str):
            data["workers"] = workers | {"token_file": file.parent / workers["token_file"]}
    given = {k: v for k, v in flags.items() if v is not None and v is not False and v not in ((), [])}
    try:
        return Settings.model_validate(data | given)
    except ValidationError as error:
        raise SoakError("\n".join(_complaint(e, file, text, given) for e in error.errors())) from None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise SoakError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SoakError(f"{file}: not UTF-8 text") from None


def _complaint(error: Any, file: Path | None, text: str, flags: Mapping[str, Any]) -> str:
    loc = error["loc"]
    inner = {"schedules": 2, "workers": 1, "uploads": 1}.get(loc[0], 0) if loc else 0
    key = str(loc[inner if len(loc) > inner else 0]) if loc else ""
    what = "unknown key" if error["type"] == "extra_forbidden" else str(error["msg"]).removeprefix("Value error, ")
    if file is None or (key in flags and not inner):
        return f"--{key.replace('_', '-')}: {what}" if key else what
    written = text.splitlines()
    table = next((n for n, line in enumerate(written) if inner and line.strip().strip("[]") == loc[0]), 0)
    this = re.compile(rf'\s*\[*"?{re.escape(key)}"?\s*[=.\]]')
    line = next((n for n, line in enumerate(written[table:], table + 1) if this.match(line)), None) if key else None
    return f"{file}{f':{line}' if line else ''}: {f'{key}: ' if key else ''}{what}"
