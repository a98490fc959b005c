"""Opening a door: where to listen, and whether the certificate fits. What is refused is said before anything begins."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from pathlib import Path

from soak.core.errors import SoakError

Address = tuple[socket.AddressFamily, tuple[str, int]]
_WAITING = 128
"""Connections that wait to be accepted."""


def addresses_of(host: str, port: int) -> list[Address]:
    """Where to listen for `host`. Raises SoakError when it has no address."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SoakError(f"--listen: the host {host!r} cannot be resolved ({reason})") from None
    return list(dict.fromkeys((family, (str(at[0]), int(at[1]))) for family, _, _, _, at in found))


def is_loopback(address: Address) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(address[1][0].partition("%")[0]).is_loopback


def check_certificate(tls_cert: Path | None, tls_key: Path | None) -> None:
    """Refuse a certificate and key (PEM) that cannot be served with. Raises SoakError."""
    if tls_cert is None or tls_key is None:
        return

    def refuse() -> str:
        raise SoakError(f"--tls-key {tls_key}: it is encrypted; give one without a passphrase")

    for option, path in (("--tls-cert", tls_cert), ("--tls-key", tls_key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise SoakError(f"{option} {path}: cannot be read: {error.strerror}") from None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls_cert, tls_key, refuse)
    except ssl.SSLError as error:
        what = error.reason or "no PEM certificate and key"
        raise SoakError(f"--tls-cert {tls_cert}, --tls-key {tls_key}: {what}") from None


def bound(family: socket.AddressFamily, at: tuple[str, int]) -> socket.socket:
    """A socket that listens. Raises SoakError when there can be none."""
    # asyncio turns off Nagle only where it is told that it is TCP: else an answer in two writes waits 40 ms for an ACK
    door = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        door.bind(at)
        door.listen(_WAITING)  # whoever comes before the loop runs waits
    except OSError as error:
        door.close()
        raise SoakError(f"--listen: cannot listen at {at[0]} port {at[1]}: {error.strerror}") from None
    return door
