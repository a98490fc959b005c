"""What must not reach a scenario file: it is committed and shared, and a log or an archive is full of secrets.

A secret is known by the name that it goes under, or by its looks (a JSON Web Token, RFC 7519). Nobody can know all
of them, so the file says how many were left out, and asks for a look.
"""

from __future__ import annotations

import re

LEFT_OUT = "left-out"
"""Stands where a secret was."""
_NAME = re.compile(
    r"passw|passphrase|^pass$|^pwd$|secret|token|api[-_]?key|^key$|^auth|credential|session|^sid$|sessid"
    r"|jwt|^otp$|^code$|^cvv|signature|^sig$|csrf|xsrf|reset|^invit",
    re.IGNORECASE,
)
_NO_SECRET = re.compile(r"^author", re.IGNORECASE)
_JWT = re.compile(r"eyJ[\w-]{6,}\.[\w-]{6,}\.[\w-]*")


def names_secret(name: str) -> bool:
    """Whether what goes under this name is a secret: `password`, `access_token`, `X-Api-Key`."""
    return bool(_NAME.search(name)) and not _NO_SECRET.match(name)


def is_secret(name: str, text: str) -> bool:
    """Whether a text under this name is a secret; an empty one is none."""
    return bool(text) and (names_secret(name) or bool(_JWT.search(text)))


def holds_secret(text: str) -> bool:
    """Whether a text of unknown form may hold a secret."""
    return bool(_JWT.search(text)) or any(names_secret(word) for word in re.findall(r"\w{3,60}", text))


def without_secrets(value: object, name: str = "") -> tuple[object, int]:
    """Nested data with LEFT_OUT in place of its secrets, and how many they were."""
    if isinstance(value, dict):
        pairs = {key: without_secrets(inner, str(key)) for key, inner in value.items()}
        return {key: inner for key, (inner, _) in pairs.items()}, sum(n for _, n in pairs.values())
    if isinstance(value, list):
        items = [without_secrets(inner, name) for inner in value]
        return [inner for inner, _ in items], sum(n for _, n in items)
    if isinstance(value, bool) or value is None:
        return value, 0
    if is_secret(name, str(value)):
        return (LEFT_OUT if isinstance(value, str) else 0), 1
    return value, 0
