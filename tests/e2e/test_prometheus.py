"""A real Prometheus: a live run is scraped, a finished one is told in hindsight; both say what `soak report` says."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soak.core.histogram import Histogram
from soak.report.charts import charts
from soak.runfile import read, read_meta
from tests.e2e.harness import free_port, shipped, soak, start


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    for tool in ("prometheus", "promtool"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@contextmanager
def prometheus(folder: Path, config: str, *options: str) -> Iterator[str]:
    """A Prometheus with its data in `folder`; its URL."""
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
         "--storage.tsdb.retention.time=30d", f"--web.listen-address=127.0.0.1:{port}", *options],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: reached(f"{url}/-/ready"), 60)
        yield url
    finally:
        server.terminate()
        server.wait()


def until(holds: Callable[[], Any], seconds: float) -> Any:
    """What `holds` gives when it gives something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := holds():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come about")


def reached(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode()) or "ok"
    except OSError:
        return ""


def ask(url: str, path: str, **parameters: Any) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
        found = json.load(answer)
    assert found["status"] == "success", found
    series: list[dict[str, Any]] = found["data"]["result"]
    return series


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, list[str]]]:
    """A short soak that a Prometheus scraped, its run file, and the pages that it served."""
    folder = tmp_path_factory.mktemp("scraped")
    path = shipped(folder, "leak", idle_before="1s", warmup="2s", soak="25s", idle_after="1s")
    port = free_port()
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: soak, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}]
"""
    receives = ("--enable-feature=native-histograms", "--web.enable-remote-write-receiver")
    with prometheus(folder, config, *receives) as url:
        write = f"{url}/api/v1/write"
        run = start(folder, "run", str(path), "--metrics", f"127.0.0.1:{port}", "--remote-write", write)
        pages: list[str] = []
        while run.poll() is None:
            if page := reached(f"http://127.0.0.1:{port}/metrics"):
                pages.append(page)
            time.sleep(0.5)
        run.communicate()
        (run_file,) = (folder / "runs").glob("*.soak")
        yield run_file, url, pages


def test_pages_are_clean_and_the_counts_are_those_of_the_run(scraped: tuple[Path, str, list[str]]) -> None:
    run_file, url, pages = scraped
    live = [p for p in pages if 'soak_run_state{scenario="leak",state="running"} 1.0' in p and "soak_latency" in p]
    for page in (live[-1], pages[-1]):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
    side = read(run_file).sides["candidate"]
    (done,) = ask(url, "query", query='last_over_time(soak_arrivals_total{outcome="done"}[5m])')
    # the last page with measurements was made before the last intervals came in
    assert 0 < float(done["value"][1]) <= sum(y.done for y in side.tallies)
    (rss,) = ask(url, "query", query="max_over_time(soak_memory_rss_bytes[5m])")
    assert float(rss["value"][1]) == pytest.approx(np.nanmax(side.series["memory.rss"].v), rel=0.05)


def test_a_run_that_ended_is_seen_to_end_and_gives_no_all_clear(scraped: tuple[Path, str, list[str]]) -> None:
    """The run waits until a scraper saw its end; what it measured went stale before, what is held of it did not."""
    _, url, _ = scraped
    (ended,) = ask(url, "query", query='last_over_time(soak_run_state{state="ended"}[5m])')
    assert ended["value"][1] == "1"
    verdicts = ask(url, "query", query="last_over_time(soak_run_verdict[5m]) == 1")
    assert len(verdicts) == 1
    moment = ask(url, "query", query='max_over_time(timestamp(soak_run_state{state="ended"} == 1)[5m:1s])')[0]["value"][
        1
    ]
    assert ask(url, "query", query="soak_memory_rss_bytes", time=moment) == []
    assert ask(url, "query", query="soak_findings", time=moment) != []


def test_native_histograms_that_were_pushed_give_the_quantiles_of_the_run(scraped: tuple[Path, str, list[str]]) -> None:
    run_file, url, _ = scraped
    side = read(run_file).sides["candidate"]
    for endpoint in side.endpoints:
        parts = [w.histogram for o in ("ok", "timeout") for w in side.windows.get((endpoint, o, "latency"), ())]  # type: ignore[call-overload]
        whole = Histogram.merge(parts)
        selector = f'soak_request_seconds{{endpoint="{endpoint}"}}'
        (count,) = ask(url, "query", query=f"histogram_count({selector})")
        assert float(count["value"][1]) == whole.total
        for q in (0.5, 0.99):
            (found,) = ask(url, "query", query=f"histogram_quantile({q}, {selector})")
            one = 1.5 / whole.total  # the two count ranks differently: in a thin tail the next value is far away
            low, high = (whole.percentile(100 * min(max(p, 0.0), 1.0)) for p in (q - one, q + one))
            assert low * 0.975 <= float(found["value"][1]) <= high * 1.025


def test_a_run_told_in_hindsight_has_the_p99_of_its_report(
    scraped: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    run_file, _, _ = scraped
    text = tmp_path / "run.om"
    done = soak(tmp_path, "report", str(run_file), "--format", "openmetrics", "--output", str(text))
    assert done.code == 0, done.show()
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "run.om", "data"]
    made = subprocess.run(backfill, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    recording = read(run_file)
    chart = next(c for c in charts(recording) if c.id == "latency")
    compared = 0
    with prometheus(tmp_path, "global: {}\n") as url:
        for trace in chart.traces:
            if trace.name.endswith("p99") and trace.side == "candidate":
                endpoint = trace.endpoint or "(all)"
                width = float(trace.series.t[1] - trace.series.t[0])
                for t, value in zip(trace.series.t, trace.series.v, strict=True):
                    if np.isfinite(value):
                        moment = recording.wall(min(float(t) + width / 2, recording.duration)) + 0.005
                        query = f'soak_latency_seconds{{side="candidate",endpoint="{endpoint}",quantile="0.99"}}'
                        (found,) = ask(url, "query", query=query, time=f"{moment:.3f}")
                        assert float(found["value"][1]) == pytest.approx(value, rel=1e-9)
                        compared += 1
        (failing,) = ask(
            url, "query", query="soak_run_verdict == 1", time=f"{recording.wall(recording.duration) + 0.005:.3f}"
        )
    assert compared >= 60
    assert failing["metric"]["result"] == read_meta(run_file)["verdict"]
