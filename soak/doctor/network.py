"""Ports: how many connections this machine can begin, and how many are still in TIME_WAIT."""

from __future__ import annotations

from pathlib import Path

from soak.core.checkup import Check, expect
from soak.core.scenario import Scenario
from soak.doctor.kernel import read

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_SOCKETS = Path("/proc/net/sockstat")
_TIME_WAIT_S = 60.0
"""TCP_TIMEWAIT_LEN (Linux, include/net/tcp.h)."""
_SHARE = 0.8


def checks(scenario: Scenario | None) -> list[Check]:
    """The range of ports against what a scenario needs, and what is taken of it."""
    low, high = ports(read(_RANGE))
    waiting, most = time_wait(read(_SOCKETS)), high - low + 1
    found = [
        expect(
            "TIME_WAIT", f"{waiting:,} connections", waiting < most / 2,
            "half of the ports are held by connections that ended: new ones may fail",
            "wait a minute; keep connections open (load.churn: 0%)",
        )
    ]  # fmt: skip
    needed = ports_needed(scenario) if scenario is not None else 0.0
    found.append(
        expect(
            "ports", f"{most:,} to connect from" + (f", up to {needed:,.0f} needed" if needed else ""),
            needed < _SHARE * most, "the generator runs out of ports, which looks like a target that refuses",
            "less load.churn or connections, a wider net.ipv4.ip_local_port_range, or workers on more machines",
            "problem",
        )
    )  # fmt: skip
    return found


def ports_needed(scenario: Scenario) -> float:
    """Ports in use at most: a slot each, or what the rate has in flight if that is less; and those in TIME_WAIT."""
    load = scenario.load
    rate = load.rate or 0.0
    in_flight = min(float(load.slots), rate * load.timeout) if load.open_model else float(load.slots)
    return len(scenario.sides) * (in_flight + rate * load.churn * _TIME_WAIT_S)


def ports(text: str | None) -> tuple[int, int]:
    """The first and last port that connections begin from; the kernel's own default where that cannot be read."""
    low, high = (text or "32768 60999").split()[:2]
    return int(low), int(high)


def time_wait(text: str | None) -> int:
    """Connections in TIME_WAIT, by /proc/net/sockstat."""
    for line in (text or "").splitlines():
        words = line.split()
        if words[:1] == ["TCP:"] and "tw" in words:
            return int(words[words.index("tw") + 1])
    return 0
