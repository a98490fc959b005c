"""Whole soaks take their time; they are started together, a few at once, and each test waits for its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.harness import Outcome, shipped, soak

# name of the outcome: scenario, and how long its phases are here
SOAKS: dict[str, tuple[str, dict[str, str]]] = {
    "healthy": ("healthy", {}),
    "leak": ("leak", {"soak": "90s"}),
    "recursion": ("recursion", {"soak": "90s"}),
    "quadratic": ("quadratic", {"soak": "90s"}),
    "crash": ("crash", {}),
    "stall": ("stall", {"soak": "100s"}),
    "cache_fill": ("cache_fill", {}),
    "gc_sawtooth": ("gc_sawtooth", {"soak": "90s"}),
    "fragmentation": ("fragmentation", {"soak": "90s"}),
}
AT_ONCE = 3  # on two cores, without one disturbing the other


@pytest.fixture(scope="session")
def shipped_soaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Outcome]]:
    """Gives the outcome of a shipped scenario, by name; all of them are soaked in the background."""

    def run(name: str) -> Outcome:
        folder: Path = tmp_path_factory.mktemp(name)
        story, phases = SOAKS[name]
        return soak(folder, "run", str(shipped(folder, story, **phases)), "--json")

    pool = ThreadPoolExecutor(AT_ONCE)
    outcomes: dict[str, Future[Outcome]] = {name: pool.submit(run, name) for name in SOAKS}
    yield lambda name: outcomes[name].result()
    pool.shutdown(cancel_futures=True)
