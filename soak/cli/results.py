"""`judge`, `report`, `runs`: what became of runs."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import click

from soak import runfile
from soak.cli.app import runs_folder_option, verb
from soak.core import units
from soak.core.errors import SoakError
from soak.judge import judge
from soak.publish import openmetrics
from soak.report import (
    FORMATS,
    SHOWN,
    render,
    write_flamegraph,
)

OPENMETRICS = "openmetrics"


@verb("soak judge latest", "judge", short_help="Judge a run again, and exit with its verdict.")
@click.argument("run_ref", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@runs_folder_option
def judge_(run_ref: str, as_json: bool, runs_folder: Path | None) -> NoReturn:
    """Judge a run file anew (a path, a run of the list, or `latest`) and exit with its verdict."""
    recording = runfile.read(runfile.resolve(run_ref, runs_folder or runfile.folder()))
    verdict = judge(recording)
    click.echo(render(recording, verdict, "json" if as_json else "text"))
    raise SystemExit(verdict.exit_code)


@verb(
    "soak report latest --format html --output report.html   |   soak report latest --flamegraph",
    short_help="Render a run as text, a page, JSON, JUnit or markdown.",
)
@click.argument("run_ref", metavar="RUN")
@click.option(
    "--format", "view", type=click.Choice([*FORMATS, OPENMETRICS]), default="text", show_default=True, help="For whom."
)
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--flamegraph", is_flag=True, help="Write the allocations of a window as memray's flame graph (HTML).")
@click.option("--show", type=click.Choice(list(SHOWN)), default="held", show_default=True, help="With --flamegraph.")
@click.option("--window", metavar="NAME", help="With --flamegraph: which one.  [default: the candidate's last]")
@runs_folder_option
def report(
    run_ref: str,
    view: str,
    output: Path | None,
    flamegraph: bool,
    show: str,
    window: str | None,
    runs_folder: Path | None,
) -> None:
    """Render a run for people or for CI; openmetrics is its course, for `promtool tsdb create-blocks-from`."""
    if view == "html" and output is None and not flamegraph and sys.stdout.isatty():
        raise click.UsageError("--format html is a page for a browser: add --output FILE, or pipe it")
    path = runfile.resolve(run_ref, runs_folder or runfile.folder())
    if window is not None and not flamegraph:
        raise click.UsageError("--window goes with --flamegraph")
    if flamegraph:
        page = output or path.with_name(f"{path.stem}-flamegraph.html")
        name = write_flamegraph(path, window, show, page)
        click.echo(f"wrote {page}: allocations of {name}", err=True)
        return
    recording = runfile.read(path)
    verdict = judge(recording)
    text = openmetrics(recording, verdict) if view == OPENMETRICS else render(recording, verdict, view)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SoakError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"wrote {output}", err=True)


@verb("soak runs")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@runs_folder_option
def runs(as_json: bool, runs_folder: Path | None) -> None:
    """List run files, newest first."""
    entries, broken = runfile.entries(runs_folder or runfile.folder())
    for line in broken:
        click.echo(f"soak: {line}", err=True)
    if as_json:
        rows = [
            {"run": e.run, "path": str(e.path), "scenario": e.scenario, "started": e.started, "soak_s": e.soak_s,
             "verdict": e.verdict, "headline": e.headline, "bytes": e.bytes}
            for e in entries
        ]  # fmt: skip
        click.echo(json.dumps(rows, indent=2))
        return
    if not entries:
        click.echo(f"no runs in {runs_folder or runfile.folder()}/")
    for e in entries:
        when = datetime.fromtimestamp(e.started).strftime("%Y-%m-%d %H:%M")
        length = units.duration(round(e.soak_s)) if e.soak_s is not None else "?"
        click.echo(f"{when}  {e.verdict or 'unfinished':12}  {length:>10}  {units.size(e.bytes):>9}  {e.run}")
