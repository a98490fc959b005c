"""Where a run stood, by its file alone: its account, its clock, and who may go on with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from soak import __version__
from soak.cli import main
from soak.core.errors import RunFileError
from soak.core.histogram import Recorder
from soak.core.records import Event, Interval, Sample, Tally
from soak.core.scenario import Scenario
from soak.load import schedule_of
from soak.run.account import close_past
from soak.run.resume import STOP_LEAD_S, Past, boot_id, close, identity, scenario_of, take_up, write_gap
from soak.runfile import RunWriter, read

LOAD = {"rate": "100/s", "workers": 2, "requests": [{"name": "browse", "get": "/"}]}
RAW: dict[str, Any] = {
    "name": "cut",
    "target": {"url": "http://127.0.0.1:8000", "port": 8000},
    "load": LOAD,
    "phases": {"idle_before": "5s", "warmup": "10s", "soak": "60s", "idle_after": "5s"},
    "criteria": [{"metric": "errors.ratio", "below": "1%"}],
}
SPEC = Scenario.model_validate(RAW)
BEGIN = 5.0
NAMES = ("worker-0", "worker-1")


def tally(worker: str, sequence: int, start: float, done: int) -> Tally:
    return Tally(
        "candidate", worker, sequence, start, 1.0, done, done, 0, 0, 0, 0, 0.002, 0.005, 0.001, 0.004, 0.1, 9, 0
    )


def report(writer: RunWriter, worker: str, sequence: int, start: float, done: int) -> None:
    recorder = Recorder()
    for _ in range(done):
        recorder.record(0.005)
    made = Interval(
        "candidate", worker, sequence, start, 1.0, "browse", "ok", "latency", recorder.take()
    )  # fmt: skip
    writer.add_report(tally(worker, sequence, start, done), [made])


def cut_off(folder: Path, seconds: int, *, late: int = 0, events: tuple[Event, ...] = (), **meta: Any) -> Path:
    """A run file of a run that was killed `seconds` into its load; of its second worker `late` reports are missing."""
    path = folder / "cut-20260101-000000.soak"
    provenance = {"soak": __version__}
    head = {"run": path.stem, "started": 1_767_225_600.0, "scenario": RAW, "provenance": provenance}
    writer = RunWriter.create(path, head | identity(SPEC, folder) | meta)
    writer.add_event(Event(0.0, "phase", None, "idle_before", {"name": "idle_before"}))
    shares = {name: i for i, name in enumerate(NAMES)}
    writer.add_event(Event(3.5, "split", "candidate", "", {"at": 0.0, "shares": shares, "begin": BEGIN}))
    writer.add_event(Event(BEGIN, "phase", None, "warmup", {"name": "warmup"}))
    if seconds > 10:
        writer.add_event(Event(15.0, "phase", None, "soak", {"name": "soak"}))
    for i in range(seconds):
        for name in NAMES[: 2 if i < seconds - late else 1]:
            report(writer, name, i + 1, BEGIN + i, 40)
    for i in range(int(BEGIN) + seconds):
        writer.add_samples([Sample(float(i), s, {"memory.rss": 1e7}) for s in ("candidate", "candidate/4711@88")])
    for event in events:
        writer.add_event(event)
    writer.close()
    return path


def gone_on(path: Path, anew: tuple[str, ...] = (), after: float = 3.0) -> tuple[Past, float]:
    """Take a run up and say that its load goes on; when its schedule would have begun."""
    past = take_up(path)
    try:
        close(past, path, path.parent)
        return past, write_gap(past, anew, past.stood + after)
    finally:
        past.writer.close()


def test_the_schedule_goes_on_where_the_account_ends(tmp_path: Path) -> None:
    path = cut_off(tmp_path, 30, late=3)
    past, begin = gone_on(path)
    assert past.begin == BEGIN
    assert past.upto == pytest.approx(30 + 2)  # two seconds after the last that was written
    assert past.since == BEGIN + 27  # from then on not every worker had told
    assert past.why == "cut off"
    assert not past.over
    assert begin + past.upto == pytest.approx(past.stood + 3)
    recording = read(path)
    (gap,) = recording.gaps
    assert (gap.start, gap.end) == (past.since, past.stood + 3)
    schedule = schedule_of(SPEC, tmp_path)
    assert schedule is not None
    side = recording.sides["candidate"]
    told = sum(y.done + y.failed + y.unserved + y.lost for y in side.tallies)
    assert side.scheduled == told == schedule.count(past.upto)
    assert sum(y.done for y in side.tallies) == 40 * (30 + 27)  # what was acknowledged, neither lost nor doubled


def test_killed_again_before_anything_was_sent_it_sends_nothing_twice_and_loses_nothing_more(tmp_path: Path) -> None:
    path = cut_off(tmp_path, 30)
    first, _ = gone_on(path)
    second, _ = gone_on(path)
    assert second.upto == pytest.approx(first.upto)
    assert second.number == 2
    recording = read(path)
    side = recording.sides["candidate"]
    schedule = schedule_of(SPEC, tmp_path)
    assert schedule is not None
    assert side.scheduled == schedule.count(first.upto)
    assert [y.worker for y in side.tallies if y.lost] == list(NAMES)


def test_an_interrupted_run_has_told_all_and_loses_nothing(tmp_path: Path) -> None:
    until = 35.3
    said = Event(35.0, "interrupted", None, "interrupted by the user")
    phases = [("drain", until), ("idle_after", 36.0), ("end", 41.0)]
    account = Event(until, "schedule", "candidate", "", {"arrivals": 2400, "begin": BEGIN, "until": until})
    events = (said, *(Event(t, "phase", None, n, {"name": n}) for n, t in phases), account)
    past, _ = gone_on(cut_off(tmp_path, 30, events=events, finished=True, verdict="inconclusive"))
    assert past.why == "interrupted"
    assert past.upto == pytest.approx(until - BEGIN)
    assert past.stood == pytest.approx(41.0)  # its clock goes on behind the idle phase
    recording = read(past.writer.path)
    assert not any(y.lost for y in recording.sides["candidate"].tallies)
    assert recording.sides["candidate"].scheduled == 2400
    assert [p.name for p in recording.phases] == ["idle_before", "warmup", "soak"]  # it is in its soak again
    assert not recording.finished


def test_interrupted_and_then_killed_in_its_drain_it_goes_on_from_when_the_load_ended(tmp_path: Path) -> None:
    past, _ = gone_on(cut_off(tmp_path, 30, events=(Event(34.8, "interrupted", None, ""),)))
    assert past.upto == pytest.approx(34.8 + STOP_LEAD_S - BEGIN)


def test_killed_before_its_load_it_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "cut.soak"
    head = {"run": "cut", "started": 1.0, "scenario": RAW, "provenance": {"soak": __version__}}
    RunWriter.create(path, head | identity(SPEC, tmp_path)).close()
    past, begin = gone_on(path, ("candidate",))
    assert past.begin is None
    assert past.upto == 0.0
    assert begin == past.stood + 3.0
    assert read(path).phases == ()


def test_killed_in_its_drain_there_is_nothing_to_run_but_the_account_to_close(tmp_path: Path) -> None:
    past, _ = gone_on(cut_off(tmp_path, 70), after=0.0)
    assert past.over
    assert past.upto == pytest.approx(SPEC.load_s)


@pytest.mark.parametrize("kind", ["generator_error", "stopped_early", "target_exit"])
def test_a_load_that_had_ended_by_itself_is_not_begun_again(tmp_path: Path, kind: str) -> None:
    assert gone_on(cut_off(tmp_path, 30, events=(Event(34.0, kind, "candidate", ""),)))[0].over


def test_a_run_that_goes_on_is_refused_until_its_conductor_is_gone(tmp_path: Path) -> None:
    path = cut_off(tmp_path, 30)
    past = take_up(path)
    with pytest.raises(RunFileError, match="still goes on"):
        take_up(path)
    past.writer.close()
    take_up(path).writer.close()


def test_a_finished_run_is_refused_with_its_verdict(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="finished, with the verdict pass"):
        take_up(cut_off(tmp_path, 70, finished=True, verdict="pass"))


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    path = cut_off(tmp_path, 30, provenance={"soak": "0.0.1"})
    with pytest.raises(RunFileError, match=r"begun by soak 0\.0\.1"):
        scenario_of(path)


def test_a_run_whose_files_changed_is_refused_and_says_which(tmp_path: Path) -> None:
    (tmp_path / "users.csv").write_text("id\n1\n")
    raw = RAW | {
        "load": LOAD | {"feeds": {"who": {"csv": "users.csv"}}, "requests": [{"name": "browse", "get": "/{who.id}"}]}
    }
    scenario = Scenario.model_validate(raw)
    head = identity(scenario, tmp_path)
    assert head["digests"]
    path = cut_off(tmp_path, 30, scenario=raw, digests=head["digests"])
    assert scenario_of(path)[2] == tmp_path.resolve()
    (tmp_path / "users.csv").write_text("id\n2\n")
    with pytest.raises(RunFileError, match=r"users\.csv changed"):
        scenario_of(path)


def test_a_process_is_known_again_only_in_the_same_boot(tmp_path: Path) -> None:
    here = take_up(cut_off(tmp_path, 30))
    here.writer.close()
    assert here.known["candidate"] == {"4711@88"}
    here.writer.path.unlink()
    rebooted = take_up(cut_off(tmp_path, 30, boot="another"))
    rebooted.writer.close()
    assert boot_id() != "another"
    assert rebooted.known["candidate"] == frozenset()


def test_a_worker_that_did_more_than_its_share_keeps_the_account_balanced(tmp_path: Path) -> None:
    path = cut_off(tmp_path, 30)
    with_more = RunWriter.attach(path)
    report(with_more, "worker-0", 99, 34.0, 5000)
    close_past(with_more, read(path), tmp_path, BEGIN, 30.0)
    with_more.close()
    side = read(path).sides["candidate"]
    assert side.scheduled == sum(y.done + y.failed + y.unserved + y.lost for y in side.tallies)


def test_a_run_killed_in_its_drain_is_closed_and_judged_without_a_target(tmp_path: Path) -> None:
    """The whole command: nothing listens at the target, and nothing is started."""
    phases = [("drain", 75.0)]
    path = cut_off(tmp_path, 70, events=tuple(Event(t, "phase", None, n, {"name": n}) for n, t in phases))
    done = CliRunner().invoke(main, ["run", "--resume", str(path), "--json"])
    verdict = json.loads(done.stdout[done.stdout.rfind("\n{\n") + 1 :])
    assert done.exit_code == verdict_code(verdict), done.output
    assert verdict["validity"]["balanced"]
    assert any("cut off" in note for note in verdict["notes"])
    assert read(path).finished
    assert not path.with_name(path.name + "-wal").exists()  # one plain file again
    again = CliRunner().invoke(main, ["run", "--resume", str(path)])
    assert again.exit_code == 2
    assert "finished" in again.stderr


def verdict_code(verdict: dict[str, Any]) -> int:
    return {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}[verdict["verdict"]]
