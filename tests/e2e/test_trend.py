"""`soak trend`: series that belong to no run, from a table and from a real Prometheus."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.harness import SOAK, free_port

DAY = 86400
SPAN, STEP = 2 * DAY, 300


def growing(rng: np.random.Generator, t: np.ndarray, by: float) -> np.ndarray:
    return 100 + by * (t - t[0]) / (t[-1] - t[0]) + 5 * np.sin(2 * np.pi * t / DAY) + rng.normal(0, 0.5, len(t))


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SOAK, *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that remembers two days of two services, one of which leaks."""
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    folder = tmp_path_factory.mktemp("prometheus")
    now = time.time()
    t = np.arange(now - SPAN, now, STEP)
    rng = np.random.default_rng(1)
    lines = ["# TYPE heap_bytes gauge"]
    for name, by in (("calm", 0.0), ("leaky", 10.0)):
        lines += [
            f'heap_bytes{{service="{name}"}} {v:.3f} {moment:.3f}'
            for moment, v in zip(t, growing(rng, t, by), strict=True)
        ]
    (folder / "metrics.txt").write_text("\n".join([*lines, "# EOF", ""]))
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "metrics.txt", "data"]
    subprocess.run(backfill, cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
         "--storage.tsdb.retention.time=30d", f"--web.listen-address=127.0.0.1:{port}"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{url}/-/ready") as answer:
                    if answer.status == 200:
                        break
            except OSError:
                time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait()


def test_a_leak_is_told_from_its_calm_neighbour_in_what_prometheus_saw(prometheus: str) -> None:
    done = soak("trend", "--prometheus", prometheus, "--query", "heap_bytes", "--since", "2d", "--json")
    assert done.returncode == 1, done.stderr
    found = {row["name"]: row for row in json.loads(done.stdout)["series"]}
    assert found['heap_bytes{service="leaky"}']["verdict"] == "fail"
    assert found['heap_bytes{service="leaky"}']["growth"] == pytest.approx(0.1, abs=0.02)
    assert found['heap_bytes{service="calm"}']["verdict"] == "pass"


@pytest.mark.parametrize(
    "arguments,fault",
    [
        (("--query", "heap_bytes{", "--since", "2d"), "parse error"),
        (("--query", "nothing_of_that_name"), "no series for nothing_of_that_name"),
        (("--query", "heap_bytes", "--since", "soon"), "--since: expected a duration"),
    ],
)
def test_what_prometheus_refuses_is_one_clear_line(prometheus: str, arguments: tuple[str, ...], fault: str) -> None:
    done = soak("trend", "--prometheus", prometheus, *arguments)
    assert done.returncode == 2
    assert fault in done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_there_is_one_clear_line() -> None:
    done = soak("trend", "--prometheus", f"http://127.0.0.1:{free_port()}", "--query", "up")
    assert done.returncode == 2
    assert "cannot be reached: [Errno 111] Connection refused" in " ".join(done.stderr.split())


def test_a_table_is_judged_column_by_column(tmp_path: Path) -> None:
    t = np.arange(400.0)
    rng = np.random.default_rng(2)
    columns = {"calm": growing(rng, t * 600, 0.0), "leaky": growing(rng, t * 600, 12.0)}
    rows = ["time,calm,leaky", *(f"{600 * t[i]},{columns['calm'][i]},{columns['leaky'][i]}" for i in range(len(t)))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    done = soak("trend", str(tmp_path / "t.csv"), "--limit", "150")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FAIL          leaky")
    assert "the limit is reached in" in lines[0]
    assert lines[1].startswith("pass          calm")
    assert lines[-1] == "2 series: 1 fail, 1 pass"
    only = soak("trend", str(tmp_path / "t.csv"), "--column", "calm")
    assert only.returncode == 0


def test_options_that_do_not_go_together_are_told() -> None:
    for arguments in ([], ["t.csv", "--prometheus", "http://x"], ["t.csv", "--query", "up"], ["--prometheus", "x"]):
        done = soak("trend", *arguments)
        assert done.returncode == 2
        assert "Error:" in done.stderr
