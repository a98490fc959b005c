"""The daemon's log: one line for what happened, whatever a target or a caller said."""

from __future__ import annotations

import json
import logging

import pytest

from soak.daemon.log import LOG, Format, log_to_stderr, say


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_others_said_begins_no_line_of_its_own(
    form: Format, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("handlers", "level", "propagate"):
        monkeypatch.setattr(LOG, name, getattr(LOG, name))
    log_to_stderr(form)
    said = "it said last: a\r\n2026-01-01T00:00:00Z INFO run 1: ended, pass\x1b[8m\x9b8m\t%s"
    say("ended", said, run=2, level=logging.WARNING)
    written = capsys.readouterr().err
    assert written.count("\n") == 1
    assert not {"\r", "\x1b", "\t"} & set(written)
    if form == "json":
        assert json.loads(written)["message"] == said
    else:
        assert written[20:] == (
            r" WARNING run 2: it said last: a / 2026-01-01T00:00:00Z INFO run 1: ended, pass\x1b[8m\x9b8m\t%s" "\n"
        )
