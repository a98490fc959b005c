"""`grafana push`, `grafana annotate`: soak in the Grafana that a team already has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import click

from soak import __version__, runfile
from soak.cli.app import main, quantity, runs_folder_option, verb
from soak.core.budget import whole
from soak.core.errors import PublishError, RunFileError, SoakError
from soak.judge import judge
from soak.publish.grafana.annotations import deployed, marks, write
from soak.publish.grafana.boards import boards
from soak.publish.grafana.client import Grafana
from soak.publish.grafana.push import apply, plan
from soak.publish.grafana.resources import AlertRule, ContactPoint, Dashboard, DataSource, Folder, Resource
from soak.publish.grafana.rules import rules

_UID = "soak"
"""Of the folder; the data source, the contact point and the dashboards begin with it."""


@main.group(
    epilog="Example: soak grafana push --url https://grafana.example --prometheus http://prometheus:9090",
    short_help="Dashboards, alert rules and annotations in a Grafana.",
)
def grafana() -> None:
    """Dashboards, alert rules and annotations in a Grafana, through its HTTP API.

    $SOAK_GRAFANA_TOKEN is the token of a service account.
    """


_TURN_S = 10.0
"""How often a run that goes on is looked at for something to annotate."""
_SILENT_S = 900.0
"""A run of which nothing was heard for so long was killed."""
_ORPHANED_S = 60.0
"""The same, when whoever began this is gone too: a run that is resumed brings its own."""
_GRACE_S = 10.0
"""How long `soak run` waits, after its end, for the last annotations."""


def _connected(url: str) -> Grafana:
    token = os.environ.get("SOAK_GRAFANA_TOKEN", "")
    return Grafana(url, token, lambda line: click.echo(line, err=True))


url_option = click.option(
    "--url", envvar="SOAK_GRAFANA_URL", required=True, show_envvar=True, help="Where Grafana is, as in a browser."
)


@verb("soak grafana push --url https://grafana.example --prometheus http://prometheus:9090 --dry-run", of=grafana)
@url_option
@click.option("--prometheus", metavar="URL", help="Make a data source of this Prometheus; as Grafana reaches it.")
@click.option(
    "--scrape-interval", default="15s", show_default=True, help="With --prometheus: how often it scrapes soak."
)
@click.option("--data-source", metavar="UID", help="Use this data source, which is there already.")
@click.option("--alerts", is_flag=True, help="Have Grafana evaluate soak's alerts; leave it away if Prometheus does.")
@click.option(
    "--webhook",
    envvar="SOAK_GRAFANA_WEBHOOK",
    show_envvar=True,
    metavar="URL",
    help="With --alerts: a contact point that they are told to; without it, Grafana's own policy routes them.",
)
@click.option("--dry-run", is_flag=True, help="Say what differs, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def push(
    url: str,
    prometheus: str | None,
    scrape_interval: str,
    data_source: str | None,
    alerts: bool,
    webhook: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Have the folder, data source, dashboards, alert rules and contact point in Grafana.

    Everything is found by its uid, so that doing it again changes nothing. What a file provisions is left alone: then
    nothing at all is written.
    """
    if prometheus is not None and data_source is not None:
        raise click.UsageError("either --prometheus or --data-source")
    if alerts and prometheus is None and data_source is None:
        raise click.UsageError("--alerts needs to know the data source: --prometheus or --data-source")
    wanted: list[Resource] = [Folder(_UID, "soak")]
    source = data_source
    if prometheus is not None:
        source = f"{_UID}-prometheus"
        every = round(quantity("--scrape-interval", scrape_interval, "time"))
        wanted.append(DataSource(source, "soak", prometheus, every))
    wanted += [Dashboard(model, _UID, f"soak {__version__}") for model in boards(source)]
    if alerts and source is not None:
        if webhook is not None:
            wanted.append(ContactPoint(f"{_UID}-webhook", "soak", webhook))
        wanted += [AlertRule(rule) for rule in rules(_UID, source, "soak" if webhook is not None else None)]
    there = _connected(url)
    click.echo(f"Grafana {there.version()} at {there.url}", err=True)
    steps = plan(there, wanted)
    if not dry_run:
        apply(there, steps)
    if as_json:
        rows = [{"resource": s.resource.name, "change": s.change, "diff": s.diff} for s in steps]
        click.echo(json.dumps({"dry_run": dry_run, "steps": rows}, indent=2))
        return
    for step in steps:
        click.echo(f"{step.change:7} {step.resource.name}")
        if dry_run and step.change == "update":
            click.echo("\n".join(f"        {line}" for line in step.diff.splitlines()))
    changed = sum(s.change != "same" for s in steps)
    click.echo(f"{changed} of {len(steps)} " + ("would be written" if dry_run else "written"))


@verb("soak grafana annotate latest --url https://grafana.example", of=grafana)
@click.argument("run_ref", metavar="RUN")
@url_option
@click.option("--follow", is_flag=True, help="Annotate a run while it goes on, until it ends.")
@runs_folder_option
def annotate(run_ref: str, url: str, follow: bool, runs_folder: Path | None) -> None:
    """Write a run's phases, findings and what was under test beside the graphs.

    Done again, it closes what has ended since, and changes only what differs.
    """
    there = _connected(url)
    if follow:
        path = _awaited(run_ref, runs_folder or runfile.folder())
        _follow(there, path)
    else:
        path = runfile.resolve(run_ref, runs_folder or runfile.folder())
    recording = runfile.read(path)
    done = write(there, recording.run, marks(recording, judge(recording)))
    click.echo(
        f"{recording.run}: {done.added} annotations added, {done.changed} changed, {done.removed} removed, "
        f"{done.same} as they were"
    )


@verb("soak grafana deploy 'checkout 1.4.2' --scenario checkout -- ./deploy.sh staging", of=grafana)
@click.argument("what")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@url_option
@click.option("--scenario", "scenarios", multiple=True, metavar="NAME", help="Show it beside the runs of this one.")
def deploy(what: str, command: tuple[str, ...], url: str, scenarios: tuple[str, ...]) -> NoReturn:
    """Run a COMMAND that deploys, write beside the graphs how long it took, and exit with its exit code.

    It is run whether there is a Grafana or not.
    """
    there = _connected(url)
    began = time.time()
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise SoakError(f"{command[0]}: cannot be run: {error.strerror}") from None
    code = code if code >= 0 else 128 - code  # as a shell says that a signal ended it
    try:
        deployed(there, what, scenarios, began, time.time(), code)
    except PublishError as error:
        click.echo(f"not annotated: {error}", err=True)
    raise SystemExit(code)


def _awaited(run_ref: str, folder: Path) -> Path:
    """The run file, which a run that begins has yet to write; as long as whoever began this is there."""
    parent = os.getppid()
    while True:
        try:
            return runfile.resolve(run_ref, folder)
        except RunFileError:
            if os.getppid() != parent or not run_ref.endswith(runfile.SUFFIX):
                raise
        time.sleep(0.5)


def _follow(there: Grafana, path: Path) -> None:
    """Annotate what is known of a run until it has ended. A Grafana that is away is tried again the next time."""
    reader = runfile.LiveReader(path)
    parent, upto, heard = os.getppid(), -1.0, time.monotonic()
    while True:
        recording = reader.recording()
        if recording.finished:
            return
        if recording.duration > upto:
            upto, heard = recording.duration, time.monotonic()
        elif time.monotonic() - heard > (_SILENT_S if os.getppid() == parent else _ORPHANED_S):
            click.echo("the run has been silent for a long time: it is taken as it is", err=True)
            return
        try:
            write(there, recording.run, marks(recording, None))
        except PublishError as error:
            click.echo(f"not annotated yet: {error}", err=True)
        time.sleep(_TURN_S)


@contextmanager
def annotated(url: str | None, run_file: Path, rest: Callable[[float], float] = whole) -> Iterator[None]:
    """While a run goes on in here, and a little longer, a process of its own annotates it.

    `rest` says how much of so many seconds there is still time for.

    It may fail, hang or be killed: the run does not notice. What it says is kept beside the run file when it failed.
    Raises PublishError when the address or the token cannot be right.
    """
    if url is None:
        yield
        return
    _connected(url)
    run_file.parent.mkdir(parents=True, exist_ok=True)
    log = run_file.with_suffix(".grafana.log")
    command = [sys.executable, "-m", "soak.cli", "grafana", "annotate", str(run_file), "--url", url, "--follow"]
    with log.open("wb") as out:
        follower = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=out, start_new_session=True
        )
    try:
        yield
    finally:
        if not run_file.exists():  # nothing was measured: there is nothing to annotate
            follower.kill()
        try:
            failed = follower.wait(rest(_GRACE_S)) != 0
        except subprocess.TimeoutExpired:  # it goes on by itself
            failed = True
        if failed and run_file.exists():
            click.echo(f"Grafana has not been told of everything yet: {log} says why", err=True)
        else:
            log.unlink()
