"""What all verbs have in common: how they are declared, how they end, and the options that several take."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click

from soak import __version__
from soak.cli.beginning import interruptible
from soak.core import units
from soak.core.errors import EXIT_INTERRUPTED, EXIT_PASS, SoakError

F = TypeVar("F", bound=Callable[..., Any])

_MODULES = {
    "init": "scenarios", "check": "scenarios", "doctor": "scenarios", "run": "runs", "worker": "runs", "demo": "runs",
    "exec": "programs", "observe": "observer", "serve": "daemon", "judge": "results", "report": "results",
    "runs": "results", "compare": "comparing", "trend": "trends", "grafana": "grafana",
}  # fmt: skip
"""Which module of `soak.cli` brings a verb."""


class _Front(click.Group):
    """Imports a verb when it is asked for: what serves or watches has no use for the judge, which takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  as click calls it
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _MODULES:
            with interruptible():
                import_module(f"soak.cli.{_MODULES[cmd_name]}")
        return super().get_command(ctx, cmd_name)


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


def verb(
    example: str, name: str | None = None, of: click.Group | None = None, **settings: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a function a verb, called as the function unless it has a `name`; every verb shows an example."""
    return (of or main).command(name, cls=_Verb, epilog=f"Example: {example}", **settings)


def allow_host(function: F) -> F:
    """The option of every verb that may send load."""
    return click.option(
        "--allow-host",
        "allowed",
        multiple=True,
        metavar="HOST[:PORT]",
        help="Let load go to this host too; without it, only to loopback.",
    )(function)


def runs_folder_option(function: F) -> F:
    """The option of every verb that reads or writes run files by name."""
    return click.option(
        "--runs",
        "runs_folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="Folder of run files.  [default: $SOAK_RUNS or runs/]",
    )(function)


@click.group(cls=_Front, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="soak")
def main() -> None:
    """Soak a service under honest load, and say what would kill it slowly."""


def verbs() -> dict[str, click.Command]:
    """Every verb by its name, all imported: for whoever tells of all of them."""
    context = click.Context(main)
    return {name: command for name in main.list_commands(context) if (command := main.get_command(context, name))}


def address(text: str) -> tuple[str, int]:
    """HOST:PORT as both."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"expected HOST:PORT, got {text!r}")
    return host.strip("[]"), int(port)


def quantity(option: str, text: str, dimension: units.Dimension) -> float:
    """What an option gives, in the base unit of its dimension."""
    try:
        return units.parse(text, dimension).value
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None
