"""Who may do what: bearer tokens, kept as digests, with one of three roles.

A token is 256 random bits, so its SHA-256 cannot be turned back by guessing: a slow hash as for passwords would only
make every request dear. It is printed once and never written down.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from soak.core.errors import SoakError
from soak.daemon.calendar import ASKER
from soak.daemon.job import DAEMON
from soak.daemon.state import State, Token

Role = Literal["read", "run", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may: look; ask for runs, stop and pin them; read the audit log."""
LOCAL = "local"
"""Whoever comes from this machine while there is no token at all."""
_PREFIX = "soak_"
_TAKEN = (LOCAL, ASKER, DAEMON)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the role is enough for what wants `role`."""
        return ROLES.index(self.role) >= ROLES.index(role)


def make_token(state: State, name: str, role: Role, now: float) -> str:
    """A new token, to be shown once. Raises SoakError when the name cannot be had."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", name) or name in _TAKEN:
        raise SoakError(
            f"--add-token {name!r}: expected a name of letters, digits and ._@- (and not {' or '.join(_TAKEN)})"
        )
    token = _PREFIX + secrets.token_urlsafe(32)
    state.add_token(Token(name, role, _digest(token), now))
    return token


def token_of(shown: str, tokens: Iterable[Token]) -> Token | None:
    """Which token was shown. Each is compared, in constant time: how long it takes tells nothing."""
    digest, found = _digest(shown), None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    return found


def still_let_in(caller: Caller, tokens: Collection[Token]) -> bool:
    """Whether who was let in a while ago would be let in now: a token may have been removed, or the first one made."""
    return caller.name in {t.name for t in tokens} if tokens else caller.name == LOCAL


def role_of(token: Token) -> Role:
    """What a token allows."""
    return next(role for role in ROLES if role == token.role)


def caller_of(shown: str, tokens: Iterable[Token]) -> Caller | None:
    """Whose token was shown."""
    token = token_of(shown, tokens)
    return Caller(token.name, role_of(token)) if token is not None else None


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
