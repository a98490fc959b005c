"""`grafana push`, `grafana annotate`: soak in the Grafana that a team already has."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from soak import __version__
from soak.cli.app import main, quantity, verb
from soak.publish.grafana.boards import boards
from soak.publish.grafana.client import Grafana
from soak.publish.grafana.push import apply, plan
from soak.publish.grafana.resources import AlertRule, ContactPoint, Dashboard, DataSource, Folder, Resource
from soak.publish.grafana.rules import rules_of

_UID = "soak"
"""Of the folder; the data source, the contact point and the dashboards begin with it."""


@main.group(epilog="Example: soak grafana push --url https://grafana.example --prometheus http://prometheus:9090")
def grafana() -> None:
    """Dashboards, alert rules and annotations in a Grafana, through its HTTP API.

    $SOAK_GRAFANA_TOKEN is the token of a service account.
    """


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
@click.option(
    "--rules",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Have Grafana evaluate the alerts of this rules file of Prometheus.",
)
@click.option(
    "--webhook",
    envvar="SOAK_GRAFANA_WEBHOOK",
    show_envvar=True,
    metavar="URL",
    help="With --rules: a contact point that they are told to; without it, Grafana's own policy routes them.",
)
@click.option("--dry-run", is_flag=True, help="Say what differs, and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def push(
    url: str,
    prometheus: str | None,
    scrape_interval: str,
    data_source: str | None,
    rules: Path | None,
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
    if rules is not None and prometheus is None and data_source is None:
        raise click.UsageError("--rules needs to know the data source: --prometheus or --data-source")
    wanted: list[Resource] = [Folder(_UID, "soak")]
    source = data_source
    if prometheus is not None:
        source = f"{_UID}-prometheus"
        every = round(quantity("--scrape-interval", scrape_interval, "time"))
        wanted.append(DataSource(source, "soak", prometheus, every))
    wanted += [Dashboard(model, _UID, f"soak {__version__}") for model in boards(source)]
    if rules is not None and source is not None:
        if webhook is not None:
            wanted.append(ContactPoint(f"{_UID}-webhook", "soak", webhook))
        converted = rules_of(rules, _UID, source, "soak" if webhook is not None else None)
        wanted += [AlertRule(rule) for rule in converted.rules]
        for line in converted.lost:
            click.echo(f"note: {line}", err=True)
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
