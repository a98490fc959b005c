"""Control groups of the tests' own, where this machine lets them be made."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from soak.probe.cgroup import ROOT

_PLACES = ((ROOT / "memory", "memory.limit_in_bytes"), (ROOT, "memory.max"))


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A memory control group of version 1 or 2 that holds `limit` bytes; skips the test where there can be none."""
    for top, file in _PLACES:
        folder = top / f"soak-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / file).write_text(str(limit))
        except OSError:  # its parent does not hand this controller down
            folder.rmdir()
            continue
        try:
            yield folder
        finally:
            _remove(folder)
        return
    pytest.skip("no control group with a memory limit can be made here")


def _remove(folder: Path) -> None:
    for _ in range(50):  # the last process may still be on its way out
        with suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
