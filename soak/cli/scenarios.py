"""`init`, `check`, `doctor`: before there is a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NoReturn

import click

from soak import runfile
from soak.cli.app import allow_host, runs_folder_option, verb
from soak.core.errors import EXIT_FAIL, EXIT_PASS, SoakError
from soak.doctor import examine
from soak.report import (
    render_checkup,
)
from soak.scenario import (
    explain,
    from_access_logs,
    from_har,
    from_openapi,
    json_schema,
    load,
    refuse_foreign,
    template,
)


@verb(
    "soak init checkout.yaml   |   soak init --from-access-log access.log.gz --url http://127.0.0.1:8000",
    short_help="Write a commented scenario: a template, or from what you have.",
)
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


@verb("soak check scenarios/leak.yaml", short_help="Say in plain words what a scenario would run, and can see.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of scenarios, for editors, and end.")
@click.option("--json", "as_json", is_flag=True, help="Print the scenario as soak reads it.")
@allow_host
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


@verb(
    "soak doctor   |   soak doctor checkout.yaml",
    short_help="Check whether this machine, and a target, are fit for it.",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the checks as JSON.")
@allow_host
@runs_folder_option
def doctor(file: Path | None, as_json: bool, allowed: tuple[str, ...], runs_folder: Path | None) -> NoReturn:
    """Check whether this machine, and a scenario's target, are fit for a soak; each finding has its fix.

    Exits with 0, or with 1 when there is a problem. It takes a second, and changes nothing.
    """
    if file is None:
        found = examine(runs_folder or runfile.folder(), None)
    else:
        loaded = load(file)
        refuse_foreign(loaded.scenario, allowed)
        found = examine(runs_folder or runfile.folder(), loaded.scenario, loaded.folder)
    click.echo(render_checkup(found, as_json=as_json))
    raise SystemExit(EXIT_FAIL if any(check.state == "problem" for check in found) else EXIT_PASS)
