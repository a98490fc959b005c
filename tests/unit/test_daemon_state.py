from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.daemon import state as state_module
from soak.daemon import statefile
from soak.daemon.job import Process
from soak.daemon.retention import expired
from soak.daemon.state import SameKeyError, State, Token
from soak.daemon.statefile import alone
from tests.unit.daemoning import START, request


def test_a_job_goes_one_way_and_is_there_after_a_restart(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        job, new = state.add(request(), START)
        assert new
        assert (job.id, job.state, job.request, job.asked_at) == (1, "queued", request(), START)
        assert state.begin(1, tmp_path / "r.soak", START + 1)
        assert not state.begin(1, tmp_path / "again.soak", START + 2)
        assert state.note_process(1, Process("boot", 7, 99))
    with State(tmp_path / "s") as state:
        (job,) = state.open_jobs()
        assert (job.state, job.run_file, job.process) == ("running", tmp_path / "r.soak", Process("boot", 7, 99))
        assert state.end(1, "pass", 0, "fine", START + 9)
        assert not state.end(1, "fail", 1, "too late", START + 10)
        ended = state.job(1)
        assert ended is not None
        assert (ended.state, ended.verdict, ended.exit_code, ended.reason, ended.ended_at) == (
            "ended", "pass", 0, "fine", START + 9,
        )  # fmt: skip
        assert state.open_jobs() == []
        assert not state.begin(1, tmp_path / "r.soak", START)


def test_one_request_key_is_one_job_of_one_asker(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        first, _ = state.add(request(key="k"), START)
        again, new = state.add(request(key="k"), START + 5)
        assert again == first
        assert not new
        other, new = state.add(request(key="k", by="somebody else"), START)
        assert new
        assert other.id != first.id
        with pytest.raises(SameKeyError, match="'k'"):
            state.add(request("another", key="k"), START)
        moved, new = state.add(request("shop", "elsewhere:80", key="k"), START)  # its scenario was changed since
        assert (moved, new) == (first, False)
        unkeyed = [state.add(request(), START)[0].id for _ in range(2)]
        assert len(set(unkeyed)) == 2


def test_pages_are_newest_first_and_each_goes_on_where_the_one_before_ended(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        for i in range(7):
            state.add(request("shop" if i % 2 else "other"), START)
        state.end(3, "pass", 0, "", START)
        assert [j.id for j in state.page(3)] == [7, 6, 5]
        assert [j.id for j in state.page(3, before=5)] == [4, 3, 2]
        assert [j.id for j in state.page(9, state="ended")] == [3]
        assert [j.id for j in state.page(9, name="shop")] == [6, 4, 2]


def test_a_stop_is_noted_once(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.add(request(), START)
        assert state.note_stop(1, START + 1)
        assert not state.note_stop(1, START + 2)
        job = state.job(1)
        assert job is not None
        assert job.stop_at == START + 1


def test_the_last_run_of_a_schedule_is_known_however_many_came_since(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        for key in ("night@1", "night@2", "night-2@3", "fortnight@4"):
            state.add(request(key=key, by="calendar"), START)
        for i in range(600):
            state.add(request(key=f"night@{i}"), START)
        found = state.last_asked("calendar", "night@")
        assert found is not None
        assert found.request.key == "night@2"
        assert state.last_asked("calendar", "day@") is None


def test_the_audit_log_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_module, "AUDIT_KEPT", 3)
    with State(tmp_path / "s") as state:
        for i in range(5):
            state.note(START + i, "ci", "127.0.0.1", f"act {i}", None, "")
        assert [d.action for d in state.deeds(10)] == ["act 4", "act 3", "act 2"]
        assert [d.action for d in state.deeds(1, before=5)] == ["act 3"]


def test_tokens_have_one_name_each(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.add_token(Token("ci", "run", b"1", START))
        with pytest.raises(SoakError, match="'ci' already"):
            state.add_token(Token("ci", "admin", b"2", START))
        assert [t.role for t in state.tokens()] == ["run"]
        assert state.remove_token("ci")
        assert not state.remove_token("ci")


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.add(request(), START)
        assert {(p.name, p.stat().st_mode & 0o077) for p in tmp_path.iterdir()} == {
            ("s", 0), ("s-wal", 0), ("s-shm", 0),
        }  # fmt: skip


def test_an_older_state_is_brought_forward_and_a_newer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with State(path) as state:
        state.add(request(), START)
    more = (*statefile.MIGRATIONS, "ALTER TABLE job ADD COLUMN colour TEXT NOT NULL DEFAULT 'green';")
    statefile.opened(path, more).close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, colour FROM job").fetchall() == [(1, "green")]
    assert db.execute("PRAGMA user_version").fetchone() == (len(more),)
    db.close()
    with pytest.raises(SoakError, match="written by a newer soak"):
        State(path)


def test_a_migration_that_fails_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "s"
    State(path).close()
    broken = (*statefile.MIGRATIONS, "CREATE TABLE half (id INTEGER); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(SoakError, match="nowhere"):
        statefile.opened(path, broken)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (len(statefile.MIGRATIONS),)
    assert not db.execute("SELECT * FROM sqlite_master WHERE name = 'half'").fetchall()
    db.close()


def test_what_is_no_state_is_refused_in_plain_words(tmp_path: Path) -> None:
    other = tmp_path / "other"
    with contextlib.closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE mine (id INTEGER)")
    with pytest.raises(SoakError, match="some other SQLite file"):
        State(other)
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to look like one " * 20)
    with pytest.raises(SoakError, match="not a database"):
        State(text)
    with pytest.raises(SoakError, match="cannot be"):
        State(tmp_path / "text" / "below")


def test_two_daemons_never_share_a_state(tmp_path: Path) -> None:
    with alone(tmp_path / "s"), pytest.raises(SoakError, match="another `soak serve`"), alone(tmp_path / "s"):
        pass
    with alone(tmp_path / "s"):
        pass


def test_what_blocks_a_daemon_that_has_its_state_is_no_other_daemon(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError), alone(tmp_path / "s"):
        raise BlockingIOError


WRITER = """
import sys
from pathlib import Path
from soak.daemon.job import Process
from soak.daemon.state import State
from tests.unit.daemoning import START, request
state = State(Path(sys.argv[1]))
for i in range(1_000_000):
    job, _ = state.add(request(key=f"{sys.argv[2]}-{i}"), START)
    state.begin(job.id, Path("r.soak"), START)
    state.note_process(job.id, Process("boot", 7, 99))
    state.end(job.id, "pass", 0, "fine", START)
    print(job.id, flush=True)
"""


def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "s"
    acknowledged: set[int] = set()
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(attempt)], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2], env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.11 * attempt)
        process.send_signal(signal.SIGKILL)
        # the kill may come between a line and its end
        acknowledged |= {int(line) for line in (first + process.stdout.read()).splitlines(keepends=True)
                         if line.endswith("\n")}  # fmt: skip
        process.wait()
        with State(path) as state:
            assert all((j.state, j.verdict) == ("ended", "pass") for j in map(state.job, acknowledged) if j)
            assert not [number for number in acknowledged if state.job(number) is None]
            assert len(state.open_jobs()) <= attempt + 1  # the one that a kill came upon
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_somebody_uploaded_is_no_baseline_of_the_folders_scenarios(tmp_path: Path) -> None:
    ours, theirs = request(), replace(request(), scenario="sha256:" + "1" * 64)
    others = replace(request(), scenario="sha256:" + "2" * 64)
    with State(tmp_path / "s") as state:
        for number, asked in enumerate((ours, theirs, others), 1):  # one name, one load
            state.add(asked, START)
            state.begin(number, tmp_path / f"{number}.soak", START, "a load")
            state.end(number, "pass", 0, "fine", START)
        found = [[job.id for job in state.passed(asked, "a load")] for asked in (ours, theirs, others)]
        assert found == [[1], [2], [3]]
        kept = expired(state.with_files(), START + 100, 10)
    assert kept == []  # each is the last pass of its own


def test_a_job_that_was_cut_off_keeps_its_file_and_goes_on(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        state.add(request(), START)
        assert not state.cut_off(1, "died")
        state.begin(1, tmp_path / "1.soak", START)
        state.note_process(1, Process("boot", 7, 99))
        assert state.cut_off(1, "died")
        job = state.job(1)
        assert job is not None
        assert (job.state, job.run_file, job.process, job.reason) == ("queued", tmp_path / "1.soak", None, "died")
        assert state.begin_again(1)
        assert not state.begin_again(1)
        assert not state.take_up(1, "asked")
        state.note_stop(1, START)
        state.end(1, "inconclusive", 130, "stopped", START, resumable=True)
        assert state.take_up(1, "asked")
        job = state.job(1)
        assert job is not None
        assert (job.state, job.resumed, job.stop_at, job.ended_at, job.verdict) == ("queued", 1, None, None, None)


def test_a_damaged_state_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with State(path) as state:
        for _ in range(200):
            state.add(request(), START)
    content = bytearray(path.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 200] = b"\xee" * 200
    path.write_bytes(content)
    with pytest.raises(SoakError, match=r"the state is damaged|cannot be used"):
        State(path)


def test_a_schedule_that_was_first_seen_by_a_clock_ahead_is_due_once_that_is_right(tmp_path: Path) -> None:
    with State(tmp_path / "s") as state:
        assert state.seen_since("nightly", "rule", START + 1e8) == START + 1e8
        assert state.seen_since("nightly", "rule", START) == START
        assert state.seen_since("nightly", "rule", START + 60) == START
