"""Control groups of the tests' own, where this machine lets them be made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from benchmarks.chaos import injections
from benchmarks.processes import MissingError


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """A memory control group of version 1 or 2 that holds `limit` bytes; skips the test where there can be none."""
    with ExitStack() as cleanup:
        try:
            group = cleanup.enter_context(injections.memory_group(limit))
        except MissingError as error:
            pytest.skip(str(error))
        yield group
