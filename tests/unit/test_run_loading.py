"""The load of all sides as one, with stand-ins for the generators. Whole ones are in tests/e2e."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from soak.core.errors import LoadError
from soak.load.fleet import Loss
from soak.run import loading
from soak.run.loading import Loading


class Stand:
    """A generator of one side that notes what it is told."""

    def __init__(self, side: str, told: list[str], lost: list[Loss], alive: bool = True) -> None:
        self.side, self.alive, self.drained = side, alive, False
        self.told: list[tuple[str, str]] = [("worker_joined", "w joined late"), ("split", "shared")]
        self._heard, self._lost = told, lost

    def poll(self) -> list[Loss]:
        lost, self._lost = self._lost, []
        return lost

    def stop(self, _: float) -> None:
        self._heard.append(f"stop {self.side}")
        if not self.alive:
            raise LoadError("the load generator is gone")

    def close(self) -> None:
        self._heard.append(f"close {self.side}")


def made(told: list[str], *stands: Stand) -> Loading:
    order = SimpleNamespace(run_file=Path("x.soak"), scenario=None, folder=Path())
    load = Loading(cast(Any, order), cast(Any, SimpleNamespace(say=told.append)))
    load._fleets = cast(Any, list(stands))
    return load


def test_what_a_worker_still_reports_is_in_before_any_account_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def closed(*given: Any) -> None:
        told.append(f"account {given[4].side}")

    monkeypatch.setattr(loading, "close_account", closed)
    load = made(told, Stand("candidate", told, []), Stand("reference", told, []))
    load.close(cast(Any, None), 0.0, 9.0)
    assert told == ["close candidate", "close reference", "account candidate", "account reference"]


def test_one_side_that_is_gone_does_not_keep_the_other_from_being_stopped() -> None:
    told: list[str] = []
    load = made(told, Stand("candidate", told, [], alive=False), Stand("reference", told, []))
    load.stop(5.0)
    assert told == ["stop candidate", "stop reference"]


def test_a_loss_ends_a_run_only_where_nobody_is_left_and_what_the_master_wrote_down_is_said() -> None:
    told: list[str] = []
    loss = Loss("worker-0", -9, "killed")
    load = made(told, Stand("candidate", told, [loss]), Stand("reference", told, [loss], alive=False))
    events = list(load.poll(7.0))
    assert [(e.t, e.kind, e.side) for e in events] == [
        (7.0, "note", "candidate"),
        (7.0, "generator_error", "reference"),
    ]
    assert told == ["worker joined: w joined late"] * 2
    assert list(load.poll(8.0)) == []
    assert not load.drained
