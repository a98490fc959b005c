"""Messages between master and workers that neither a stranger nor a worker of another run can forge.

Both sides know a token; it never crosses the wire. They exchange nonces, and from these and the token both
derive the key of their session (HMAC-SHA256, RFC 2104), with which every later message is sealed. Locust's own
messages (heartbeats) are not sealed, and nothing is encrypted: over a network that others can read, use a tunnel.
"""

from __future__ import annotations

import hashlib
import hmac
from secrets import token_hex
from typing import Any

import msgpack

BEAT_S = 1.0
"""How often a worker says that it is there."""
ALONE_S = 4.0
"""Not heard from for this long, a worker is taken for lost, and one that hears nothing stops its load itself."""


def nonce() -> str:
    """A number used once."""
    return token_hex(16)


class Session:
    """One worker's side, or the master's side, of what they say to each other."""

    def __init__(self, token: str, run: str, worker_nonce: str, master_nonce: str) -> None:
        secret = "\n".join((run, worker_nonce, master_nonce))
        self._key = hmac.digest(token.encode(), secret.encode(), hashlib.sha256)

    def seal(self, kind: str, data: dict[str, Any]) -> dict[str, Any]:
        """A message of a kind with its proof."""
        body = msgpack.packb(data)
        return {"body": body, "proof": self._proof(kind, body)}

    def open(self, kind: str, sealed: Any) -> dict[str, Any] | None:
        """What was sealed; None when this is no message of this session and kind."""
        if not isinstance(sealed, dict):
            return None
        body, proof = sealed.get("body"), sealed.get("proof")
        if not isinstance(body, bytes) or not isinstance(proof, bytes):
            return None
        if not hmac.compare_digest(proof, self._proof(kind, body)):
            return None
        data: dict[str, Any] = msgpack.unpackb(body)
        return data

    def _proof(self, kind: str, body: bytes) -> bytes:
        return hmac.digest(self._key, kind.encode() + b"\0" + body, hashlib.sha256)
