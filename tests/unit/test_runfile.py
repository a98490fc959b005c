from __future__ import annotations

import contextlib
import math
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak import runfile
from soak.core.errors import RunFileError, WriteError
from soak.core.histogram import Histogram, Recorder
from soak.core.records import Event, Interval, Sample, Tally
from soak.runfile import RunWriter
from soak.runfile.rollup import pack_intervals, pack_samples, unpack_samples

SCENARIO: dict[str, Any] = {
    "name": "made",
    "target": {"url": "http://127.0.0.1:8000", "process": {"command": "server"}},
    "load": {"rate": "100/s", "requests": [{"name": "browse", "get": "/"}]},
    "phases": {"warmup": "10s", "soak": "120s"},
    "criteria": [{"metric": "errors.ratio", "below": "1%"}],
}
META = {"run": "made-1", "started": 1_767_225_600.0, "scenario": SCENARIO, "provenance": {"host": "here"}}


def histogram(seed: int, n: int = 200) -> Histogram:
    recorder = Recorder()
    for value in np.random.default_rng(seed).lognormal(-5, 0.5, n):
        recorder.record(float(value))
    return recorder.take()


def report(worker: str, sequence: int, n: int = 200) -> tuple[Tally, list[Interval]]:
    start = float(sequence)
    tally = Tally("candidate", worker, sequence, start, 1.0, n, n, 0, 0, 0, 0, 0.001, 0.002, 0.001, 0.002, 0.1, 1, 0)
    seed = sequence * 100 + int(worker[-1])
    return tally, [
        Interval("candidate", worker, sequence, start, 1.0, "browse", "ok", clock, histogram(seed, n))
        for clock in ("latency", "service")
    ]


def write(path: Path, seconds: int = 20, finish: bool = True) -> None:
    writer = RunWriter.create(path, META)
    writer.add_event(Event(0.0, "phase", None, "", {"name": "warmup"}))
    writer.add_event(Event(5.0, "phase", None, "", {"name": "soak"}))
    for i in range(seconds):
        for worker in ("worker-0", "worker-1"):
            writer.add_report(*report(worker, i))
        values = {"memory.rss": 1000.0 + i, "process.threads": 4.0}
        writer.add_samples([Sample(float(i), "candidate", values), Sample(float(i), "candidate/7@9", values)])
    writer.add_samples([Sample(float(seconds), "candidate", {"memory.rss": 5.0, "memory.pss": 4.0})])
    writer.add_event(Event(float(seconds), "schedule", "candidate", "", {"arrivals": 400 * seconds}))
    writer.add_event(Event(float(seconds), "phase", None, "", {"name": "end"}))
    if finish:
        writer.set_meta("finished", True)
        writer.finish()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path)
    got = runfile.read(path)
    side = got.sides["candidate"]
    assert (got.run, got.finished, got.scenario.name) == ("made-1", True, "made")
    assert [(p.name, p.start, p.end) for p in got.phases] == [("warmup", 0.0, 5.0), ("soak", 5.0, 20.0)]
    assert side.scheduled == 8000
    windows = side.windows["browse", "ok", "latency"]
    assert len(windows) == 20
    expected = Histogram.merge([histogram(300), histogram(301)])
    assert np.array_equal(windows[3].histogram.counts, expected.counts)
    assert side.series["memory.rss"].v.tolist() == [*(1000.0 + i for i in range(20)), 5.0]
    assert side.series["memory.pss"].t.tolist() == [20.0]
    assert len(side.processes["7@9"]["process.threads"]) == 20
    assert len(side.tallies) == 40
    assert got.provenance == {"host": "here"}


def test_a_finished_run_is_one_plain_file(tmp_path: Path) -> None:
    write(tmp_path / "a.soak")
    assert [p.name for p in tmp_path.iterdir()] == ["a.soak"]


def test_a_run_ends_though_somebody_reads_its_file_just_then(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    writer = RunWriter.create(path, META)
    reader = sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, check_same_thread=False)
    reader.execute("SELECT * FROM meta").fetchone()
    threading.Timer(0.5, reader.close).start()
    writer.finish()
    assert [p.name for p in tmp_path.iterdir()] == ["a.soak"]


def test_a_run_ends_though_somebody_never_stops_reading_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soak.runfile.write._READERS_S", 0.3)
    path = tmp_path / "a.soak"
    writer = RunWriter.create(path, META)
    with contextlib.closing(sqlite3.connect(path.as_uri() + "?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM meta").fetchone()
        writer.add_report(*report("worker-0", 1))
        writer.set_meta("finished", True)
        writer.finish()
        assert runfile.read(path).finished
    got = runfile.read(path)
    assert (got.finished, len(got.sides["candidate"].tallies)) == (True, 1)


def test_a_report_sent_again_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    writer = RunWriter.create(path, META)
    for _ in range(3):
        writer.add_report(*report("worker-0", 1))
    assert [w.histogram.total for w in runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]] == [
        200
    ]
    writer.close()


def test_it_is_readable_while_another_process_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    writer = RunWriter.create(path, META)
    second = RunWriter.attach(path)
    for i in range(3):
        second.add_report(*report("worker-0", i))
        writer.add_samples([Sample(float(i), "candidate", {"memory.rss": float(i)})])
        side = runfile.read(path).sides["candidate"]
        assert len(side.tallies) == i + 1
        assert len(side.series["memory.rss"]) == i + 1
    recent = runfile.read_recent(path, "candidate", 1.0)
    assert (recent.done, recent.latency.total, recent.seconds) == (400, 400, 2.0)
    second.close()
    writer.close()


def test_rolled_windows_hold_the_same_counts_and_a_tail_follows(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path, 25, finish=False)
    before = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
    writer = RunWriter.attach(path)
    writer.roll_up(17.0, 5.0)
    after = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
    assert [(w.start, w.length) for w in after[:3]] == [(0.0, 5.0), (5.0, 5.0), (10.0, 5.0)]
    assert [w.start for w in after[3:]] == [float(i) for i in range(15, 25)]
    whole = [Histogram.merge(w.histogram for w in ws) for ws in (before, after)]
    assert np.array_equal(whole[0].index, whole[1].index)
    assert np.array_equal(whole[0].counts, whole[1].counts)
    writer.roll_up(17.0, 5.0)
    assert len(runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]) == len(after)
    writer.close()


@pytest.mark.parametrize("kept", [0.2, 0.35, 0.5, 0.6, 0.61, 0.77, 0.9, 0.99])
def test_a_torn_file_still_opens_and_says_so(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.soak"
    write(path, 120)
    whole = path.stat().st_size
    os.truncate(path, int(whole * kept))
    got = runfile.read(path)
    assert not got.finished
    assert [e.kind for e in got.events][-1] == "torn"
    assert 0 <= len(got.sides["candidate"].tallies) <= 240
    if kept >= 0.6:
        assert len(got.sides["candidate"].tallies) > 50


@pytest.mark.parametrize("content", [b"", b"not a run file at all, not even nearly", b"SQLite format 3\0" + bytes(80)])
def test_what_is_no_run_file_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.soak"
    path.write_bytes(content)
    with pytest.raises(RunFileError, match="not a readable run file"):
        runfile.read(path)


def test_a_file_of_a_newer_soak_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path)
    data = bytearray(path.read_bytes())
    data[60:64] = (999).to_bytes(4, "big")  # user_version in the SQLite header
    path.write_bytes(data)
    with pytest.raises(RunFileError, match="newer soak"):
        runfile.read(path)


def test_a_writer_that_is_killed_loses_nothing_it_had_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    code = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.test_runfile import META, report\n"
        "from soak.runfile import RunWriter\n"
        f"w = RunWriter.create(Path({str(path)!r}), META)\n"
        "i = 0\n"
        "while True:\n"
        "    w.add_report(*report('worker-0', i)); print(i, flush=True); i += 1\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = -1
    while acknowledged < 30:
        acknowledged = int(child.stdout.readline())
    child.send_signal(signal.SIGKILL)
    rest = child.stdout.read().split()
    child.wait()
    child.stdout.close()
    acknowledged = int(rest[-1]) if rest else acknowledged
    got = runfile.read(path)
    assert not got.finished
    assert {y.sequence for y in got.sides["candidate"].tallies} >= set(range(acknowledged + 1))


def test_a_run_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path / "a.soak")
    with pytest.raises(RunFileError, match="exists already"):
        RunWriter.create(tmp_path / "a.soak", META)


def test_a_run_that_is_killed_while_its_file_is_made_leaves_none(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from soak.runfile import RunWriter\n"
        "class Deadly(dict):\n"
        "    def items(self):\n"
        "        yield 'run', 'x'\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "RunWriter.create(Path(sys.argv[1]), Deadly())\n"
    )
    path = tmp_path / "x.soak"
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    assert runfile.entries(tmp_path) == ([], [])
    RunWriter.create(path, META).close()  # and the name is free
    assert runfile.read(path).run == "made-1"


def test_the_log_of_a_file_that_was_taken_away_is_not_played_back_into_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "x.soak"
    writer = RunWriter.create(path, META)
    writer.add_event(Event(1.0, "note", None, "of the old run"))
    log = path.with_name("x.soak-wal")
    old = log.read_bytes()
    writer.close()
    path.unlink()
    log.write_bytes(old)  # as a kill leaves it
    RunWriter.create(path, META).close()
    assert runfile.read(path).events == ()


def test_a_run_that_measured_nothing_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.soak"
    writer = RunWriter.create(path, META)
    writer.add_event(Event(1.0, "note", None, "of a run that never began"))
    with contextlib.closing(RunWriter.attach(path)) as beside:  # the load master's
        beside.add_event(Event(2.0, "note", None, "and its master"))
        writer.discard()
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_is_one_clear_error_and_costs_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "x.soak"
    writer = RunWriter.create(path, META)
    writer.add_event(Event(1.0, "note", None, "kept"))
    pages = writer._db.execute("PRAGMA page_count").fetchone()[0]
    writer._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then finds no room, as on a disk that is full
    with pytest.raises(WriteError, match=r"disk is full.*--resume") as raised:
        writer.add_event(Event(2.0, "note", None, "x" * 100_000))
    assert raised.value.exit_code == 4
    writer.close()
    assert runfile.read(path).events[0].text == "kept"
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_catalogue_lists_newest_first_and_names_what_it_cannot_read(tmp_path: Path) -> None:
    for name, started in (("old", 1000.0), ("new", 2000.0)):
        writer = RunWriter.create(tmp_path / f"{name}.soak", META | {"run": name, "started": started})
        writer.set_meta("verdict", "pass")
        writer.finish()
    (tmp_path / "junk.soak").write_bytes(b"junk")
    entries, broken = runfile.entries(tmp_path)
    assert [(e.run, e.verdict) for e in entries] == [("new", "pass"), ("old", "pass")]
    assert len(broken) == 1
    assert "junk.soak" in broken[0]


def test_a_run_is_found_by_path_name_beginning_and_latest(tmp_path: Path) -> None:
    for name in ("leak-1", "leak-2", "stall-1"):
        write(tmp_path / f"{name}.soak", 1)
        time.sleep(0.01)
    assert runfile.resolve("stall", tmp_path).stem == "stall-1"
    assert runfile.resolve("leak-1", tmp_path).stem == "leak-1"
    assert runfile.resolve(str(tmp_path / "leak-2.soak"), tmp_path).stem == "leak-2"
    assert runfile.resolve("latest", tmp_path).stem == "stall-1"
    with pytest.raises(RunFileError, match=r"leak-1, leak-2|leak-2, leak-1"):
        runfile.resolve("leak", tmp_path)
    with pytest.raises(RunFileError, match="no run file 'x'"):
        runfile.resolve("x", tmp_path)


def test_new_paths_never_collide(tmp_path: Path) -> None:
    first = runfile.new_path("a", 1000.0, tmp_path)
    write(first, 1)
    assert runfile.new_path("a", 1000.0, tmp_path) != first


def samples_of(path: Path) -> list[tuple[float, float]]:
    side = runfile.read(path).sides["candidate"]
    series = [side.series["memory.rss"], side.processes["7@9"]["process.threads"], side.series["memory.pss"]]
    return [(t, v) for s in series for t, v in zip(s.t.tolist(), s.v.tolist(), strict=True)]


def test_rolling_up_takes_the_place_of_intervals_and_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path, 120, finish=False)
    writer = RunWriter.attach(path)
    before, samples = runfile.read(path), samples_of(path)
    for upto in (30.0, 30.0, 77.0, 120.0):
        writer.roll_up(upto, 5.0)
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM interval").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM sample WHERE t < 120").fetchone() == (0,)
    after = runfile.read(path)
    assert samples_of(path) == samples
    assert after.sides["candidate"].tallies == before.sides["candidate"].tallies
    for key, windows in before.sides["candidate"].windows.items():
        rolled = after.sides["candidate"].windows[key]
        assert [w.start for w in rolled] == [5.0 * i for i in range(24)]
        for i, window in enumerate(rolled):
            merged = Histogram.merge(w.histogram for w in windows[5 * i : 5 * i + 5])
            assert np.array_equal(window.histogram.index, merged.index)
            assert np.array_equal(window.histogram.counts, merged.counts)
    writer.close()


def test_a_report_that_comes_after_its_window_was_rolled_up_is_counted_once(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path, 20, finish=False)
    writer = RunWriter.attach(path)
    writer.roll_up(20.0, 5.0)
    writer.add_report(*report("worker-1", 3))  # sent again: its answer was lost
    writer.add_report(*report("worker-2", 3))  # late, and new
    for _ in range(2):
        windows = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
        assert sum(w.histogram.total for w in windows) == 41 * 200
        writer.roll_up(20.0, 5.0)
    assert [(w.start, w.length) for w in windows] == [(5.0 * i, 5.0) for i in range(4)]
    writer.close()


def test_others_write_on_while_what_is_old_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.soak"
    writer = RunWriter.create(path, META)
    for i in range(10):
        writer.add_report(*report("worker-0", i))
    other = RunWriter.attach(path)
    other._db.execute("PRAGMA busy_timeout = 0")  # one that finds the file locked fails at once

    def slowly(*given: Any) -> Any:
        packed = pack_intervals(*given)
        other.add_report(*report("worker-1", 3))
        return packed

    monkeypatch.setattr("soak.runfile.write.pack_intervals", slowly)
    writer.roll_up(10.0, 5.0)
    monkeypatch.undo()
    for _ in range(2):  # what came in late is there, and is packed the next time
        windows = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
        assert sum(w.histogram.total for w in windows) == 11 * 200
        writer.roll_up(10.0, 5.0)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM interval").fetchone() == (0,)
    other.close()
    writer.close()


def test_a_reader_of_a_live_run_never_sees_a_window_twice_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path, 60, finish=False)
    writer = RunWriter.attach(path)

    def roll() -> None:
        for upto in range(1, 61):
            writer.roll_up(float(upto), 1.0)

    thread = threading.Thread(target=roll)
    thread.start()
    looks = 0
    while thread.is_alive() or not looks:
        side = runfile.read(path).sides["candidate"]
        assert sum(w.histogram.total for w in side.windows["browse", "ok", "latency"]) == 60 * 400
        assert len(side.series["memory.rss"]) == 61
        looks += 1
    thread.join()
    writer.close()


def test_a_file_of_format_2_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.soak"
    write(path, 20)
    before = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
    with sqlite3.connect(path) as db:  # which kept merged windows beside their intervals
        db.executescript(
            "DROP TABLE packed_window; DROP TABLE packed_samples; PRAGMA user_version = 2;"
            "CREATE TABLE rollup (id INTEGER PRIMARY KEY, side TEXT, endpoint TEXT, outcome TEXT, clock TEXT,"
            " start REAL, length REAL, clamped INTEGER, histogram BLOB);"
        )
        for start in (0.0, 5.0, 10.0):
            merged = Histogram.merge(w.histogram for w in before if start <= w.start < start + 5)
            row = ("candidate", "browse", "ok", "latency", start, 5.0, 0, merged.encode())
            db.execute("INSERT INTO rollup VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    db.close()
    after = runfile.read(path).sides["candidate"].windows["browse", "ok", "latency"]
    assert [w.start for w in after] == [0.0, 5.0, 10.0, *(float(i) for i in range(15, 20))]
    whole = [Histogram.merge(w.histogram for w in ws) for ws in (before, after)]
    assert np.array_equal(whole[0].counts, whole[1].counts)


@given(
    st.lists(st.lists(st.floats(allow_nan=False), min_size=3, max_size=3), min_size=1, max_size=50),
)
def test_packed_samples_are_the_samples(rows: list[list[float]]) -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE TABLE sample (id INTEGER PRIMARY KEY, t REAL, layout INTEGER, data BLOB)")
        for i, (t, *values) in enumerate(rows):
            db.execute("INSERT INTO sample VALUES (?, ?, 1, ?)", (i, t, struct.pack("<2d", *values)))
        ((layout, count, data),) = pack_samples(db, math.inf, len(rows)) or [(1, 0, b"")]
    kept = [row for row in rows if row[0] < math.inf]
    assert (layout, count) == (1, len(kept))
    if kept:
        t, values = unpack_samples(count, data)
        assert np.column_stack([t, values]).tolist() == kept
