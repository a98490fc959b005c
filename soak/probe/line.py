"""One connection to a service's own door, bounded in time and bytes: it may be slow, endless, or hostile."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from time import monotonic
from typing import Self

import certifi

PATIENCE_S = 5.0
"""For a connection and all that is said over it."""
MOST_BYTES = 4 * 1024 * 1024
"""A page of a busy exporter has some hundred KiB."""


class DoorError(Exception):
    """A door gave nothing that can be used; the text says why, to follow its name."""


def trust(authorities: Path | None) -> ssl.SSLContext:
    """Certificates are always verified: by these authorities, else the system's, else certifi's. Raises OSError."""
    context = ssl.create_default_context(cafile=authorities)
    if authorities is None and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    return context


class Line:
    """A connection with one deadline for everything. Raises DoorError, in the words of a person."""

    def __init__(self, host: str, port: int, tls: bool = False, patience: float = PATIENCE_S) -> None:
        self._deadline = monotonic() + patience
        self._patience = patience
        self._room = MOST_BYTES
        try:
            self._socket = socket.create_connection((host, port), patience)
        except (OSError, UnicodeError) as error:
            raise self._failure(error) from None
        if tls:
            self._secure(host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Say it all."""
        try:
            self._socket.settimeout(self._left())
            self._socket.sendall(data)
        except OSError as error:
            raise self._failure(error) from None

    def receive(self) -> bytes:
        """The next piece; empty when the other end has hung up."""
        try:
            self._socket.settimeout(self._left())
            piece = self._socket.recv(65_536)
        except OSError as error:
            raise self._failure(error) from None
        self._room -= len(piece)
        if self._room < 0:
            raise DoorError("says too much")
        return piece

    def _secure(self, host: str) -> None:
        context = trust(None)
        plain = self._socket
        try:
            plain.settimeout(self._left())
            self._socket = context.wrap_socket(plain, server_hostname=host)
        except (OSError, ValueError) as error:
            plain.close()
            raise self._failure(error) from None

    def _left(self) -> float:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _failure(self, error: Exception) -> DoorError:
        if isinstance(error, TimeoutError):
            return DoorError(f"does not answer within {self._patience:g} s")
        if isinstance(error, ssl.SSLError):
            told = getattr(error, "verify_message", "") or error.reason or str(error)
            return DoorError(f"cannot be trusted: TLS: {str(told).replace('_', ' ').lower()}")
        return DoorError(f"cannot be reached: {getattr(error, 'strerror', None) or error}")
