"""Token files: secrets, and long enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.core.token import read_token

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    "content, mode, words",
    [
        (None, 0o600, "cannot be read"),
        ("short\n", 0o600, "16 characters or more"),
        (TOKEN, 0o644, "chmod 600"),
        (TOKEN, 0o600, None),
    ],
)
def test_a_token_is_a_secret(tmp_path: Path, content: str | None, mode: int, words: str | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    if words is None:
        assert read_token(path) == TOKEN
    else:
        with pytest.raises(SoakError, match=words):
            read_token(path)
