"""`observe`: beside a target on its own machine, without load."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from soak.cli.app import address, verb
from soak.core import units


@verb(
    "soak observe --port 8000 --listen 0.0.0.0:9645 --token-file token --tls-cert cert.pem --tls-key key.pem",
    short_help="Watch a process here for a run on another machine.",
)
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
    host, number = address(listen)
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in rest.items()}
    given = {"watched": {"port": port, "pid": pid, "name": name}, "host": host, "port": number, "every": pace, **paths}
    # it lives beside a service for months: a process without the judge and the charts is half as large
    os.execv(sys.executable, [sys.executable, "-m", "soak.probe", json.dumps(given)])
