"""What a run begins with: its targets, started or found, and what is installed of them. `cleanup` ends all."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from soak.core.records import Event
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
