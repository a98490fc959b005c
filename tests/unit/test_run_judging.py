"""When a run is judged while it goes on, and what becomes of a look that fails."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.core.errors import RunFileError
from soak.run.judging import Judging
from soak.runfile import RunWriter
from tests.making import scenario


def test_a_look_that_fails_ends_nothing_and_is_as_rare_as_one_that_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soak.run.judging._LOOK_S", 0.0)

    def recording() -> None:
        time.sleep(0.1)
        raise RunFileError("the disk is gone")

    now = 100.0
    noted: list[str] = []
    RunWriter.create(tmp_path / "a.soak", {}).close()
    live = SimpleNamespace(path=tmp_path / "a.soak", recording=recording)
    judging = Judging(scenario(), cast(Any, live), lambda: now, noted.append)
    judging.begin(now)
    deadline = time.monotonic() + 10
    while judging._look is not None and time.monotonic() < deadline:
        assert judging.found() is None
        time.sleep(0.01)
    for later in (0.1, 1.0, 4.0):  # it took 0.1 s, and may take one part in fifty
        judging.begin(now + later)
        assert judging._look is None
    judging.begin(now + 60.0)
    while judging._look is not None and time.monotonic() < deadline:
        assert judging.found() is None
        time.sleep(0.01)
    judging.close()
    assert noted == ["the run so far could not be judged: RunFileError: the disk is gone"], "once, though two failed"
