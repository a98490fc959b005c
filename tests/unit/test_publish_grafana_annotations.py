"""What is written beside the graphs: phases, findings and deploys of runs, live and afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from soak.cli import main
from soak.cli.grafana import annotated
from soak.core import wording
from soak.core.errors import PublishError, TargetError
from soak.core.records import Event
from soak.publish.grafana.annotations import marks, write
from soak.runfile import RunWriter
from tests.grafana_standin import TOKEN, StandIn, Trouble
from tests.unit.grafana_making import There, standin, there
from tests.unit.report_making import ODD, STARTED, recording, verdict
from tests.unit.test_runfile import META

__all__ = ["standin", "there"]

SOAK = 360.0


def soak(*arguments: str, token: str = TOKEN) -> Result:
    return CliRunner().invoke(main, ["grafana", *arguments], env={"SOAK_GRAFANA_TOKEN": token})


def kinds(standin: StandIn, kind: str) -> list[dict[str, Any]]:
    return [a for a in standin.annotations.values() if f"kind:{kind}" in a["tags"]]


def test_a_run_is_written_in_milliseconds_and_again_changes_nothing(there: There) -> None:
    grafana, wanted = there.client(), marks(recording(), verdict())
    for found in grafana.get("/annotations", {"tags": ["soak", f"run:{recording().run}"]}):
        grafana.send("DELETE", f"/annotations/{found['id']}")  # of an earlier run of this test against a real one
    first = write(grafana, recording().run, wanted)
    assert (first.added, first.changed) == (len(wanted), 0)
    again = write(grafana, recording().run, wanted)
    assert (again.added, again.changed, again.removed, again.same) == (0, 0, 0, len(wanted))
    [found] = grafana.get("/annotations", {"tags": ["soak", f"run:{recording().run}", "phase:soak"]})
    assert (found["time"], found["timeEnd"]) == (1000 * (STARTED + SOAK), 1000 * (STARTED + SOAK + 7200))


def test_a_finding_says_what_where_how_fast_how_long_and_the_next_step() -> None:
    leak = next(m for m in marks(recording(), verdict()) if "severity:fail" in m.tags)
    finding = next(f for f in verdict().candidate.findings if f.severity == "fail")
    assert "scenario:checkout" in leak.tags
    assert f"cause:{finding.cause}" in leak.tags
    assert f"How fast: {wording.growth(finding)}" in leak.text
    assert "Time left: " in leak.text
    assert "Next: " in leak.text


def test_names_that_a_target_chose_stay_text() -> None:
    finding = replace(verdict().candidate.findings[0], title=ODD, severity="fail")
    judged = replace(verdict(), candidate=replace(verdict().candidate, findings=(finding,)))
    text = next(m.text for m in marks(recording(), judged) if "kind:finding" in m.tags)
    assert "&lt;/script&gt;&lt;b&gt;odd" in text
    assert "\x1b" not in text


def test_what_goes_on_is_a_moment_until_it_has_ended(standin: StandIn) -> None:
    grafana = There(standin.url, TOKEN).client()
    whole = recording()
    goes_on = replace(whole, finished=False, phases=(*whole.phases[:2], replace(whole.phases[2], end=None)))
    write(grafana, whole.run, marks(goes_on, None))
    [phase] = [a for a in standin.annotations.values() if "phase:soak" in a["tags"]]
    assert phase["timeEnd"] == phase["time"]
    ended = write(grafana, whole.run, marks(whole, None))
    assert phase["timeEnd"] == 1000 * (STARTED + SOAK + 7200)
    assert ended.changed == 2  # the phase, and what was under test
    assert ("PATCH", f"/api/annotations/{phase['id']}") in standin.seen


def test_a_finding_that_is_gone_when_judged_again_is_removed_and_other_runs_stay(standin: StandIn) -> None:
    grafana = There(standin.url, TOKEN).client()
    other = replace(recording(), run="another")
    write(grafana, "another", marks(other, verdict()))
    write(grafana, recording().run, marks(recording(), verdict()))
    before = len(kinds(standin, "finding"))
    done = write(grafana, recording().run, marks(recording(), None))
    assert done.removed > 0
    assert len(kinds(standin, "finding")) == before - done.removed == done.removed


def written(path: Path, phases: tuple[str, ...]) -> RunWriter:
    writer = RunWriter.create(path, META)
    for i, name in enumerate(phases):
        writer.add_event(Event(float(i), "phase", None, name, {"name": name}))
    return writer


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_is_followed_until_it_ends_though_grafana_is_away_for_a_while(standin: StandIn, tmp_path: Path) -> None:
    path = tmp_path / "made.soak"
    standin.troubles = [Trouble(500)]
    command = [sys.executable, "-m", "soak.cli", "grafana", "annotate", str(path), "--url", standin.url, "--follow"]
    follower = subprocess.Popen(command, env=os.environ | {"SOAK_GRAFANA_TOKEN": TOKEN}, stdout=subprocess.DEVNULL)
    try:
        writer = written(path, ("warmup", "soak"))
        eventually(lambda: len(kinds(standin, "phase")) == 2)
        assert [a["timeEnd"] > a["time"] for a in kinds(standin, "phase")] == [True, False]
        writer.add_event(Event(9.0, "phase", None, "end", {"name": "end"}))
        writer.set_meta("finished", True)
        writer.finish()
        assert follower.wait(60) == 0
        assert [a["timeEnd"] - a["time"] for a in kinds(standin, "phase")] == [1000, 8000]
    finally:
        follower.kill()
        follower.wait()


def ended(path: Path) -> None:
    writer = written(path, ("warmup", "soak", "end"))
    writer.set_meta("finished", True)
    writer.finish()


def test_a_run_annotates_itself_and_leaves_nothing_behind(
    standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOAK_GRAFANA_TOKEN", TOKEN)
    with annotated(standin.url, tmp_path / "made.soak"):
        ended(tmp_path / "made.soak")
    assert len(kinds(standin, "phase")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["made.soak"]


def test_an_absent_grafana_costs_a_run_nothing_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOAK_GRAFANA_TOKEN", TOKEN)
    with annotated("http://127.0.0.1:1", tmp_path / "made.soak"):
        ended(tmp_path / "made.soak")
    assert "Grafana has not been told of everything yet" in capsys.readouterr().err
    log = tmp_path / "made.grafana.log"
    eventually(lambda: "Grafana cannot be reached" in log.read_text())  # it goes on by itself, until it gives up


def test_a_run_that_never_began_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_GRAFANA_TOKEN", TOKEN)
    with pytest.raises(TargetError), annotated("http://127.0.0.1:1", tmp_path / "made.soak"):
        raise TargetError("not there")
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_a_token_for_grafana_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOAK_GRAFANA_TOKEN", raising=False)
    with pytest.raises(PublishError, match="SOAK_GRAFANA_TOKEN"), annotated("http://127.0.0.1:1", tmp_path / "x.soak"):
        raise AssertionError("it began")


def test_a_deploy_is_a_range_with_how_it_ended(standin: StandIn) -> None:
    done = soak("deploy", "checkout 1.4.2", "--scenario", "checkout", "--url", standin.url, "--", "sh", "-c", "exit 7")
    assert done.exit_code == 7
    [made] = standin.annotations.values()
    assert made["text"] == "checkout 1.4.2: the deploy failed with exit code 7"
    assert set(made["tags"]) == {"soak", "kind:deploy", "scenario:checkout"}
    assert made["time"] > 10**12


def test_a_deploy_is_made_though_grafana_refuses(standin: StandIn, tmp_path: Path) -> None:
    made = tmp_path / "made"
    done = soak("deploy", "x", "--url", standin.url, "--", "touch", str(made), token="glsa_gone")
    assert done.exit_code == 0
    assert made.exists()
    assert "not annotated: " in done.stderr
    missing = soak("deploy", "x", "--url", standin.url, "--", "/no/such/program")
    assert missing.exit_code == 2
    assert "/no/such/program: cannot be run" in missing.stderr
