"""The secret that two hosts of one run both know, kept in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path

from soak.core.errors import SoakError

MIN_TOKEN = 16


def read_token(path: Path) -> str:
    """The token in a file: its text without blanks around it. Raises SoakError in plain words."""
    try:
        found = path.stat()
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text"
        raise SoakError(f"token file {path}: cannot be read: {reason}") from None
    given = 0o040 if found.st_uid != os.getuid() else 0  # by its owner to our group, as Kubernetes mounts a secret
    if found.st_mode & 0o077 & ~given:
        raise SoakError(f"token file {path}: others on this machine may read it; `chmod 600 {path}` first")
    if len(token) < MIN_TOKEN:
        raise SoakError(
            f"token file {path}: a token has {MIN_TOKEN} characters or more; `openssl rand -hex 32` makes one"
        )
    return token
