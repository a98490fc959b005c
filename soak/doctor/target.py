"""A scenario's target: is it there, can its process be found and read, its observer be asked, an agent be inside."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path

from soak.core.checkup import Check, expect
from soak.core.errors import TargetError
from soak.core.target import Observer, Target
from soak.probe import RemoteWatch, find, readable, socket_of

_PATIENCE_S = 3.0


def checks(side: str, target: Target, every: float, folder: Path) -> list[Check]:
    """Of one side; a target that soak starts itself must not be there yet.

    `every` is the pace at which a run wants looks (s), `folder` the base of the scenario's relative paths.
    """
    if target.process is not None:
        return [_free(side, target), _agent_starts(side, target.process.command, target.process.agent)]
    found = [_reachable(side, target)]
    if target.observer is not None:
        return [*found, _observed(side, target.observer, every, folder)]
    if not target.watched:
        return [*found, Check(
            f"{side}: process", "warning", "not watched", "memory, stack and CPU are not seen: no leak can be told",
            "name it: pid, port, name, process or observer",
        )]  # fmt: skip
    try:
        root = find(target)
    except TargetError as error:
        return [*found, Check(
            f"{side}: process", "problem", str(error), "a run would not begin", "start it, or correct the scenario",
        )]  # fmt: skip
    found.append(Check(f"{side}: process", "ok", f"process {root.pid}"))
    hidden = readable(root.pid)
    found.append(expect(
        f"{side}: /proc", "can be read" if not hidden else f"cannot be read: {', '.join(hidden)}", not hidden,
        "what is in there is not seen, and nothing is said of it", "run soak as the user of the target, or as root",
    ))  # fmt: skip
    inside = socket_of(root.pid, None) is not None
    found.append(expect(
        f"{side}: agent", "inside" if inside else "not inside", inside,
        "leaks, fragmentation and arenas cannot be told apart in a Python target; others have a door (target.scrape)",
        "start it with `soak exec -- COMMAND`",
    ))  # fmt: skip
    return found


def _observed(side: str, observer: Observer, every: float, folder: Path) -> Check:
    """Asked as a run asks it: a wrong certificate or token is found now, and not when the night begins."""
    name = f"{side}: observer"
    try:
        watch = RemoteWatch(side, observer, folder, every)
    except TargetError as error:
        return Check(
            name, "problem", str(error).removeprefix(f"{side}: "), "a run would not begin",
            f"`soak observe` beside the target, its certificate in observer.ca, its token in ${observer.variable}",
        )  # fmt: skip
    watch.close()
    return Check(name, "ok", f"{observer.url} watches process {watch.process}")


def _free(side: str, target: Target) -> Check:
    name = f"{target.host}:{target.tcp_port}"
    taken = _answers(target)
    return expect(
        f"{side}: port", f"{name} is {'taken' if taken else 'free'}", not taken,
        "soak starts this target, and would load the wrong program", "end what listens there", "problem",
    )  # fmt: skip


def _reachable(side: str, target: Target) -> Check:
    there = _answers(target)
    return expect(
        f"{side}: reachable", f"{target.host}:{target.tcp_port} {'answers' if there else 'is silent'}",
        there, "a run would not begin", "start it, or correct target.url", "problem",
    )  # fmt: skip


def _agent_starts(side: str, command: str, wanted: bool) -> Check:
    try:
        program = Path(shlex.split(command)[0]).name
    except (ValueError, IndexError):
        program = command
    text = "goes in with every Python that it starts" if wanted else "is kept out (process.agent: false)"
    if wanted and program.startswith(("python", "{python}")) and " -S " in command:
        return Check(
            f"{side}: agent", "warning", "Python is started with -S, which skips sitecustomize",
            "the agent cannot come in", "leave out -S",
        )  # fmt: skip
    return Check(f"{side}: agent", "ok", text)


def _answers(target: Target) -> bool:
    try:
        socket.create_connection((target.host, target.tcp_port), _PATIENCE_S).close()
    except (OSError, UnicodeError):  # a name that no resolver takes
        return False
    return True
