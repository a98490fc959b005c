"""`[workers]` of `soak serve`: its runs, one after the other, share their load with a worker from elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from soak.core.errors import RunFileError
from soak.runfile import read
from tests.e2e.harness import free_port
from tests.e2e.test_daemon import killed, process_of, wait_for
from tests.e2e.test_distributed import command, counted, served, token, until
from tests.unit.serving import Daemon, launch

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(280)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon whose runs begin when a worker has joined; whatever runs in the end is ended."""
    (tmp_path / "scenarios").mkdir()
    for name, soak in (("short", 15), ("long", 120)):
        counted(tmp_path, free_port(), soak).rename(tmp_path / "scenarios" / f"{name}.yaml")
    token(tmp_path)
    (tmp_path / "serve.toml").write_text(
        'scenarios = "scenarios"\nruns = "runs"\n'
        f'[workers]\nlisten = "127.0.0.1:{free_port()}"\ntoken_file = "token"\ncount = 1\n'
    )
    daemon = launch(tmp_path, "--config", "serve.toml")
    yield daemon
    killed(daemon)
    for path in (tmp_path / "runs").glob("*.soak"):
        with contextlib.suppress(ValueError, psutil.NoSuchProcess):  # it has ended
            process_of(path).kill()


def made_by(path: Path, worker: str) -> list[float]:
    """When a worker was answered, by the run's clock; in each life of a run it has another name: `elsewhere-2`."""
    try:
        tallies = read(path).sides["candidate"].tallies
    except RunFileError:  # it has only begun
        return []
    return [y.start for y in tallies if y.worker.startswith(worker) and y.done]


def test_a_worker_serves_one_run_after_the_other_and_one_that_goes_on(house: Daemon) -> None:
    door = (house.folder / "serve.toml").read_text().partition('listen = "')[2].partition('"')[0]
    join = ("worker", "--forever", "--master", door, "--token-file", "token", "--name", "elsewhere")
    with command(house.folder, *join) as elsewhere:
        house.ask("POST", "/v1/runs", {"scenario": "short.yaml"})
        run = wait_for(house, "ended")
        account = house.ask("GET", "/v1/runs/1/verdict").json["validity"]
        assert (account["balanced"], account["lost"]) == (True, 0), run
        assert account["done"] == sum(served(house.folder / "scenarios").values())  # the sum of both, exactly
        for worker in ("worker-0", "elsewhere"):
            assert len(made_by(house.folder / "runs" / f"{run['run']}.soak", worker)) > 5

        house.ask("POST", "/v1/runs", {"scenario": "long.yaml"})
        path = house.folder / "runs" / f"{wait_for(house, 'running', 2)['run']}.soak"
        until(lambda: len(made_by(path, "elsewhere")) > 3, 60)
        process_of(path).kill()
        before = max(made_by(path, "elsewhere"))
        until(lambda: max(made_by(path, "elsewhere")) > before + 3, 90)  # it joined again when the run went on
        (gap,) = read(path).gaps
        assert before < gap.end
        house.ask("POST", "/v1/runs/2/stop")
        run = wait_for(house, "ended", 2)
        assert (run["resumed"], run["exit_code"]) == (1, 130), run
        assert house.ask("GET", "/v1/runs/2/verdict").json["validity"]["balanced"]
        assert elsewhere.poll() is None  # and waits for the next one
