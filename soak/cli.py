"""The front door: one short function a verb.

Progress goes to standard error, results to standard output. Exit codes: 0 pass, 1 fail, 2 bad usage or
scenario, 3 inconclusive, 4 invalid measurement, 130 interrupted.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar
from uuid import uuid4

import click

from soak import __version__, runfile
from soak.core import units
from soak.core.comparison import RunsCompared
from soak.core.errors import EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED, EXIT_PASS, SoakError
from soak.core.records import Series
from soak.core.scenario import Scenario, Target
from soak.core.summary import Noise
from soak.core.token import read_token
from soak.core.verdict import Verdict
from soak.daemon import Client, Wanted
from soak.doctor import examine
from soak.judge import calibrate as calibrate_
from soak.judge import compare_pairs, compare_runs, judge, judge_many, judge_series
from soak.load import Invitation, Listen
from soak.report import (
    FORMATS,
    SHOWN,
    render,
    render_checkup,
    render_compared,
    render_series,
    series_json,
    write_flamegraph,
)
from soak.run import (
    Order,
    Past,
    agent_environment,
    alone,
    conduct,
    known_noise,
    noise_path,
    scenario_of,
    serve,
    soak_pairs,
    summary_of,
    take_up,
    view_for,
)
from soak.scenario import (
    Loaded,
    compared_with,
    explain,
    from_access_logs,
    from_flags,
    from_har,
    from_openapi,
    json_schema,
    load,
    port_in_use,
    refuse_foreign,
    refuse_unreachable,
    refuse_unset,
    template,
)
from soak.series import from_prometheus, from_table

F = TypeVar("F", bound=Callable[..., Any])


class _Verb(click.Command):
    """A verb that ends every expected error as one clear message and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SoakError as error:
            click.echo(f"soak: {error}", err=True)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt:
            click.echo("soak: interrupted before there was anything to judge", err=True)
            raise SystemExit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:  # the reader of a report had enough of it
            sys.stderr.close()
            raise SystemExit(EXIT_PASS) from None


def _verb(example: str) -> Callable[[Callable[..., Any]], click.Command]:
    return main.command(cls=_Verb, epilog=f"Example: {example}")


def _allow_host(function: F) -> F:
    return click.option(
        "--allow-host",
        "allowed",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Let load go to this host too; without it, only to loopback.",
    )(function)


def _runs_folder(function: F) -> F:
    return click.option(
        "--runs",
        "runs_folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="Folder of run files.  [default: $SOAK_RUNS or runs/]",
    )(function)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="soak")
def main() -> None:
    """Soak a service under honest load, and say what would kill it slowly."""


@_verb("soak init checkout.yaml   |   soak init --from-access-log access.log.gz --url http://127.0.0.1:8000")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default="soak.yaml")
@click.option("--from-har", "har", type=click.Path(path_type=Path), help="From what a browser recorded (HAR).")
@click.option(
    "--from-access-log",
    "logs",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    help="From an access log of nginx or Apache, .gz too; may be given several times; - is standard input.",
)
@click.option("--from-openapi", "openapi", type=click.Path(path_type=Path), help="From an OpenAPI 3 document.")
@click.option("--url", help="Where load goes.  [default: what the source says]")
@click.option("--no-assets", is_flag=True, help="With --from-har: leave out pictures, styles and scripts.")
@click.option("--trace", type=click.Path(path_type=Path), help="With --from-access-log: write the arrival times here.")
def init(
    file: Path,
    har: Path | None,
    logs: tuple[Path, ...],
    openapi: Path | None,
    url: str | None,
    no_assets: bool,
    trace: Path | None,
) -> None:
    """Write a commented scenario to FILE (default soak.yaml): a template, or one made from what is there already."""
    if sum(map(bool, (har, logs, openapi))) > 1:
        raise click.UsageError("give one source")
    if (no_assets and not har) or (trace and not logs) or (url and not (har or logs or openapi)):
        raise click.UsageError("--no-assets goes with --from-har, --trace with --from-access-log, --url with a source")
    if file.exists():
        raise SoakError(f"{file}: exists already; soak does not write over it")
    try:
        text = template()
        if har is not None:
            text = from_har(har, url, assets=not no_assets)
        elif logs:
            text = from_access_logs(logs, url or "http://127.0.0.1:8000", trace)
        elif openapi is not None:
            text = from_openapi(openapi, url)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError as error:
        raise SoakError(f"{error.filename}: exists already; soak does not write over it") from None
    except OSError as error:
        raise SoakError(f"{file}: cannot be written: {error.strerror}") from None
    click.echo(f"wrote {file}; next: edit it, then `soak check {file}`")


@_verb("soak check scenarios/leak.yaml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of scenarios, for editors, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the scenario as soak reads it.")
@_allow_host
def check(file: Path | None, schema: bool, as_json: bool, allowed: tuple[str, ...]) -> None:
    """Explain in plain words what a scenario would run, and what each criterion could see."""
    if schema:
        click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
        return
    if file is None:
        raise click.UsageError("a scenario FILE is needed (or --schema)")
    loaded = load(file)
    refuse_foreign(loaded.scenario, allowed)
    if as_json:
        click.echo(loaded.scenario.model_dump_json(indent=2, by_alias=True))
    else:
        click.echo(explain(loaded.scenario, loaded.folder))


@_verb("soak run scenarios/leak.yaml   |   soak run --url http://127.0.0.1:8000/ --rate 50/s --for 10m --port 8000")
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
@click.option("--priority", type=click.IntRange(-100, 100), help="With --on: higher is sooner.  [default: 0]")
@click.option("--request-key", metavar="KEY", help="With --on: the same key again is the same run.  [default: random]")
@click.option("--remote-workers", type=int, default=0, help="With --listen: begin when so many have joined.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON, last thing on standard output.")
@click.option("--against", metavar="RUN", help="Compare with this earlier run; for a scenario without a reference.")
@click.option("--run-file", type=click.Path(path_type=Path, dir_okay=False), help="Write the run here, not to --runs.")
@_allow_host
@_runs_folder
def run(
    file: Path | None,
    against: str | None,
    run_file: Path | None,
    listen: str | None,
    token_file: Path | None,
    on: str | None,
    priority: int | None,
    request_key: str | None,
    remote_workers: int,
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
        here = (url, rate, users, duration, listen, token_file, against, run_file, resume, runs_folder, *watch.values())
        if file is None or allowed or remote_workers or any(v is not None for v in here):
            raise click.UsageError("--on goes with FILE, --priority, --request-key and --json, and nothing else")
        _run_on(on, Wanted(str(file), priority or 0, request_key or uuid4().hex), as_json)
    if priority is not None or request_key is not None:
        raise click.UsageError("--priority and --request-key go with --on")
    if sum(given is not None for given in (file, url, resume)) != 1:
        raise click.UsageError("either a scenario FILE, --url or --resume is needed")
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
        if (rate is None and users is None) or duration is None:
            raise click.UsageError("--url needs --rate (or --users) and --for")
        loaded = from_flags(url=url or "", rate=rate, users=users, duration=duration, **watch)
        click.echo(loaded.text, err=True)
    if (listen is None) != (token_file is None) or (remote_workers and listen is None):
        raise click.UsageError("--listen and --token-file go together; --remote-workers goes with them")
    joining: tuple[Listen, str] | None = None
    if listen is not None and token_file is not None:
        joining = Listen(*_address(listen), remote_workers), read_token(token_file)
    if against is not None:
        loaded = compared_with(loaded, runfile.resolve(against, folder))
    verdict = _soak(loaded, allowed, folder, as_json, joining, run_file, past)
    raise SystemExit(verdict.exit_code)


def _run_on(url: str, wanted: Wanted, as_json: bool) -> NoReturn:
    client = Client(url, os.environ.get("SOAK_TOKEN"), lambda line: click.echo(line, err=True))
    ended = client.run(wanted)
    if ended["verdict"] is not None and ended["measured"]:
        click.echo(client.verdict(ended["id"]) if as_json else client.report(ended["id"]))
    else:
        click.echo(f"soak: run {ended['id']}: {ended['reason'].removeprefix('soak: ')}", err=True)
    raise SystemExit(ended["exit_code"])


@_verb("soak worker --master 10.0.0.5:5557 --token-file token")
@click.option("--master", required=True, metavar="HOST:PORT", help="Where `soak run --listen` listens.")
@click.option("--token-file", required=True, type=click.Path(path_type=Path), help="What both sides know.")
@click.option("--name", help="What this worker is called in reports.  [default: the host's name]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=".",
    help="Where the files are that the scenario names.",
)
@_allow_host
def worker(master: str, token_file: Path, name: str | None, folder: Path, allowed: tuple[str, ...]) -> None:
    """Generate load for a run on another machine, until that run ends."""
    host, port = _address(master)
    invitation = Invitation(
        host, port, read_token(token_file), name or socket.gethostname(), local=False, folder=str(folder.resolve())
    )
    serve(invitation, lambda scenario: refuse_foreign(scenario, allowed), lambda line: click.echo(line, err=True))


@main.command(
    "exec",
    cls=_Verb,
    epilog="Example: soak exec -- gunicorn --workers 4 shop:app",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec_(command: tuple[str, ...]) -> NoReturn:
    """Start COMMAND with the agent in every Python of it; then `soak run` or `soak observe` sees it from inside.

    A target that soak starts itself (target.process) has it already.
    """
    environment = os.environ | agent_environment(os.environ, None)
    try:
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        raise SoakError(f"cannot start {command[0]!r}: {error.strerror}") from None


@_verb("soak observe --port 8000 --listen 0.0.0.0:9645 --token-file token --tls-cert cert.pem --tls-key key.pem")
@click.option("--port", type=click.IntRange(1, 65535), help="Watch whoever listens on this port.")
@click.option("--pid", type=click.IntRange(1), help="Watch this process.")
@click.option("--name", help="Watch the one process of this name.")
@click.option("--listen", default="127.0.0.1:9645", show_default=True, metavar="HOST:PORT", help="Serve here.")
@click.option("--token-file", type=click.Path(path_type=Path), help="What a run must know; needed beyond loopback.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Serve HTTPS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key (PEM).")
@click.option("--no-tls", is_flag=True, help="Serve beyond loopback without TLS: the token can be read on its way.")
@click.option("--every", default="1s", show_default=True, help="How often to look.")
def observe(listen: str, every: str, port: int | None, pid: int | None, name: str | None, **rest: Any) -> None:
    """Watch a process on this machine for a run on another, and for Prometheus (/metrics).

    A scenario names it with `target: {observer: https://HOST:9645}`. Looks of the last hour are kept, so that a network
    that fails for minutes costs a run nothing. It ends with SIGTERM or Ctrl-C.
    """
    if sum(v is not None for v in (port, pid, name)) != 1:
        raise click.UsageError("one of --port, --pid and --name is needed")
    try:
        pace = units.parse(every, "time").value
    except ValueError as error:
        raise click.UsageError(f"--every: {error}") from None
    if not 0.1 <= pace <= 60:
        raise click.UsageError("--every: expected 100ms to 60s")
    host, number = _address(listen)
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in rest.items()}
    given = {"watched": {"port": port, "pid": pid, "name": name}, "host": host, "port": number, "every": pace, **paths}
    # it lives beside a service for months: a process without the judge and the charts is half as large
    os.execv(sys.executable, [sys.executable, "-m", "soak.probe", json.dumps(given)])


@_verb("soak serve --scenarios scenarios --runs runs --parallel 2   |   soak serve --add-token ci --role run")
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings (TOML); flags go first.")
@click.option("--scenarios", type=click.Path(path_type=Path), help="Run only what lies in here.  [default: scenarios/]")
@click.option(
    "--runs", type=click.Path(path_type=Path), help="Run files and the state.  [default: $SOAK_RUNS or runs/]"
)
@click.option("--listen", metavar="HOST:PORT", help="Serve here.  [default: 127.0.0.1:9646]")
@click.option("--parallel", type=int, help="So many runs at once, on different targets.  [default: 1]")
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Let load of its runs go to this host too.",
)
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Serve HTTPS with this certificate (PEM).")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its private key (PEM).")
@click.option("--no-tls", is_flag=True, help="Serve beyond loopback without TLS: tokens can be read on their way.")
@click.option("--min-free", help="Start no run while the disk has less, such as 5 GiB.  [default: 1 GiB]")
@click.option("--requests", help="How often each caller may ask.  [default: 50/s]")
@click.option("--add-token", metavar="NAME", help="Make a token, print it this once, and end.")
@click.option("--role", type=click.Choice(["read", "run", "admin"]), help="With --add-token: what it may do.")
@click.option("--remove-token", metavar="NAME", help="Let that token in no longer, and end.")
def serve_(
    config: Path | None,
    add_token: str | None,
    role: str | None,
    remove_token: str | None,
    runs: Path | None,
    **told: Any,
) -> NoReturn:
    """Queue and supervise many runs, and serve an API for them (OpenAPI at /openapi.json).

    Runs are processes of their own: they go on when the daemon ends or is killed, and are adopted when it is back.
    """
    if (add_token is None) != (role is None) or (add_token and remove_token):
        raise click.UsageError("--add-token NAME goes with --role; --remove-token goes alone")
    if runs is None and config is None:
        runs = runfile.folder()
    flags = {k: str(v) if isinstance(v, Path) else v for k, v in {"runs": runs, **told}.items()}
    given = {"config": str(config) if config else None, "flags": flags, "add_token": add_token, "role": role}
    # it lives for months: a process without the judge and the charts is half as large
    os.execv(
        sys.executable, [sys.executable, "-P", "-m", "soak.daemon", json.dumps(given | {"remove_token": remove_token})]
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)


@_verb("soak judge latest")
@click.argument("run_ref", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@_runs_folder
def judge_(run_ref: str, as_json: bool, runs_folder: Path | None) -> NoReturn:
    """Judge a run file anew (a path, a run of the list, or `latest`) and exit with its verdict."""
    recording = runfile.read(runfile.resolve(run_ref, runs_folder or runfile.folder()))
    verdict = judge(recording)
    click.echo(render(recording, verdict, "json" if as_json else "text"))
    raise SystemExit(verdict.exit_code)


@_verb("soak report latest --format html --output report.html   |   soak report latest --flamegraph")
@click.argument("run_ref", metavar="RUN")
@click.option("--format", "view", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file.")
@click.option("--flamegraph", is_flag=True, help="Write the allocations of a window as memray's flame graph (HTML).")
@click.option("--show", type=click.Choice(list(SHOWN)), default="held", show_default=True, help="With --flamegraph.")
@click.option("--window", metavar="NAME", help="With --flamegraph: which one.  [default: the candidate's last]")
@_runs_folder
def report(
    run_ref: str,
    view: str,
    output: Path | None,
    flamegraph: bool,
    show: str,
    window: str | None,
    runs_folder: Path | None,
) -> None:
    """Render a run for people or for CI."""
    path = runfile.resolve(run_ref, runs_folder or runfile.folder())
    if window is not None and not flamegraph:
        raise click.UsageError("--window goes with --flamegraph")
    if flamegraph:
        page = output or path.with_name(f"{path.stem}-flamegraph.html")
        name = write_flamegraph(path, window, show, page)
        click.echo(f"wrote {page}: allocations of {name}", err=True)
        return
    recording = runfile.read(path)
    text = render(recording, judge(recording), view)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise SoakError(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"wrote {output}", err=True)


@_verb("soak compare new.soak old.soak   |   soak compare checkout.yaml --pairs 8")
@click.argument("what", nargs=-1, required=True, metavar="CANDIDATE REFERENCE | SCENARIO")
@click.option("--pairs", type=click.IntRange(1, 100), help="Of a SCENARIO: soak so many pairs of runs.")
@click.option("--calibrate", is_flag=True, help="With --pairs: the reference against itself, to measure the noise.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@_allow_host
@_runs_folder
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


@_verb("soak trend heap.csv --kind floor   |   soak trend --prometheus http://127.0.0.1:9090 --query Q --since 7d")
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
    tolerated = _quantity("--tolerance", tolerance, "ratio")
    if tolerated <= 0:
        raise click.UsageError("--tolerance: expected more than nothing")
    timed, series = True, dict[str, Series]()
    if file is not None:
        table = from_table(file, columns, clock, _quantity("--every", every, "time") if every else None)
        for note in table.notes:
            click.echo(f"soak: {note}", err=True)
        timed, series = table.timed, dict(table.series)
    for query in queries:
        found, _ = from_prometheus(
            prometheus or "", query, _quantity("--since", since, "time"), time.time(),
            _quantity("--step", step, "time") if step else None,
        )  # fmt: skip
        for name, one in found.items():  # two queries may give the same labels
            series[f"{query}: {name}" if name in series else name] = one
    verdicts = judge_many({n: judge_series(s.t, s.v, kind, tolerated, limit=limit) for n, s in series.items()})
    if as_json:
        click.echo(json.dumps(series_json(verdicts, timed), indent=2, ensure_ascii=False))
    else:
        click.echo(render_series(verdicts, timed))
    results = {one.verdict for one in verdicts.values()}
    raise SystemExit(EXIT_FAIL if "fail" in results else EXIT_INCONCLUSIVE if "inconclusive" in results else EXIT_PASS)


@_verb("soak runs")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@_runs_folder
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


@_verb("soak doctor   |   soak doctor checkout.yaml")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@_allow_host
@_runs_folder
def doctor(file: Path | None, as_json: bool, allowed: tuple[str, ...], runs_folder: Path | None) -> NoReturn:
    """Check whether this machine, and a scenario's target, are fit for a soak; each finding has its fix.

    Exits with 0, or with 1 when there is a problem. It takes a second, and changes nothing.
    """
    scenario = load(file).scenario if file is not None else None
    if scenario is not None:
        refuse_foreign(scenario, allowed)
    found = examine(runs_folder or runfile.folder(), scenario)
    click.echo(render_checkup(found, as_json=as_json))
    raise SystemExit(EXIT_FAIL if any(check.state == "problem" for check in found) else EXIT_PASS)


@_verb("soak demo")
@_runs_folder
def demo(runs_folder: Path | None) -> NoReturn:
    """Soak a leaking server beside a healthy one for three minutes, and explain what is seen.

    Exits with 0 when the demo showed what it promises: the leak found, the healthy one left alone.
    """
    scenario = resources.files("soak.specimens") / "demo.yaml"
    with resources.as_file(scenario) as path:
        loaded = load(path)
    click.echo(_DEMO_BEFORE, err=True)
    verdict = _soak(loaded, (), runs_folder or runfile.folder(), as_json=False)
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
            _refuse_port(target)
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


def _given(run_file: Path) -> tuple[Scenario, dict[str, Any], str, str, Path]:
    """The scenario that is in a run file, as that which a scenario file gives."""
    scenario, raw, folder = scenario_of(run_file)
    return scenario, raw, "", str(run_file), folder


def _refuse_port(target: Target) -> None:
    if port_in_use(target):
        raise SoakError(
            f"something listens on {target.host}:{target.tcp_port} already: "
            "soak would start the target beside it and load the wrong program"
        )


def _quantity(option: str, text: str, dimension: units.Dimension) -> float:
    try:
        return units.parse(text, dimension).value
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _soak(
    loaded: Loaded,
    allowed: tuple[str, ...],
    folder: Path,
    as_json: bool,
    joining: tuple[Listen, str] | None = None,
    run_file: Path | None = None,
    past: Past | None = None,
) -> Verdict:
    scenario = loaded.scenario
    refuse_foreign(scenario, allowed)
    refuse_unset(scenario, loaded.path)
    for target in scenario.sides.values() if past is None or not past.over else ():
        if target.process is None:
            refuse_unreachable(target)
        else:
            _refuse_port(target)
    if run_file is None:
        run_file = runfile.new_path(scenario.name, time.time(), folder)
    elif past is None and (run_file.exists() or run_file.suffix != runfile.SUFFIX):
        raise SoakError(f"--run-file {run_file}: expected the name of a new file that ends in {runfile.SUFFIX}")
    listen, token = joining or (None, None)
    order = Order(scenario, loaded.raw, loaded.text, loaded.path, loaded.folder, run_file, listen, token, past)
    verdict = conduct(order, view_for(sys.stderr))
    recording = runfile.read(run_file)
    page = run_file.with_suffix(".html")
    page.write_text(render(recording, verdict, "html"), encoding="utf-8")
    click.echo(render(recording, verdict, "text"), err=as_json)
    click.echo(f"report: {page}\nrun file: {run_file}", err=as_json)
    if as_json:
        click.echo(render(recording, verdict, "json"))
    return verdict


main.add_command(judge_, "judge")
main.add_command(serve_, "serve")
for _named_by_click in ("judge-", "serve-"):
    main.commands.pop(_named_by_click, None)

if __name__ == "__main__":
    main()
