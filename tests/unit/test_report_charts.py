from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from soak.core.records import Series, SideRecording
from soak.report.chart import Chart, Trace
from soak.report.charts import charts
from tests.unit import report_making as made

RECORDING = made.recording()
DRAWN = {chart.id: chart for chart in charts(RECORDING)}


def trace(chart: str, name: str, endpoint: str | None = None) -> Trace:
    (found,) = [t for t in DRAWN[chart].traces if t.name == name and t.endpoint == endpoint]
    return found


def test_all_charts_are_there_in_order() -> None:
    assert list(DRAWN) == ["latency", "rate", "memory", "stack", "handles", "cpu", "instrument", "host"]


def test_latency_is_drawn_for_each_endpoint_and_for_all_merged() -> None:
    names = {t.endpoint for t in DRAWN["latency"].traces}
    assert names == {"", *made.ENDPOINTS}
    drift = trace("latency", "candidate p99", made.ODD).series
    calm = trace("latency", "reference p99", made.ODD).series
    assert drift.v[-1] > 2 * drift.v[0]
    assert calm.v[-1] < 1.5 * calm.v[0]
    assert len(drift) <= 240


def test_all_together_is_the_percentile_of_the_merged_histograms() -> None:
    both = trace("latency", "candidate p99", "").series.v
    worst = trace("latency", "candidate p99", made.ODD).series.v
    calm = trace("latency", "candidate p99", "browse").series.v
    assert np.all(both <= worst)
    assert np.all(both > calm)


def test_service_time_is_below_latency() -> None:
    assert np.all(
        trace("latency", "candidate p99 service", "buy").series.v < trace("latency", "candidate p99", "buy").series.v
    )


def test_the_rate_is_told_by_outcome_and_nothing_is_drawn_of_what_never_happened() -> None:
    assert {t.name for t in DRAWN["rate"].traces} == {
        "scheduled",
        "candidate done",
        "candidate failed",
        "reference done",
    }
    assert trace("rate", "scheduled").series.v == pytest.approx(200.0)
    assert trace("rate", "candidate failed").series.v[-1] == pytest.approx(39 / 40, abs=0.03)


def test_cores_come_from_cpu_time_and_a_new_process_leaves_a_gap_instead_of_a_cliff() -> None:
    assert np.nanmedian(trace("cpu", "candidate process tree").series.v) == pytest.approx(0.62, abs=0.01)
    side = RECORDING.sides["candidate"]
    t = np.arange(0.0, 100.0)
    fallen = Series(t, np.where(t < 50, t, t - 50))
    changed = replace(side, series={**side.series, "process.cpu_seconds": fallen})
    drawn = {c.id: c for c in charts(replace(RECORDING, sides={"candidate": changed}))}
    values = drawn["cpu"].traces[0].series.v
    assert np.isnan(values).sum() == 1
    assert np.nanmin(values) >= 0


def test_a_chart_without_data_is_left_out() -> None:
    side = RECORDING.sides["candidate"]
    bare = SideRecording(side.windows, side.tallies, {}, {}, None)
    drawn = charts(replace(RECORDING, sides={"candidate": bare}, host={}))
    assert [c.id for c in drawn] == ["latency", "rate", "cpu", "instrument"]


def test_the_data_of_a_chart_is_in_units_people_say_and_shows_gaps() -> None:
    data = DRAWN["memory"].data([1])
    assert data["unit"] == "MiB"
    resident = data["traces"][0]
    values = [v for v in resident["v"] if v is not None]
    assert 100 < min(values) < max(values) < 250
    assert None in resident["v"]
    assert data["marks"] == [1]
    assert DRAWN["latency"].data([])["unit"] == "ms"


def test_a_long_series_is_thinned() -> None:
    t = np.arange(100_000.0)
    chart = Chart("x", "X", "bytes", (Trace("x", "candidate", "solid", Series(t, np.sin(t))),), (), "")
    assert len(chart.data([])["traces"][0]["t"]) <= 2000


@pytest.mark.parametrize("low,high,bottom", [(100.0, 101.0, 80.0), (10.0, 100.0, 0.0), (0.0, 0.0, 0.0)])
def test_noise_on_a_flat_line_does_not_fill_the_chart(low: float, high: float, bottom: float) -> None:
    chart = Chart(
        "x", "X", "count", (Trace("x", "candidate", "solid", Series(np.arange(2.0), np.array([low, high]))),), (), ""
    )
    start, end = chart.data([])["range"]
    assert start >= bottom
    assert start <= low <= high < end
    assert end - start >= 0.1 * high


def test_a_chart_is_told_in_words() -> None:
    words = DRAWN["memory"].summary(360.0, 7560.0)
    assert words.startswith("candidate resident from 153 MiB to 199 MiB, at most 200 MiB")
    assert "reference resident from 150 MiB to 150 MiB" in words


def test_what_is_told_of_the_heap_has_a_chart_of_its_own() -> None:
    candidate = RECORDING.sides["candidate"]
    told = dict.fromkeys(("memory.live", "memory.retained"), candidate.series["memory.rss"])
    sides = {"candidate": replace(candidate, series={**candidate.series, **told})}
    (heap,) = [c for c in charts(replace(RECORDING, sides=sides)) if c.id == "heap"]
    assert [t.name for t in heap.traces] == ["live", "free pages"]
