"""`compare`: two runs, or interleaved pairs of runs."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from soak import runfile
from soak.cli.app import allow_host, runs_folder_option, verb
from soak.cli.soaking import refuse_port
from soak.core.comparison import RunsCompared
from soak.core.scenario import Scenario
from soak.core.summary import Noise
from soak.core.verdict import Verdict
from soak.judge import calibrate as calibrate_
from soak.judge import compare_pairs, compare_runs
from soak.report import (
    render_compared,
)
from soak.run import (
    Order,
    alone,
    conduct,
    known_noise,
    noise_path,
    soak_pairs,
    summary_of,
    view_for,
)
from soak.scenario import (
    Loaded,
    load,
    refuse_foreign,
    refuse_unset,
)


@verb(
    "soak compare new.soak old.soak   |   soak compare checkout.yaml --pairs 8",
    short_help="Compare two runs, or pairs of new ones, and exit with the answer.",
)
@click.argument("what", nargs=-1, required=True, metavar="CANDIDATE REFERENCE | SCENARIO")
@click.option("--pairs", type=click.IntRange(1, 100), help="Of a SCENARIO: soak so many pairs of runs.")
@click.option("--calibrate", is_flag=True, help="With --pairs: the reference against itself, to measure the noise.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@allow_host
@runs_folder_option
def compare(
    what: tuple[str, ...],
    pairs: int | None,
    calibrate: bool,
    as_json: bool,
    allowed: tuple[str, ...],
    runs_folder: Path | None,
) -> NoReturn:
    """Compare two run files, or pairs of new runs of a SCENARIO's target and reference, and exit with the answer.

    Pairs are soaked in the order ABBA, every run with fresh processes. Ctrl-C keeps what is done.
    """
    folder = runs_folder or runfile.folder()
    if len(what) != (2 if pairs is None else 1) or (calibrate and pairs is None):
        raise click.UsageError("give two run files, or one SCENARIO with --pairs (and --calibrate)")
    if pairs is None:
        ours, theirs = (summary_of(runfile.resolve(ref, folder)) for ref in what)
        name = runfile.read_meta(runfile.resolve(what[0], folder))["scenario"]["name"]
        found = compare_runs(ours, theirs, known_noise(name, ours.load, folder))
    else:
        found = _compare_pairs(load(Path(what[0])), pairs, calibrate, allowed, folder)
    click.echo(render_compared(found, as_json=as_json))
    raise SystemExit(found.exit_code)


def _compare_pairs(
    loaded: Loaded, count: int, calibrating: bool, allowed: tuple[str, ...], folder: Path
) -> RunsCompared:
    scenario = loaded.scenario
    refuse_foreign(scenario, allowed)
    refuse_unset(scenario, loaded.path)
    trusted = "reference" if scenario.beside is not None or not calibrating else "candidate"
    first = trusted if calibrating else "candidate"
    names = ("a", "b") if calibrating else ("candidate", "reference")
    sides = tuple(alone(scenario, loaded.raw, side, name) for side, name in zip((first, trusted), names, strict=True))

    def soak(model: Scenario, raw: dict[str, Any]) -> tuple[Verdict, Path]:
        for target in model.sides.values():
            refuse_port(target)
        path = runfile.new_path(model.name, time.time(), folder)
        order = Order(model, raw, loaded.text, loaded.path, loaded.folder, path)
        verdict = conduct(order, view_for(sys.stderr))
        click.echo(f"  {path}: {verdict.headline}", err=True)
        return verdict, path

    done = soak_pairs((sides[0], sides[1]), count, soak, lambda line: click.echo(line, err=True))
    criteria = [c for c in scenario.criteria if c.against_reference]
    found = calibrate_(done.pairs) if calibrating else compare_pairs(done.pairs, criteria, done.dead)
    notes = list(done.notes)
    if calibrating and found.spreads:
        path = noise_path(scenario.name, folder)
        path.write_text(json.dumps(Noise(done.pairs[0][0].load, found.spreads).to_json(), indent=2) + "\n", "utf-8")
        notes.append(f"the noise is kept in {path}, and used by `reference: {{run: ...}}` and `soak compare`")
    return replace(found, notes=(*found.notes, *notes), interrupted=done.interrupted)
