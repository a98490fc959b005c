"""Starting and ending the programs that are compared, and reading what they use."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class MissingError(Exception):
    """A program that a part needs is not installed."""


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tool(name: str) -> str:
    """The path of an installed program. Raises MissingError."""
    found = shutil.which(name)
    if found is None:
        raise MissingError(f"{name} is not installed (Debian: apt-get install {name})")
    return found


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx of one process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def served(self) -> int:
        """Requests served so far by its own count, without the calls of this method."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as link:
            link.sendall(b"GET /status HTTP/1.0\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: link.recv(4096), b"")).decode()
        total = int(answer.split("requests\n")[1].split()[2])
        _asked[self.pid] = _asked.get(self.pid, 0) + 1
        return total - _asked[self.pid]


_asked: dict[int, int] = {}


def nginx_conf(folder: Path, listen: str) -> Path:
    """The configuration of an nginx of one process that keeps count of its requests."""
    folder.mkdir(parents=True, exist_ok=True)
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s;\n"
        f"  server {{ listen {listen}; location /status {{ stub_status; }}\n"
        '  location / { return 200 "ok"; } } }\n'
    )
    return conf


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Nginx]:
    """An nginx that answers every path at once with two bytes. Raises MissingError."""
    if NGINX is None:
        raise MissingError("nginx is not installed (Debian: apt-get install nginx-light)")
    port = free_port()
    conf = nginx_conf(folder, f"127.0.0.1:{port}")
    process = subprocess.Popen([NGINX, "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
    _asked.pop(process.pid, None)
    try:
        await_port(port)
        yield Nginx(port, process.pid)
    finally:
        process.send_signal(signal.SIGCONT)
        end(process)


def await_port(port: int, patience: float = 15.0) -> None:
    """Return once something listens on a port of loopback."""
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def end(process: subprocess.Popen[Any]) -> None:
    """End a process that this benchmark started: by asking, then by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far, to the nanosecond (/proc/PID/task/TID/schedstat)."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def run_cpu(command: list[str], timeout: float) -> tuple[str, float]:
    """Run a command to its end; its standard output, and the CPU seconds that it and its children used."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return done.stdout, used


def environment(folder: Path) -> dict[str, str]:
    """The environment of a `soak` command that keeps its run files in `folder`."""
    return os.environ | {"SOAK_RUNS": str(folder / "runs"), "PYTHONPATH": str(ROOT)}


@dataclass(slots=True)
class SoakRun:
    """A `soak run --json` under way, or at its end."""

    process: subprocess.Popen[str]
    folder: Path

    def find(self, module: str, count: int = 1, patience: float = 60.0) -> list[psutil.Process]:
        """The child processes that run a module of soak, as soon as there are `count` of them."""
        deadline = time.monotonic() + patience
        while True:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self.process.pid).children(recursive=True)
                found = [child for child in children if module in child.cmdline()]
                if len(found) >= count:
                    return found
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{module} did not start: {self.process.communicate()}")
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Press Ctrl-C once."""
        self.process.send_signal(signal.SIGINT)

    def verdict(self, timeout: float = 300) -> dict[str, Any]:
        """Wait for the end; the verdict that it printed. Raises RuntimeError when there is none."""
        out, err = self.process.communicate(timeout=timeout)
        found = out.rfind("\n{\n")
        try:
            document: dict[str, Any] = json.loads(out[found + 1 :] if found >= 0 else out)
        except ValueError:
            raise RuntimeError(f"soak ended with {self.process.returncode}: {out}{err}") from None
        return document

    @property
    def run_file(self) -> Path:
        """The one run file that it wrote."""
        (path,) = (self.folder / "runs").glob("*.soak")
        return path


@contextlib.contextmanager
def soak(folder: Path, scenario: str, *flags: str, inside: tuple[str, ...] = ()) -> Iterator[SoakRun]:
    """Start `soak run` on a scenario of the benchmark's own, after the command `inside`; it ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.yaml").write_text(scenario)
    process = subprocess.Popen(
        [*inside, sys.executable, "-m", "soak.cli", "run", "scenario.yaml", "--json", *flags],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield SoakRun(process, folder)
    finally:
        end(process)
