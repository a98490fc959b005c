"""Programs with the agent in them, in any Python that is installed here."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psutil

from soak.probe.agent import AgentError, ask, socket_of
from soak.run import agent_environment

JEMALLOC, TCMALLOC = "libjemalloc.so.2", "libtcmalloc_minimal.so.4"
_FOLDERS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")


def pythons() -> list[str]:
    """Every Python from 3.9 to 3.14 that is found, one of each minor version; this one is among them."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for minor in range(9, 15):
        name = f"3.{minor}"
        built = sorted(Path.home().glob(f".pyenv/versions/{name}.*/bin/python"))
        path = str(built[-1]) if built else shutil.which(f"python{name}")
        if path is not None and name not in found and _is(path, name):
            found[name] = path
    return [found[name] for name in sorted(found, key=lambda n: int(n[2:]))]


def _is(path: str, version: str) -> bool:
    """A shim by that name may lead to nothing."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() == version


def preload(library: str) -> str:
    """Where another malloc is installed."""
    return next(str(path) for folder in _FOLDERS if (path := Path(folder) / library).exists())


class Host:
    """A program that has the agent, its standard streams in files."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process, self.folder, self.pid = process, folder, process.pid

    def ask(self, do: str = "look", pid: int | None = None, patience: float = 20.0, **more: Any) -> dict[str, Any]:
        """The answer of the program's agent, or of another of its processes; it may only just have begun, or fork."""
        until = monotonic() + patience
        while True:
            path = eventually(lambda: socket_of(pid or self.pid, self.folder), f"a socket of {pid or self.pid}")
            try:
                return ask(path, {"do": do, **more}, patience)
            except AgentError as error:
                if not str(error).startswith("[Errno") or monotonic() > until:
                    raise
            sleep(0.05)

    def family(self) -> list[int]:
        """The process and all its descendants."""
        return [self.pid, *(p.pid for p in psutil.Process(self.pid).children(recursive=True))]

    def said(self, stream: str) -> str:
        """What it wrote to `out` or `err` so far."""
        return (self.folder / stream).read_text()

    def wait(self, seconds: float = 20.0) -> int:
        """Its exit code."""
        return self.process.wait(seconds)


def eventually(attempt: Any, what: str, seconds: float = 20.0) -> Any:
    """The first true value that `attempt` gives; it may raise until then."""
    until = monotonic() + seconds
    while True:
        with contextlib.suppress(Exception):
            if found := attempt():
                return found
        assert monotonic() < until, f"waited {seconds:.0f} s for {what}"
        sleep(0.05)


@contextlib.contextmanager
def running(folder: Path, *command: str, **environment: str) -> Iterator[Host]:
    """A command with the agent in every Python of it; it and its descendants are ended at the end."""
    full = os.environ | environment
    full |= agent_environment(full, folder)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, cwd=folder, env=full)
    host = Host(process, folder)
    try:
        yield host
    finally:
        family = []
        with contextlib.suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for child in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()


@contextlib.contextmanager
def program(folder: Path, code: str, python: str = sys.executable, **environment: str) -> Iterator[Host]:
    """A script in a Python with the agent."""
    (folder / "program.py").write_text(code)
    with running(folder, python, "program.py", **environment) as host:
        yield host
