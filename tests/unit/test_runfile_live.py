from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from soak.core.histogram import Recorder
from soak.core.records import Event, Interval, Sample, Tally
from soak.runfile import LiveReader, RunWriter, read
from soak.runfile.live import MOST

DOCUMENT = {
    "name": "made",
    "target": {"url": "http://127.0.0.1:8000", "pid": 1},
    "load": {"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]},
    "phases": {"warmup": "0s", "soak": "8h"},
    "criteria": [{"metric": "errors.ratio", "below": "1%"}],
}


def grow(writer: RunWriter, first: int, last: int) -> None:
    """What comes in from second `first` to `last`."""
    for i in range(first // 10, last // 10):
        recorder = Recorder()
        for k in range(10):
            recorder.record(0.001 * (k + 1))
        tally = Tally("candidate", "w", i, i * 10.0, 10.0, 10, 10, 0, 0, 0, 0, 2e-3, 5e-3, 1e-3, 4e-3, 0.1, 1, 1)
        made = Interval("candidate", "w", i, i * 10.0, 10.0, "browse", "ok", "latency", recorder.take())
        writer.add_report(tally, [made])
    writer.add_samples([Sample(float(t), "candidate", {"memory.rss": float(t)}) for t in range(first, last)])


def test_a_live_reader_sees_what_a_whole_reading_sees_however_often_it_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "run.soak"
    writer = RunWriter.create(path, {"run": "r", "started": 1.0, "scenario": DOCUMENT, "provenance": {}})
    writer.add_event(Event(0.0, "phase", None, "soak", {"name": "soak"}))
    live = LiveReader(path)
    for end in (400, 800, 1200, MOST):
        grow(writer, {400: 0, 800: 400, 1200: 800, MOST: 1200}[end], end)
        if end != 1200:
            writer.roll_up(end - 100, 80.0)
        seen, whole = live.recording().sides["candidate"], read(path).sides["candidate"]
        assert seen.tallies == whole.tallies
        assert {k: [(w.start, w.histogram.total) for w in ws] for k, ws in seen.windows.items()} == {
            k: [(w.start, w.histogram.total) for w in ws] for k, ws in whole.windows.items()
        }
        assert np.array_equal(seen.series["memory.rss"].v, whole.series["memory.rss"].v)
    writer.close()


def test_old_samples_are_thinned_out_and_never_more_than_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "run.soak"
    writer = RunWriter.create(path, {"run": "r", "started": 1.0, "scenario": DOCUMENT, "provenance": {}})
    live = LiveReader(path)
    for hour in range(6):
        grow(writer, hour * 3600, (hour + 1) * 3600)
        writer.roll_up((hour + 1) * 3600, 80.0)
        found = live.recording().sides["candidate"].series["memory.rss"]
        assert len(found) <= MOST
        assert np.array_equal(found.t, found.v)
        assert found.t[0] == 0
        assert found.t[-1] > (hour + 1) * 3600 - 100
        assert np.max(np.diff(found.t)) < 20
    assert len(read(path).sides["candidate"].series["memory.rss"]) == 6 * 3600
    writer.close()


def test_who_asks_at_the_same_time_sees_the_same_and_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / "run.soak"
    writer = RunWriter.create(path, {"run": "r", "started": 1.0, "scenario": DOCUMENT, "provenance": {}})
    for part in range(4):
        grow(writer, part * 4000, (part + 1) * 4000)
        writer.roll_up((part + 1) * 4000 - 100, 80.0)
    live = LiveReader(path)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: live.recording().sides["candidate"], range(16)))
    assert {len(side.tallies) for side in found} == {1600}
    assert {sum(w.histogram.total for ws in side.windows.values() for w in ws) for side in found} == {16_000}
    writer.close()
