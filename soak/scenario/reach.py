"""Where load may go, and whether anybody is there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from soak.core.errors import TargetError
from soak.core.scenario import Scenario, Target

_PATIENCE_S = 3.0


def refuse_foreign(scenario: Scenario, allowed: Collection[str]) -> None:
    """Load only goes to loopback, or to a host that `--allow-host` names. Raises TargetError."""
    for side, target in scenario.sides.items():
        if {target.host, f"{target.host}:{target.tcp_port}"} & set(allowed):
            continue
        addresses = _addresses(side, target)
        foreign = [a for a in addresses if not ipaddress.ip_address(a.partition("%")[0]).is_loopback]
        if foreign:
            raise TargetError(
                f"{side}: {target.host} is not this machine ({foreign[0]}); load goes only to loopback unless you "
                f"say so: add --allow-host {target.host}"
            )


def refuse_unreachable(target: Target) -> None:
    """Raises TargetError when nothing accepts connections at the target."""
    try:
        socket.create_connection((target.host, target.tcp_port), _PATIENCE_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise TargetError(
            f"nothing answers at {target.host}:{target.tcp_port} ({reason}); start the target first, "
            "or let soak start it with target.process.command"
        ) from None


def port_in_use(target: Target) -> bool:
    """Whether something accepts connections at the target already."""
    try:
        socket.create_connection((target.host, target.tcp_port), 1.0).close()
    except OSError:
        return False
    return True


def _addresses(side: str, target: Target) -> list[str]:
    try:
        found = socket.getaddrinfo(target.host, target.tcp_port, type=socket.SOCK_STREAM)
    except OSError as error:
        reason = error.strerror or str(error)
        raise TargetError(
            f"{side}: the host {target.host!r} cannot be resolved ({reason}); a host beyond loopback also needs "
            f"--allow-host {target.host}"
        ) from None
    return [str(address[4][0]) for address in found]
