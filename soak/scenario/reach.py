"""Where load may go, and whether anybody is there.

This is about the hosts that a scenario names. A locustfile is a program of its own, and may connect to
whatever it likes.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

from soak.core.errors import TargetError
from soak.core.scenario import Scenario
from soak.core.scrape import Scrape
from soak.core.target import Target

_PATIENCE_S = 3.0


def refuse_foreign(scenario: Scenario, allowed: Collection[str]) -> None:
    """Load only goes to loopback, or to a HOST or HOST:PORT of `allowed`. Raises TargetError.

    A name counts as loopback only if each of its addresses is: the resolver may hand out any of them.
    """
    permitted = {entry.lower() for entry in allowed}
    for side, target in scenario.sides.items():
        if permitted & _spellings(target):
            continue
        foreign = [a for a in _addresses(side, target) if not _is_loopback(a)]
        if foreign:
            address = "" if foreign[0] == target.host else f" ({foreign[0]})"
            raise TargetError(
                f"{side}: {target.host}{address} is not this machine's loopback, and load goes nowhere else unless "
                f"you say so; if you may load it, add --allow-host {target.host}"
            )
    for side, target in scenario.sides.items():
        door = target.scrape
        if door is None or door.host in (target.host, target.machine) or permitted & _spellings(door):
            continue
        if not all(_is_loopback(a) for a in _addresses(side, door)):
            raise TargetError(
                f"{side}: the door {door.name} is neither on this machine nor on the target's; if you may ask it, add "
                f"--allow-host {door.host}"
            )


def refuse_unreachable(target: Target) -> None:
    """Raises TargetError when nothing accepts connections at the target within three seconds."""
    try:
        socket.create_connection((target.host, target.tcp_port), _PATIENCE_S).close()
    except (OSError, UnicodeError) as error:
        raise TargetError(
            f"nothing answers at {_bracketed(target.host)}:{target.tcp_port} ({_reason(error)}); start the target "
            "first, or let soak start it (--command, or target.process.command in a scenario)"
        ) from None


def port_in_use(target: Target) -> bool:
    """Whether something listens at the target already; one too busy to answer counts."""
    try:
        socket.create_connection((target.host, target.tcp_port), 1.0).close()
    except TimeoutError:
        return True
    except (OSError, UnicodeError):
        return False
    return True


def _spellings(target: Target | Scrape) -> set[str]:
    """How `--allow-host` may name the target or a door; an IPv6 address with brackets or without."""
    host = target.host.lower()
    return {host, _bracketed(host), f"{_bracketed(host)}:{target.tcp_port}"}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _addresses(side: str, target: Target | Scrape) -> list[str]:
    try:
        found = socket.getaddrinfo(target.host, target.tcp_port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(f"{side}: the host {target.host!r} cannot be resolved ({_reason(error)})") from None
    return [str(address[4][0]).partition("%")[0] for address in found]


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return (mapped or ip).is_loopback


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE_S:g} s"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
