"""`exec`: a program that is started by hand, with the agent in it."""

from __future__ import annotations

import os
from typing import NoReturn

import click

from soak.cli.app import verb
from soak.core.errors import SoakError
from soak.run import agent_environment


@verb(
    "soak exec -- gunicorn --workers 4 shop:app",
    "exec",
    short_help="Start a program with the agent in every Python of it.",
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
