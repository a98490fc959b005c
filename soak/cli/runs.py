"""`run`, `worker`, `demo`: soaks that are made here, or by a daemon for a CI job."""

from __future__ import annotations

import os
import socket
from importlib import resources
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn
from uuid import uuid4

import click
from click.core import ParameterSource

from soak import runfile
from soak.cli.app import address, allow_host, quantity, runs_folder_option, verb
from soak.cli.soaking import Told, soak, views, write_report
from soak.core.budget import Budget
from soak.core.errors import EXIT_FAIL, EXIT_INTERRUPTED, EXIT_PASS, SoakError
from soak.core.scenario import Scenario
from soak.core.token import read_token
from soak.daemon import Client, Wanted
from soak.load import Invitation, Listen
from soak.run import scenario_of, serve, serve_forever, take_up
from soak.scenario import Loaded, compared_with, cut_in_words, fitted, from_flags, load, refuse_foreign


@verb("soak run scenarios/leak.yaml   |   soak run --url http://127.0.0.1:8000/ --rate 50/s --for 10m --port 8000")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--url", help="Soak this URL with default criteria, without a scenario file.")
@click.option("--rate", help="With --url: arrivals, such as 50/s.")
@click.option(
    "--users", type=int, help="With --url: plain Locust users that wait for their answers, instead of --rate."
)
@click.option("--for", "duration", help="With --url: length of the soak, such as 10m.")
@click.option("--command", help="With --url: start this program and watch it.")
@click.option("--port", type=int, help="With --url: watch whoever listens on this port.")
@click.option("--pid", type=int, help="With --url: watch this process.")
@click.option("--name", help="With --url: watch the process of this name.")
@click.option("--resume", metavar="RUN", help="Go on with a run that was cut off or interrupted, in its run file.")
@click.option("--listen", metavar="HOST:PORT", help="Let workers from other machines join here (`soak worker`).")
@click.option("--token-file", type=click.Path(path_type=Path), help="With --listen: what workers must know.")
@click.option(
    "--on", metavar="URL", help="Have `soak serve` there run FILE of its own folder; $SOAK_TOKEN is the token."
)
@click.option("--upload", is_flag=True, help="With --on: FILE is here; bring it along, if the daemon allows uploads.")
@click.option("--priority", type=click.IntRange(-100, 100), help="With --on: higher is sooner.  [default: 0]")
@click.option("--request-key", metavar="KEY", help="With --on: the same key again is the same run.  [default: random]")
@click.option("--remote-workers", type=int, default=0, help="With --listen: begin when so many have joined.")
@click.option("--detach", is_flag=True, help="With --on: do not wait; the same --request-key later does.")
@click.option(
    "--budget", metavar="TIME", help="Cut FILE to this, such as 20m, verdict included; says what it cannot see."
)
@click.option(
    "--report", "reports", multiple=True, metavar="FORMAT=FILE", help="Write this report too, such as junit=soak.xml."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, last thing on standard output.")
@click.option("--against", metavar="RUN", help="Compare with this earlier run; for a scenario without a reference.")
@click.option(
    "--annotate",
    metavar="URL",
    envvar="SOAK_ANNOTATE",
    show_envvar=True,
    help="Annotate the run in this Grafana as it goes.",
)
@click.option("--metrics", metavar="HOST:PORT", help="Serve Prometheus at /metrics while the run goes on.")
@click.option("--metrics-token-file", type=click.Path(path_type=Path), help="What scrapers must show.")
@click.option("--remote-write", metavar="URL", help="Push native histograms there; token: $SOAK_REMOTE_WRITE_TOKEN.")
@click.option("--run-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the run here, not to --runs.")
@allow_host
@runs_folder_option
def run(
    file: Path | None,
    against: str | None,
    run_file: Path | None,
    annotate: str | None,
    metrics: str | None,
    metrics_token_file: Path | None,
    remote_write: str | None,
    listen: str | None,
    token_file: Path | None,
    on: str | None,
    upload: bool,
    priority: int | None,
    request_key: str | None,
    remote_workers: int,
    detach: bool,
    budget: str | None,
    reports: tuple[str, ...],
    resume: str | None,
    url: str | None,
    rate: str | None,
    users: int | None,
    duration: str | None,
    as_json: bool,
    allowed: tuple[str, ...],
    runs_folder: Path | None,
    **watch: Any,
) -> NoReturn:
    """Soak a target, judge it, and exit with the verdict."""
    if on is not None:
        here = (url, rate, users, duration, listen, token_file, against, run_file, resume, runs_folder, budget)
        annotated = annotate if _said("annotate") else None  # in the environment it is for runs that are made here
        here = (*here, metrics, metrics_token_file, remote_write, annotated, *watch.values())
        if file is None or allowed or remote_workers or any(v is not None for v in here):
            raise click.UsageError(
                "--on goes with FILE, --upload, --priority, --request-key, --detach, --report and --json only"
            )
        if detach and (request_key is None or as_json or reports):
            raise click.UsageError("--detach goes with --request-key: it is how the verdict is asked for later")
        wanted = Wanted(str(file), priority or 0, request_key or uuid4().hex, _content(file) if upload else None)
        _run_on(on, wanted, as_json, views(reports), detach)
    if priority is not None or request_key is not None or upload or detach:
        raise click.UsageError("--upload, --priority, --request-key and --detach go with --on")
    if budget is not None and file is None:
        raise click.UsageError("--budget cuts the phases of a scenario FILE")
    began, wanted_views = monotonic(), views(reports)
    if sum(given is not None for given in (file, url, resume)) != 1:
        raise click.UsageError("expected one of a scenario FILE, --url and --resume")
    if url is None and (rate or users or duration or any(v is not None for v in watch.values())):
        raise click.UsageError("--rate, --users, --for, --command, --port, --pid and --name go with --url")
    if resume is not None and (against is not None or run_file is not None):
        raise click.UsageError("--against and --run-file are for a new run: --resume goes on with what its file says")
    folder = runs_folder or runfile.folder()
    past = None
    if file is not None:
        loaded = load(file)
    elif resume is not None:
        run_file = runfile.resolve(resume, folder)
        loaded = Loaded(*_given(run_file))
        past = take_up(run_file)
    else:
        if (rate is None) == (users is None) or duration is None:
            raise click.UsageError("--url needs --for, and either --rate or --users")
        if sum(v is not None for v in watch.values()) > 1:
            raise click.UsageError("expected at most one of --command, --port, --pid and --name: what is watched")
        loaded = from_flags(url=url or "", rate=rate, users=users, duration=duration, **watch)
        click.echo(loaded.text, err=True)
    joining = _joining(listen, token_file, remote_workers)
    told = _told(metrics, metrics_token_file, remote_write, annotate)
    if against is not None:
        loaded = compared_with(loaded, runfile.resolve(against, folder))
    limit = None
    if budget is not None:
        loaded, limit = _cut(loaded, budget, began)
    verdict = soak(
        loaded,
        folder,
        allowed=allowed,
        run_file=run_file,
        past=past,
        joining=joining,
        told=told,
        budget=limit,
        as_json=as_json,
        reports=wanted_views,
    )
    raise SystemExit(verdict.exit_code)


def _said(option: str) -> bool:
    """Whether an option stands on the command line."""
    return click.get_current_context().get_parameter_source(option) is ParameterSource.COMMANDLINE


def _joining(listen: str | None, token_file: Path | None, workers: int) -> tuple[Listen, str] | None:
    """Where workers of other machines may join, and what they must know."""
    if (listen is None) != (token_file is None) or (workers and listen is None):
        raise click.UsageError("--listen and --token-file go together; --remote-workers goes with them")
    if listen is None or token_file is None:
        return None
    return Listen(*address(listen), workers), read_token(token_file)


def _told(metrics: str | None, token_file: Path | None, remote_write: str | None, annotate: str | None) -> Told:
    if metrics is None and token_file is not None:
        raise click.UsageError("--metrics-token-file goes with --metrics")
    token = read_token(token_file) if token_file is not None else None
    return Told(address(metrics) if metrics is not None else None, token, remote_write, annotate)


def _cut(loaded: Loaded, budget: str, began: float) -> tuple[Loaded, Budget]:
    """A scenario cut to a budget that runs since `began` (s, monotonic); says what is cut."""
    seconds = quantity("--budget", budget, "time")
    cut = fitted(loaded, seconds)
    if cut.scenario.phases.whole_s > cut.scenario.phases.soak:
        click.echo(cut_in_words(cut.scenario, seconds, cut.folder), err=True)
    return cut, Budget(seconds, began + seconds)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SoakError(f"{file}: cannot be read: {error.strerror}") from None


def _run_on(url: str, wanted: Wanted, as_json: bool, reports: dict[Path, str], detach: bool) -> NoReturn:
    client = Client(url, os.environ.get("SOAK_TOKEN"), lambda line: click.echo(line, err=True))
    if detach:
        client.submit(wanted)
        raise SystemExit(EXIT_PASS)
    ended = client.run(wanted)
    if ended["verdict"] is not None and ended["measured"]:
        click.echo(client.verdict(ended["id"]) if as_json else client.report(ended["id"]))
        for path, view in reports.items():
            write_report(path, client.report(ended["id"], view))
    else:
        click.echo(f"soak: run {ended['id']}: {ended['reason'].removeprefix('soak: ')}", err=True)
    raise SystemExit(ended["exit_code"])


@verb(
    "soak worker --master 10.0.0.5:5557 --token-file token",
    short_help="Generate load for a run on another machine.",
)
@click.option("--master", required=True, metavar="HOST:PORT", help="Where `soak run --listen` listens.")
@click.option("--token-file", required=True, type=click.Path(path_type=Path), help="What both sides know.")
@click.option("--name", help="What this worker is called in reports.  [default: the host's name]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    help="Where the files are that the scenario names.",
)
@click.option("--forever", is_flag=True, help="Wait for the next run when one has ended, and for the first as long.")
@allow_host
def worker(
    master: str, token_file: Path, name: str | None, folder: Path, forever: bool, allowed: tuple[str, ...]
) -> None:
    """Generate load for a run on another machine, until that run ends (`--forever`: and then for the next one)."""
    host, port = address(master)
    invitation = Invitation(
        host, port, read_token(token_file), name or socket.gethostname(), local=False, folder=str(folder.resolve())
    )
    work = serve_forever if forever else serve
    work(invitation, lambda scenario: refuse_foreign(scenario, allowed), lambda line: click.echo(line, err=True))


@verb("soak demo", short_help="Soak a leaking server beside a healthy one: three minutes.")
@runs_folder_option
def demo(runs_folder: Path | None) -> NoReturn:
    """Soak a leaking server beside a healthy one for three minutes, and explain what is seen.

    Exits with 0 when the demo showed what it promises: the leak found, the healthy one left alone.
    """
    scenario = resources.files("soak.specimens") / "demo.yaml"
    with resources.as_file(scenario) as path:
        loaded = load(path)
    click.echo(_DEMO_BEFORE, err=True)
    verdict = soak(loaded, runs_folder or runfile.folder())
    if verdict.interrupted:
        raise SystemExit(EXIT_INTERRUPTED)
    caught = any(f.cause == "object_leak" and f.severity == "fail" for f in verdict.candidate.findings)
    spared = verdict.reference is not None and not any(f.severity == "fail" for f in verdict.reference.findings)
    if caught and spared:
        click.echo(_DEMO_AFTER)
        raise SystemExit(EXIT_PASS)
    click.echo("\nThe demo did not show what it promises: see the verdict above. A busy machine can be the reason.")
    raise SystemExit(EXIT_FAIL)


_DEMO_BEFORE = """\
Two copies of one small shop server are soaked side by side with the very same arrivals. The candidate
keeps a little of every request for ever; the reference does not. Both answer quickly all the time: a
short benchmark would pass both. It takes about three minutes.
"""

_DEMO_AFTER = """
The demo showed what it promised: the candidate fails because its memory grows without end, and the
healthy reference beside it, under the same arrivals, was left alone.
Next: `soak init` writes a scenario for your own service."""


def _given(run_file: Path) -> tuple[Scenario, dict[str, Any], str, str, Path]:
    """The scenario that is in a run file, as that which a scenario file gives."""
    scenario, raw, folder = scenario_of(run_file)
    return scenario, raw, "", str(run_file), folder
