"""Two network namespaces with a cable between them: a worker on the far one is cut off, and comes back."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import NGINX, MissingError, end, environment, nginx_conf, soak

_NEAR = "10.77.1.1"
_STATUS = "import urllib.request as u; print(u.urlopen('http://10.77.1.1:18080/status', timeout=10).read().decode())"


@contextlib.contextmanager
def hosts() -> Iterator[tuple[str, str]]:
    """Their names; addresses 10.77.1.1 and 10.77.1.2. Raises MissingError where they cannot be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise MissingError("needs root and ip (Debian: iproute2)")
    near, far = (f"bench{os.getpid()}{side}" for side in "ab")
    made: list[str] = []
    try:
        for host in (near, far):
            _ip("netns", "add", host)
            made.append(host)
        _ip("link", "add", "cable0", "netns", near, "type", "veth", "peer", "name", "cable1", "netns", far)
        for host, cable, address in ((near, "cable0", f"{_NEAR}/24"), (far, "cable1", "10.77.1.2/24")):
            _ip("-n", host, "addr", "add", address, "dev", cable)
            _ip("-n", host, "link", "set", "lo", "up")
            _ip("-n", host, "link", "set", cable, "up")
        yield near, far
    except subprocess.CalledProcessError as error:
        raise MissingError(f"network namespaces cannot be made here: {error.stderr.decode().strip()}") from None
    finally:
        for host in made:
            subprocess.run(["ip", "netns", "del", host], check=False, capture_output=True)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def inside(host: str) -> tuple[str, ...]:
    """What to put before a command that runs on one of the hosts."""
    return ("ip", "netns", "exec", host)


def served(host: str) -> int:
    """Requests that nginx on the near host says it was sent, without this one."""
    text = subprocess.run(
        [*inside(host), sys.executable, "-c", _STATUS], check=True, capture_output=True, text=True
    ).stdout
    found = re.search(r"requests\s+\d+\s+\d+\s+(\d+)", text)
    assert found is not None
    return int(found[1]) - 1


def cut(folder: Path, scenario: str) -> tuple[dict[str, int], int]:
    """A run with a worker on the far host, whose cable is cut for some seconds: its account, and nginx's count."""
    if NGINX is None:
        raise MissingError("nginx is not installed (Debian: apt-get install nginx-light)")
    folder.mkdir(parents=True, exist_ok=True)
    token = folder / "token"
    token.write_text("0123456789abcdef0123456789abcdef")
    token.chmod(0o600)
    with hosts() as (near, far), contextlib.ExitStack() as stack:
        conf = nginx_conf(folder / "nginx", f"{_NEAR}:18080")
        server = subprocess.Popen([*inside(near), NGINX, "-c", str(conf), "-p", str(conf.parent)], stderr=-3)
        stack.callback(end, server)
        text = scenario.format(url=f"http://{_NEAR}:18080", pid=server.pid, slots=20, workers=1, seconds=14)
        listen = ("--listen", f"{_NEAR}:5557", "--token-file", str(token), "--remote-workers", "1")
        allow = ("--allow-host", _NEAR)
        run = stack.enter_context(soak(folder / "run", text, *listen, *allow, inside=inside(near)))
        join = ["worker", "--master", f"{_NEAR}:5557", "--token-file", str(token), "--name", "far", *allow]
        worker = subprocess.Popen(
            [*inside(far), sys.executable, "-m", "soak.cli", *join],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(end, worker)
        deadline = time.monotonic() + 60
        time.sleep(1)
        while served(near) < 200 and time.monotonic() < deadline:
            time.sleep(0.2)
        _ip("-n", far, "link", "set", "cable1", "down")
        time.sleep(5)
        _ip("-n", far, "link", "set", "cable1", "up")
        validity = run.verdict()["validity"]
        return validity, served(near)
