"""The nouns of the daemon: a job, what is asked of it, and the process that does it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from soak.core.target import Target

JobState = Literal["queued", "running", "ended"]
MIN_PRIORITY, MAX_PRIORITY = -100, 100

ScenarioFile = Annotated[str, Field(min_length=1, max_length=500, description="a file of the scenarios folder")]
Priority = Annotated[int, Field(ge=MIN_PRIORITY, le=MAX_PRIORITY, description="higher is sooner")]
Against = Annotated[
    Literal["last_pass"] | None, Field(description="compare it with the last run of this scenario that passed")
]
"""What is asked for, by a program or by the calendar."""
UPLOADED = "sha256:"
"""How the name of an uploaded scenario begins; no file of the folder is found by such a name."""
DAEMON = "daemon"
"""Who does what nobody asked for."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of one boot of this machine: a pid alone is used again, and so is a start time after a reboot.

    `started` is in clock ticks since boot, as /proc/PID/stat has it.
    """

    boot: str
    pid: int
    started: int


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for: soak `scenario`, a file of the scenarios folder or what was uploaded.

    `targets` are the keys of what it loads, as of when its scenario was read last. `key` is the asker's own: the same
    key is the same job, however often it is sent. `against` asks for a comparison with the last run of the same
    scenario that passed.
    """

    scenario: str
    name: str
    targets: tuple[str, ...]
    asked_by: str
    priority: int = 0
    key: str | None = None
    against: Literal["last_pass"] | None = None

    @property
    def uploaded(self) -> bool:
        """Whether a caller brought the scenario along."""
        return self.scenario.startswith(UPLOADED)


@dataclass(frozen=True, slots=True)
class Job:
    """One soak that was asked for, and how it went. Times are wall-clock seconds since 1970.

    `verdict` is that of the run, or None where it never measured anything; `exit_code` is what `soak run` ended with,
    `reason` is its headline, or why there is none. `load` (a digest) is the same for runs that can be compared;
    `baseline` is the job whose run file this one is compared with. `resumed` is how often it was taken up again in its
    run file; one that is queued and has a run file is to be. `resumable`: it ended before its time, and can be.
    """

    id: int
    state: JobState
    request: Request
    asked_at: float
    started_at: float | None = None
    ended_at: float | None = None
    run_file: Path | None = None
    process: Process | None = None
    stop_at: float | None = None
    verdict: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    pinned: bool = False
    load: str | None = None
    baseline: int | None = None
    resumed: int = 0
    resumable: bool = False


def target_key(target: Target) -> str:
    """What is loaded, as HOST:PORT: two runs with one key disturb each other. Loopback has one name."""
    host = target.host.lower()
    if host in ("localhost", "::1") or host.startswith("127."):
        host = "localhost"
    return f"[{host}]:{target.tcp_port}" if ":" in host else f"{host}:{target.tcp_port}"
