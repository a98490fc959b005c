"""`serve`: many soaks, unattended."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from soak.cli.app import verb


@verb(
    "soak serve --scenarios scenarios --runs runs --parallel 2   |   soak serve --add-token ci --role run",
    "serve",
    short_help="Queue and supervise many runs, with pages and an API.",
)
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
@click.option("--resumes", type=int, help="A run that died goes on by itself so many times.  [default: 3]")
@click.option("--allow-uploads", is_flag=True, help="Callers may bring scenarios along: nothing that reads or starts.")
@click.option("--log", type=click.Choice(["text", "json"]), help="One line for whatever happens.  [default: text]")
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
    if runs is None and config is None and "SOAK_RUNS" in os.environ:
        runs = Path(os.environ["SOAK_RUNS"])
    flags = {k: str(v) if isinstance(v, Path) else v for k, v in {"runs": runs, **told}.items()}
    given = {"config": str(config) if config else None, "flags": flags, "add_token": add_token, "role": role}
    # it lives for months: a process without the judge and the charts is half as large
    os.execv(
        sys.executable, [sys.executable, "-P", "-m", "soak.daemon", json.dumps(given | {"remove_token": remove_token})]
    )
