"""Token files: secrets, and long enough."""

from __future__ import annotations

import os
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


def test_its_owner_may_have_given_it_to_our_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    path.chmod(0o440)
    with pytest.raises(SoakError, match="others on this machine"):
        read_token(path)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert read_token(path) == TOKEN
    path.chmod(0o444)
    with pytest.raises(SoakError, match="others on this machine"):
        read_token(path)
