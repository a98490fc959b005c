"""Bringing a run's processes up: targets that it starts, watches over them, and the load. `cleanup` ends all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

from soak.core.records import Event
from soak.load import Fleet, Plan, digests
from soak.run.artefact import size_of
from soak.run.order import Order
from soak.run.progress import View
from soak.run.sensing import SideWatch
from soak.run.target import StartedTarget


def scratch(cleanup: contextlib.ExitStack) -> Path:
    """A folder for what is shared with targets, though one that outlives the run may still hold a file in it."""
    return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="soak-", ignore_cleanup_errors=True)))


def artefacts(order: Order) -> Iterator[Event]:
    """What is installed of each side, as events of the beginning. Raises TargetError when it is not there."""
    for side, target in order.scenario.sides.items():
        if target.artefact is not None:
            size, files = size_of(order.folder / target.artefact)
            text = f"{target.artefact}: {size} bytes in {files} files"
            yield Event(0.0, "artefact", side, text, {"bytes": size, "files": files})


def watched_targets(order: Order, folder: Path, view: View, cleanup: contextlib.ExitStack) -> Iterator[SideWatch]:
    """A watch over each side, whose target is started if soak is to; `folder` is shared with it. Raises TargetError."""
    for side, target in order.scenario.sides.items():
        started = None
        if target.process is not None:
            view.say(f"starting {side}: {target.process.command}")
            started = StartedTarget(side, target, target.process, order.folder, folder)
            cleanup.callback(started.stop)
        watch = SideWatch(side, target, started, order.scenario, order.folder, folder)
        cleanup.callback(watch.close)
        yield watch


def fleets(order: Order, zero: float, view: View, cleanup: contextlib.ExitStack) -> Iterator[Fleet]:
    """The load of each side, ready to begin; the run's clock is counted from `zero`. Raises LoadError."""
    at, folder, past = order.listen, order.folder.resolve(), order.past
    listen = {s: replace(at, port=at.port + i) for i, s in enumerate(order.scenario.sides)} if at else {}
    logs = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
    for side in order.scenario.sides:
        plan = Plan(
            run=order.run_file.stem,
            side=side,
            zero=zero,
            scenario=order.raw,
            folder=str(folder),
            digests=digests(order.scenario, folder),
            ports={s: at.port for s, at in listen.items()},
            since=past.upto if past is not None else 0.0,
        )
        token, workers = order.token or token_hex(16), order.scenario.load.workers
        life = past.number if past is not None else 0
        fleet = Fleet(plan, token, workers, order.run_file.resolve(), logs, listen.get(side), life)
        cleanup.callback(fleet.close)
        fleet.start(view.say)
        yield fleet
