"""What the kernel lets a probe see: version, ptrace, control groups, pressure, clocks."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

from soak.core import units
from soak.core.checkup import Check, expect
from soak.probe import cgroup_of, pids_of

_LEAST = (5, 3)
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")
_CGROUP = Path("/proc/self/cgroup")
_PRESSURE = Path("/proc/pressure/cpu")
_CLOCK = Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "pit", "refined-jiffies")
_TIMEX_BYTES = 256
_TIMEX_STATUS = 40
"""Where `status` is in struct timex (adjtimex(2)) on a machine of 64 bits."""
_STA_UNSYNC = 0x40


def checks() -> list[Check]:
    """All of them; what cannot be read is said, not guessed."""
    return [
        _version(platform.release()),
        _ptrace(read(_YAMA), os.geteuid()),
        _groups(),
        _pressure(),
        _clock(read(_CLOCK)),
        _ntp(),
    ]


def read(path: Path) -> str | None:
    """A small file of the kernel; None where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _version(release: str) -> Check:
    parts = release.replace("-", ".").split(".")
    known = tuple(int(p) for p in parts[:2] if p.isdigit())
    return expect(
        "kernel", release, known >= _LEAST,
        "how a process ended that soak did not start cannot be heard (pidfd_open came with 5.3)",
        f"run Linux {_LEAST[0]}.{_LEAST[1]} or newer",
    )  # fmt: skip


def _ptrace(scope: str | None, user: int) -> Check:
    words = {None: "not restricted", "0": "0, not restricted", "1": "1, only one's own children"}
    found = words.get(scope, f"{scope}, only for root" if scope == "2" else f"{scope}, nobody")
    return expect(
        "ptrace", found, scope in (None, "0") or (user == 0 and scope in ("1", "2")),
        "a debugger cannot bring the agent into a process that runs already (probe.attach)",
        "start the target by soak or `soak exec`, or: sysctl kernel.yama.ptrace_scope=0",
    )  # fmt: skip


def _groups() -> Check:
    membership = read(_CGROUP)
    memory, pids = (cgroup_of(membership), pids_of(membership)) if membership is not None else (None, None)
    if memory is None:
        return Check(
            "cgroup", "warning", "no memory control group can be seen",
            "a limit of a container is not known: the time that is left is told to the end of the host's memory",
            "mount /sys/fs/cgroup into the container of soak",
        )  # fmt: skip
    values = memory.values() | (pids.values() if pids is not None else {})
    limit, tasks = values.get("memory.limit"), values.get("pids.limit")
    told = f"version {memory.version}, memory {units.size(limit) if limit is not None else 'not limited'}"
    return Check("cgroup", "ok", f"{told}, tasks {f'{tasks:.0f}' if tasks is not None else 'not limited'}")


def _pressure() -> Check:
    there = read(_PRESSURE) is not None
    return expect(
        "pressure", "there" if there else "not there", there,
        "a host that is short of CPU, memory or disk is told by fewer signs", "boot with psi=1 (Linux 4.20 or newer)",
    )  # fmt: skip


def _clock(source: str | None) -> Check:
    return expect(
        "clock source", source or "cannot be read", source not in _SLOW_CLOCKS,
        "asking for the time is slow: it costs the generator and the target at every request",
        "boot with clocksource=tsc, if the machine's TSC is stable",
    )  # fmt: skip


def _ntp() -> Check:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)  # modes 0: only ask
    if ctypes.sizeof(ctypes.c_long) != 8 or ctypes.CDLL(None).adjtimex(buffer) < 0:
        return Check("clock", "ok", "whether it is kept by NTP cannot be read")
    status = int.from_bytes(buffer.raw[_TIMEX_STATUS : _TIMEX_STATUS + 4], "little")
    return expect(
        "clock", "not kept by NTP" if status & _STA_UNSYNC else "kept by NTP", not status & _STA_UNSYNC,
        "soaks are timed by the monotonic clock, but reports of several machines do not line up, and one that is set "
        "by hand under load makes a run invalid",
        "run chrony or systemd-timesyncd",
    )  # fmt: skip
