"""Pages of runs that go on or have ended, made from their run files again and again.

Of each scenario one run is shown, the newest that goes on or else the last that ended: series go on from run to run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from soak.core.errors import RunFileError
from soak.publish.collect import About, Standing, tell_end, tell_present, tell_run, tell_standing
from soak.publish.names import MORE_SCENARIOS
from soak.publish.page import Page
from soak.runfile import LiveReader, read_meta, read_standing

MOST_SCENARIOS = 50


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that is to be shown, as whoever keeps a list of runs knows it. Times are seconds since 1970.

    `ended` is None for one that nobody knows the end of; then its run file tells. `document` is a file with its
    verdict, for a run that died and was judged afterwards; `verdict` and `headline` are for one that left nothing.
    """

    path: Path | None
    scenario: str = ""
    started: float = 0.0
    ended: float | None = None
    verdict: str | None = None
    headline: str = ""
    document: Path | None = None


class Exporter:
    """Reads run files, each new part of a live one once."""

    def __init__(
        self, clock: Callable[[], float] = time.time, follow: Callable[[Path], LiveReader] = LiveReader
    ) -> None:
        self._clock, self._follow = clock, follow
        self._readers: dict[Path, LiveReader] = {}
        self._ended: dict[Shown, tuple[About, Standing | None]] = {}

    def page(self, runs: Sequence[Shown]) -> Page:
        """A page of runs, of which those that go on come first, and the newest of them."""
        page, unreadable = Page(), 0
        taken: set[str] = set()
        beyond: dict[str, int] = {}
        kept = {r.path for r in runs if r.ended is None}  # a reader holds all of its run, and an ended one is not read
        self._readers = {path: reader for path, reader in self._readers.items() if path in kept}
        self._ended = {run: self._ended[run] for run in runs if run in self._ended}
        for run in runs:
            try:
                name = run.scenario or self._scenario(run)
                if name in taken or len(taken) >= MOST_SCENARIOS:
                    beyond[name] = beyond.get(name, 0) + 1
                    continue
                one = Page()  # all of a run or nothing: half a page would be half an all-clear
                self._tell(one, run, name)
            except (RunFileError, OSError, ValueError, KeyError, TypeError):
                unreadable += 1
                continue
            taken.add(name)
            page.take(one)
        for name in taken:
            page.add("soak_left_out", [name, "runs"], beyond.pop(name, 0))
        page.add("soak_left_out", [MORE_SCENARIOS, "runs"], sum(beyond.values()))
        page.add("soak_runs_unreadable", [], unreadable)
        return page

    def _scenario(self, run: Shown) -> str:
        return About.of(read_meta(run.path)).scenario if run.path is not None else ""

    def _tell(self, page: Page, run: Shown, name: str) -> None:
        if run.ended is None:
            assert run.path is not None
            meta = read_meta(run.path)
            if meta.get("verdict") is None:
                self._tell_live(page, run.path, About.of(meta))
                return
            self._readers.pop(run.path, None)
        about, standing = self._ended_one(run, name)
        end = run.ended or (standing.judged if standing is not None else about.started)
        tell_run(page, about, "ended", end)
        document: Mapping[str, Any] = standing.document if standing is not None else {}
        verdict, headline = run.verdict or document.get("verdict"), run.headline or document.get("headline", "")
        tell_end(page, about.scenario, end, verdict, headline)
        if standing is not None:
            tell_standing(page, about.scenario, standing)

    def _tell_live(self, page: Page, path: Path, about: About) -> None:
        if path not in self._readers:
            self._readers[path] = self._follow(path)
        tell_present(page, about, self._readers[path].recording(), self._clock())
        found = read_standing(path)
        if found is not None:
            tell_standing(page, about.scenario, Standing(*found))

    def _ended_one(self, run: Shown, name: str) -> tuple[About, Standing | None]:
        """What is known of a run that has ended: read once, for it changes no more."""
        if run not in self._ended:
            about, standing = About(name, run.path.stem if run.path is not None else "", run.started), None
            if run.path is not None and run.path.is_file():
                about = About.of(read_meta(run.path))
                found = read_standing(run.path)
                standing = Standing(*found) if found is not None else None
            if (document := _document(run.document)) is not None:
                standing = Standing(run.ended or about.started, document)
            self._ended[run] = about, standing
        return self._ended[run]


def _document(path: Path | None) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes()) if path is not None else None
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and {"verdict", "criteria", "findings", "comparison", "validity"} <= found.keys()
    return found if whole else None


def encode(page: Page, accept: str) -> tuple[bytes, str]:
    """A page in the format that the `Accept` header of a scraper asks for, and its content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Made(page))
    write, kind = choose_encoder(accept)
    return write(registry), kind


@dataclass(frozen=True, slots=True)
class _Made:
    page: Page

    def collect(self) -> Iterable[Metric]:
        """As prometheus_client's registry asks for it."""
        return self.page.metrics()
