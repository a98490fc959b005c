"""Pages of several runs: one of each scenario, and what cannot be read takes nothing with it."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from soak.core.records import Event, Sample
from soak.judge import judge
from soak.publish.exporter import Exporter, Shown, encode
from soak.runfile import LiveReader, RunWriter
from tests import making
from tests.unit.test_runfile_live import DOCUMENT, grow

VERDICT = judge(making.recording()).to_json()
NOW = 1_790_000_000.0


def run(folder: Path, name: str, *, scenario: str = "made", verdict: str | None = None) -> Path:
    """A run file with 200 s of load, live or ended; `verdict` is what it ended with."""
    path = folder / f"{name}.soak"
    meta = {"run": name, "started": NOW - 200, "scenario": DOCUMENT | {"name": scenario}, "provenance": {"soak": "1"}}
    writer = RunWriter.create(path, meta)
    writer.add_event(Event(0.0, "phase", None, "soak", {"name": "soak"}))
    grow(writer, 0, 200)
    writer.add_samples([Sample(199.5, "candidate", {"memory.rss": 4096.0})])
    document = VERDICT | {"verdict": verdict or "inconclusive", "headline": f"{verdict}: as it is"}
    writer.set_meta("standing", {"judged": NOW - 20, "verdict": document})
    if verdict is not None:
        writer.set_meta("finished", True)
        writer.set_meta("verdict", verdict)
    writer.close()
    return path


def samples(exporter: Exporter, *runs: Shown) -> Mapping[str, Mapping[tuple[str, ...], float]]:
    page = exporter.page(runs)
    return {m.name: page.samples(m.name) for m in page.metrics()}


def test_a_live_run_is_measured_and_stands_as_of_its_last_look(tmp_path: Path) -> None:
    found = samples(Exporter(lambda: NOW), Shown(run(tmp_path, "a")))
    assert found["soak_run_info"] == {("made", "a", "1", "", ""): 1.0}
    assert found["soak_run_state"]["made", "running"] == 1
    assert found["soak_memory_rss_bytes"]["made", "candidate"] == 4096
    assert found["soak_latency_seconds"]["made", "candidate", "browse", "1.0"] == pytest.approx(0.01, rel=0.01)
    assert found["soak_judged_timestamp_seconds"]["made",] == NOW - 20
    assert set(found["soak_run_verdict"].values()) == {0.0}
    assert "soak_run_headline_info" not in found


def test_a_run_that_has_ended_stands_and_measures_nothing(tmp_path: Path) -> None:
    exporter = Exporter(lambda: NOW)
    found = samples(exporter, Shown(run(tmp_path, "a", verdict="fail")))
    assert found["soak_run_verdict"]["made", "fail"] == 1
    assert found["soak_run_headline_info"] == {("made", "fail: as it is"): 1.0}
    (criterion,) = [labels for labels, value in found["soak_criterion_state"].items() if value == 1]
    assert criterion == ("made", "errors.ratio below 1% (browse)", "errors.ratio", "browse", "pass")
    assert "soak_latency_seconds" not in found
    assert "soak_memory_rss_bytes" not in found


def test_a_run_that_is_seen_to_end_is_shown_as_ended(tmp_path: Path) -> None:
    exporter, path = Exporter(lambda: NOW), run(tmp_path, "a")
    assert samples(exporter, Shown(path))["soak_run_state"]["made", "running"] == 1
    writer = RunWriter.resume(path)
    writer.set_meta("verdict", "pass")
    writer.close()
    assert samples(exporter, Shown(path))["soak_run_state"]["made", "ended"] == 1


@pytest.mark.parametrize("told", [None, NOW], ids=["its file tells", "its daemon tells"])
def test_of_a_run_that_has_ended_nothing_is_held(tmp_path: Path, told: float | None) -> None:
    made: list[weakref.ref[LiveReader]] = []

    def follow(path: Path) -> LiveReader:
        reader = LiveReader(path)
        made.append(weakref.ref(reader))
        return reader

    exporter, path = Exporter(lambda: NOW, follow), run(tmp_path, "a")
    exporter.page([Shown(path)])
    assert made[0]() is not None
    writer = RunWriter.resume(path)
    writer.set_meta("verdict", "pass")
    writer.close()
    exporter.page([Shown(path, "made", ended=told)])
    gc.collect()
    assert made[0]() is None


def test_of_each_scenario_the_first_is_shown_and_the_rest_is_counted(tmp_path: Path) -> None:
    runs = [Shown(run(tmp_path, n, scenario=s)) for n, s in (("a", "shop"), ("b", "shop"), ("c", "till"))]
    found = samples(Exporter(lambda: NOW), *runs)
    assert {labels[:2] for labels in found["soak_run_info"]} == {("shop", "a"), ("till", "c")}
    assert found["soak_left_out"]["shop", "runs"] == 1
    assert found["soak_left_out"]["till", "runs"] == 0


def test_scenarios_beyond_the_limit_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soak.publish.exporter.MOST_SCENARIOS", 1)
    runs = [Shown(run(tmp_path, n, scenario=s)) for n, s in (("a", "shop"), ("b", "till"), ("c", "bank"))]
    found = samples(Exporter(lambda: NOW), *runs)
    assert {labels[0] for labels in found["soak_run_info"]} == {"shop"}
    assert found["soak_left_out"]["(more scenarios)", "runs"] == 2


def test_a_file_that_cannot_be_read_is_counted_and_takes_nothing_with_it(tmp_path: Path) -> None:
    broken = tmp_path / "broken.soak"
    broken.write_bytes(b"no run at all" * 500)
    found = samples(Exporter(lambda: NOW), Shown(broken), Shown(tmp_path / "gone.soak"), Shown(run(tmp_path, "a")))
    assert found["soak_runs_unreadable"] == {(): 2.0}
    assert found["soak_run_state"]["made", "running"] == 1


def test_a_run_that_left_nothing_is_invalid_all_the_same() -> None:
    shown = Shown(None, "shop", NOW - 60, NOW, "invalid", "the run was killed by SIGKILL")
    found = samples(Exporter(lambda: NOW), shown)
    assert found["soak_run_verdict"]["shop", "invalid"] == 1
    assert found["soak_run_headline_info"] == {("shop", "the run was killed by SIGKILL"): 1.0}
    assert found["soak_run_end_timestamp_seconds"]["shop",] == NOW


def test_a_run_that_died_stands_as_it_was_judged_afterwards(tmp_path: Path) -> None:
    document = tmp_path / "a.json"
    document.write_text(json.dumps(VERDICT | {"verdict": "invalid"}))
    shown = Shown(run(tmp_path, "a"), "made", NOW - 200, NOW, "invalid", "it died", document)
    found = samples(Exporter(lambda: NOW), shown)
    assert found["soak_run_verdict"]["made", "invalid"] == 1
    assert found["soak_judged_timestamp_seconds"]["made",] == NOW
    assert "soak_memory_rss_bytes" not in found


def test_the_daemons_child_answers_line_by_line(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "accept": "",
        "runs": [{"path": str(run(tmp_path, "a", verdict="pass")), "scenario": "made", "document": None}],
        "own": [["soak_daemon_runs", ["queued"], 3]],
    }
    lines = (json.dumps(asked) + "\n").encode() * 2
    done = subprocess.run([sys.executable, "-m", "soak.publish"], input=lines, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    rest, bodies = done.stdout, []
    while rest:
        head, _, rest = rest.partition(b"\n")
        size = json.loads(head)["bytes"]
        bodies.append(rest[:size].decode())
        rest = rest[size:]
    assert len(bodies) == 2
    for body in bodies:
        assert 'soak_daemon_runs{state="queued"} 3.0' in body
        assert 'soak_run_verdict{result="pass",scenario="made"} 1.0' in body


def test_promtool_has_no_complaint(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    exporter = Exporter(lambda: NOW)
    shown = [Shown(run(tmp_path, "a")), Shown(run(tmp_path, "b", scenario="till", verdict="fail"))]
    text, _ = encode(exporter.page(shown), "")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
