"""One soak that is made here: what refuses it, whom it tells as it goes, and what is left of it."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import click

from soak import runfile
from soak.cli.grafana import annotated
from soak.core.budget import Budget, whole
from soak.core.errors import SoakError
from soak.core.target import Target
from soak.core.verdict import Verdict
from soak.load import Listen
from soak.publish import Pushing, Serving
from soak.publish.remote_write import PATIENCE_S
from soak.publish.serving import LONGEST_WAIT_S
from soak.report import FORMATS, render
from soak.run import Order, Past, conduct, view_for
from soak.scenario import Loaded, port_in_use, refuse_foreign, refuse_unreachable, refuse_unset


@dataclass(frozen=True, slots=True)
class Told:
    """Which systems are told of a run while it goes on."""

    metrics: tuple[str, int] | None = None
    """Where it is served to scrapers."""
    token: str | None = None
    """What scrapers show."""
    remote_write: str | None = None
    annotate: str | None = None
    """The Grafana that shows it beside its graphs."""


def soak(
    loaded: Loaded,
    folder: Path,
    *,
    allowed: tuple[str, ...] = (),
    run_file: Path | None = None,
    past: Past | None = None,
    joining: tuple[Listen, str] | None = None,
    told: Told = Told(),
    budget: Budget | None = None,
    as_json: bool = False,
    reports: Mapping[Path, str] = MappingProxyType({}),
) -> Verdict:
    """Make a run in a folder, tell of it, and print its report. Raises SoakError when it may not or cannot begin."""
    scenario = loaded.scenario
    refuse_foreign(scenario, allowed)
    refuse_unset(scenario, loaded.path)
    for target in scenario.sides.values() if past is None or not past.over else ():
        if target.process is None:
            refuse_unreachable(target)
        else:
            refuse_port(target)
    if run_file is None:
        run_file = runfile.new_path(scenario.name, time.time(), folder)
    elif past is None and (run_file.exists() or run_file.suffix != runfile.SUFFIX):
        raise SoakError(f"--run-file {run_file}: expected the name of a new file that ends in {runfile.SUFFIX}")
    listen, token = joining or (None, None)
    order = Order(scenario, loaded.raw, loaded.text, loaded.path, loaded.folder, run_file, listen, token, past, budget)
    rest = budget.rest if budget is not None else whole
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(annotated(told.annotate, run_file, rest))
        serving = None
        if told.metrics is not None:
            serving = Serving(*told.metrics, order.live, told.token)
            cleanup.callback(serving.close)
        with contextlib.ExitStack() as pushed:  # all of it, before a scraper is waited for
            if told.remote_write is not None:
                token = os.environ.get("SOAK_REMOTE_WRITE_TOKEN")
                pushing = Pushing(told.remote_write, order.live, token, lambda line: click.echo(line, err=True))
                pushed.callback(lambda: pushing.close(rest(PATIENCE_S)))
            verdict = conduct(order, view_for(sys.stderr))
            tell(verdict, run_file, as_json, reports)
        if serving is not None:
            serving.wait_until_seen(rest(LONGEST_WAIT_S))
    return verdict


def tell(verdict: Verdict, run_file: Path, as_json: bool, reports: Mapping[Path, str]) -> None:
    """Print the report, and leave the page beside the run file, and whatever else was asked for.

    Raises SoakError for a report that cannot be written, when all others were.
    """
    recording = runfile.read(run_file)
    click.echo(render(recording, verdict, "text"), err=as_json)
    click.echo(
        f"report: {page_beside(run_file, render(recording, verdict, 'html'))}\nrun file: {run_file}", err=as_json
    )
    fault = None
    for path, view in reports.items():
        try:
            write_report(path, render(recording, verdict, view))
        except SoakError as error:
            fault = error
    if as_json:
        click.echo(render(recording, verdict, "json"))
    if fault is not None:
        raise fault


def page_beside(run_file: Path, html: str) -> str:
    """Write the HTML report beside the run file; where it is, or why there is none: the verdict needs no page."""
    page = run_file.with_suffix(".html")
    try:
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        with contextlib.suppress(OSError):
            page.unlink()  # half a page looks like a whole one
        return f"none, {page} cannot be written: {error.strerror}"
    return str(page)


def views(given: tuple[str, ...]) -> dict[Path, str]:
    """The formats of `--report FORMAT=FILE`, by file. Raises UsageError before anything runs."""
    found = {}
    for text in given:
        view, _, name = text.partition("=")
        if view not in FORMATS or not name:
            raise click.UsageError(f"--report {text}: expected FORMAT=FILE, and one of {', '.join(FORMATS)}")
        if not Path(name).absolute().parent.is_dir():
            raise click.UsageError(f"--report {text}: there is no folder {Path(name).parent}")
        found[Path(name)] = view
    return found


def write_report(path: Path, text: str) -> None:
    """Leave a report where it was asked for. Raises SoakError."""
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SoakError(f"--report: {path} cannot be written: {error.strerror}") from None


def refuse_port(target: Target) -> None:
    """Refuse to start a target whose port is taken: load would go to a stranger."""
    if port_in_use(target):
        raise SoakError(
            f"something listens on {target.host}:{target.tcp_port} already: "
            "soak would start the target beside it and load the wrong program"
        )
