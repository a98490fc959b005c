"""`trend`: the judge on any series, without load."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Literal, NoReturn

import click

from soak.cli.app import quantity, verb
from soak.core import units
from soak.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_PASS
from soak.core.records import Series
from soak.judge import judge_many, judge_series
from soak.report import (
    render_series,
    series_json,
)
from soak.series import from_prometheus, from_table

_FEW = 24
"""Points: a trend needs more."""


@verb(
    "soak trend heap.csv --kind floor   |   soak trend --prometheus http://127.0.0.1:9090 --query Q --since 7d",
    short_help="Judge any series as those of a run: does it go on growing?",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), required=False)
@click.option("--column", "columns", multiple=True, help="Judge this column of FILE; may be given several times.")
@click.option("--time", "clock", help="The column of FILE that tells when.  [default: a first column named like time]")
@click.option("--every", help="Time from row to row of FILE where no column tells it, such as 10s.")
@click.option(
    "--prometheus", metavar="URL", help="Judge what a Prometheus has seen; $SOAK_PROMETHEUS_TOKEN if it asks."
)
@click.option("--query", "queries", multiple=True, help="With --prometheus: in PromQL; may be given several times.")
@click.option("--since", default="1d", show_default=True, help="With --prometheus: from how long ago, such as 7d.")
@click.option("--step", help="With --prometheus: from point to point.  [default: 1,500 points]")
@click.option(
    "--kind",
    type=click.Choice(["level", "floor", "ratio"]),
    default="level",
    show_default=True,
    help="floor: what a collector leaves counts (memory); ratio: of a candidate to its reference.",
)
@click.option("--tolerance", default="3%", show_default=True, help="Growth over the whole of it that does not matter.")
@click.option("--limit", type=float, help="Say when it reaches this value.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON.")
def trend(
    file: Path | None,
    columns: tuple[str, ...],
    clock: str | None,
    every: str | None,
    prometheus: str | None,
    queries: tuple[str, ...],
    since: str,
    step: str | None,
    kind: Literal["level", "floor", "ratio"],
    tolerance: str,
    limit: float | None,
    as_json: bool,
) -> NoReturn:
    """Judge any series as those of a run are judged: does it go on growing by more than is tolerated?

    Each column of FILE is a series, each row a moment. Exits with 1 when one fails, else with 3 when one is doubtful.
    A Prometheus that asks for a bearer token gets $SOAK_PROMETHEUS_TOKEN.
    """
    if (file is None) == (prometheus is None):
        raise click.UsageError("either a FILE or --prometheus is needed")
    if prometheus is not None and (not queries or columns or clock or every):
        raise click.UsageError("--prometheus goes with --query; --column, --time and --every go with a FILE")
    if file is not None and (queries or step):
        raise click.UsageError("--query and --step go with --prometheus")
    tolerated = quantity("--tolerance", tolerance, "ratio")
    pace = quantity("--every", every, "time") if every else None
    for option, given in (("--tolerance", tolerated), ("--every", pace)):
        if given is not None and given <= 0:
            raise click.UsageError(f"{option}: expected more than nothing")
    if limit is not None and not math.isfinite(limit):
        raise click.UsageError(f"--limit: expected a number, got {limit}")
    timed, series = True, dict[str, Series]()
    if file is not None:
        table = from_table(file, columns, clock, pace)
        for note in table.notes:
            click.echo(f"soak: {note}", err=True)
        timed, series = table.timed, dict(table.series)
    for query in queries:
        found, apart = from_prometheus(
            prometheus or "", query, quantity("--since", since, "time"), time.time(),
            quantity("--step", step, "time") if step else None,
        )  # fmt: skip
        if any(len(one) < _FEW for one in found.values()):
            far = units.duration(apart)
            click.echo(f"soak: {query}: points are {far} apart; a shorter --since or --step gives more", err=True)
        for name, one in found.items():  # two queries may give the same labels
            series[f"{query}: {name}" if name in series else name] = one
    verdicts = judge_many({n: judge_series(s.t, s.v, kind, tolerated, limit=limit) for n, s in series.items()})
    if as_json:
        click.echo(json.dumps(series_json(verdicts, timed), indent=2, ensure_ascii=False))
    else:
        click.echo(render_series(verdicts, timed))
    results = {one.verdict for one in verdicts.values()}
    raise SystemExit(EXIT_FAIL if "fail" in results else EXIT_INCONCLUSIVE if "inconclusive" in results else EXIT_PASS)
