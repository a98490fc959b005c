"""The front door: what each verb prints where, and the exit code it ends with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from soak.cli import main, results, trends, verbs
from soak.cli.soaking import page_beside
from soak.core.records import Series
from soak.runfile import RunWriter
from tests.unit.test_runfile import META, write

VERBS = (
    "init",
    "check",
    "run",
    "worker",
    "exec",
    "observe",
    "judge",
    "report",
    "compare",
    "trend",
    "runs",
    "doctor",
    "demo",
    "serve",
    "grafana",
)
ROOT = Path(__file__).parents[2]


def soak(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(verb: str) -> None:
    shown = soak(verb, "--help")
    assert shown.exit_code == 0
    assert f"Example: soak {verb}" in shown.output.replace("\n", " ").replace("  ", " ")


def test_the_help_lists_every_verb_and_no_other() -> None:
    assert set(verbs()) == set(VERBS)
    assert all(verb in soak("--help").output for verb in VERBS)


def test_init_writes_a_scenario_that_check_accepts_and_never_overwrites(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert soak("init", str(file)).exit_code == 0
    checked = soak("check", str(file))
    assert checked.exit_code == 0, checked.output
    assert "100/s" in checked.stdout
    again = soak("init", str(file))
    assert again.exit_code == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize("file", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_scenario_is_explained(file: Path) -> None:
    checked = soak("check", str(file))
    assert checked.exit_code == 0, checked.output
    assert file.stem in checked.stdout
    assert all(len(line) <= 84 for line in checked.stdout.splitlines())


def test_check_prints_the_schema_and_the_scenario_as_read() -> None:
    assert json.loads(soak("check", "--schema").stdout)["title"] == "soak scenario"
    shown = soak("check", str(ROOT / "scenarios" / "leak.yaml"), "--json")
    assert json.loads(shown.stdout)["load"]["rate"] == 100.0
    assert soak("check").exit_code == 2


@pytest.mark.parametrize(
    "arguments,said",
    [
        (["run"], "expected one of a scenario FILE, --url and --resume"),
        (["run", "x.yaml", "--url", "http://127.0.0.1:1"], "expected one of a scenario FILE, --url and --resume"),
        (["run", "--url", "http://127.0.0.1:1"], "needs --for, and either --rate or --users"),
        (["run", "--url", "http://127.0.0.1:1", "--rate", "5/s", "--users", "5", "--for", "9s"], "either --rate or"),
        (
            ["run", "--url", "http://127.0.0.1:1", "--rate", "5/s", "--for", "9s", "--pid", "1", "--port", "2"],
            "at most one of --command, --port, --pid and --name",
        ),
        (["run", "--url", "http://127.0.0.1:1", "--rate", "5/s", "--for", "9s"], "let soak start it (--command"),
        (["run", "x.yaml", "--port", "8000"], "go with --url"),
        (["run", "no-such-file.yaml"], "no-such-file.yaml"),
        (["run", "--url", "http://127.0.0.1:1/", "--rate", "50", "--for", "10s"], "--rate: expected a rate"),
        (["run", "--url", "http://192.0.2.1/", "--rate", "5/s", "--for", "10s"], "--allow-host 192.0.2.1"),
        (["run", "--on", "http://127.0.0.1:1", "x.yaml", "--rate", "5/s"], "--on goes with FILE"),
        (["run", "x.yaml", "--priority", "3"], "go with --on"),
        (["run", "--on", "127.0.0.1:1", "x.yaml"], "expected http://HOST:PORT"),
        (["run", "--on", "http://127.0.0.1:1", "x.yaml"], "no daemon to talk to there"),
        (["run", "scenarios/healthy.yaml", "--run-file", "x.db"], "ends in .soak"),
        (["run", "scenarios/healthy.yaml", "--budget", "1m"], "too short for scenarios/healthy.yaml"),
        (["run", "scenarios/healthy.yaml", "--budget", "20"], "--budget: expected a duration"),
        (["run", "--resume", "latest", "--budget", "5m"], "--budget cuts the phases of a scenario FILE"),
        (["run", "x.yaml", "--on", "http://127.0.0.1:1", "--budget", "5m"], "--on goes with FILE"),
        (["run", "x.yaml", "--on", "http://127.0.0.1:1", "--detach"], "--detach goes with --request-key"),
        (["run", "x.yaml", "--detach"], "go with --on"),
        (["run", "x.yaml", "--report", "pdf=x.pdf"], "expected FORMAT=FILE"),
        (["run", "x.yaml", "--report", "junit"], "expected FORMAT=FILE"),
        (["run", "x.yaml", "--report", "junit=no-such-folder/x.xml"], "there is no folder"),
        (["trend", "x.csv", "--limit", "nan"], "--limit: expected a number"),
        (["trend", "x.csv", "--limit", "inf"], "--limit: expected a number"),
        (["trend", "x.csv", "--every", "0s"], "--every: expected more than nothing"),
        (["judge", "no-such-run"], "no run file 'no-such-run'"),
        (["report", "latest", "--format", "pdf"], "pdf"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_usage_is_exit_code_2_and_a_clear_message(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = CliRunner(env={"SOAK_RUNS": str(tmp_path)}).invoke(main, arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_file_is_judged_listed_and_reported(tmp_path: Path) -> None:
    write(tmp_path / "made-1.soak", 30)
    judged = soak("judge", "latest", "--runs", str(tmp_path), "--json")
    document = json.loads(judged.stdout)
    assert document["schema"] == "soak.verdict/1"
    assert judged.exit_code == {"pass": 0, "fail": 1, "inconclusive": 3, "invalid": 4}[document["verdict"]]
    out = tmp_path / "report.md"
    made = soak("report", "made", "--runs", str(tmp_path), "--format", "markdown", "-o", str(out))
    assert made.exit_code == 0
    assert out.read_text()
    listed = soak("runs", "--runs", str(tmp_path), "--json")
    assert [row["run"] for row in json.loads(listed.stdout)] == ["made-1"]


def test_a_broken_run_file_is_named_and_the_others_are_listed(tmp_path: Path) -> None:
    RunWriter.create(tmp_path / "good.soak", META).finish()
    (tmp_path / "bad.soak").write_text("junk")
    listed = soak("runs", "--runs", str(tmp_path))
    assert listed.exit_code == 0
    assert "unfinished" in listed.stdout
    assert "bad.soak" in listed.stderr
    assert soak("judge", str(tmp_path / "bad.soak")).exit_code == 2


@pytest.mark.parametrize("count,told", [(4, True), (200, False)])
def test_too_few_points_of_a_prometheus_say_how_to_have_more(
    count: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = np.arange(count) * 404.0
    monkeypatch.setattr(trends, "from_prometheus", lambda *_: ({"heap": Series(t, 1e6 + np.sin(t))}, 404.0))
    done = CliRunner().invoke(main, ["trend", "--prometheus", "http://p", "--query", "heap", "--since", "7d"])
    assert ("points are 6 min 44 s apart; a shorter --since or --step gives more" in done.stderr) == told


def test_the_front_door_never_loads_locust() -> None:
    code = "import sys, soak.cli; soak.cli.verbs(); raise SystemExit(len({'locust', 'gevent'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_what_serves_or_watches_for_months_begins_without_the_judge() -> None:
    for verb in ("serve", "observe"):
        code = f"import sys, click; from soak.cli import main as m; m.get_command(click.Context(m), {verb!r})"
        code += "; raise SystemExit(len({'numpy', 'scipy', 'pydantic'} & set(sys.modules)))"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0, verb


def test_a_report_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "made-1.soak", 5)
    made = soak("report", "latest", "--runs", str(tmp_path), "-o", str(tmp_path / "no" / "such" / "folder.txt"))
    assert made.exit_code == 2
    assert "cannot be written" in made.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["compare"],
        ["compare", "one.soak"],
        ["compare", "a.soak", "b.soak", "c.soak"],
        ["compare", "a.soak", "b.soak", "--pairs", "2"],
        ["compare", "a.soak", "b.soak", "--calibrate"],
        ["compare", "missing-a.soak", "missing-b.soak"],
        ["compare", "missing.yaml", "--pairs", "2"],
        ["compare", "missing.yaml", "--pairs", "0"],
    ],
)
def test_compare_refuses_what_it_cannot_compare(arguments: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, [*arguments, *(["--runs", str(tmp_path)] if len(arguments) > 1 else [])])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output


def test_the_doctor_exits_with_1_when_there_is_a_problem(tmp_path: Path) -> None:
    text = "name: t\ntarget: {url: 'http://127.0.0.1:1'}\nload: {rate: 5/s, requests: [{get: /}]}\n"
    file = tmp_path / "t.yaml"
    file.write_text(text + "phases: {soak: 5s}\ncriteria: [{metric: errors.ratio, below: 1%}]\n")
    found = soak("doctor", str(file), "--json")
    states = {check["name"]: check["state"] for check in json.loads(found.output)["checks"]}
    assert states["candidate: reachable"] == "problem"
    assert found.exit_code == 1
    assert soak("doctor", str(tmp_path / "none.yaml")).exit_code == 2


def test_resume_is_refused_beside_a_scenario_and_for_what_is_no_run(tmp_path: Path) -> None:
    assert soak("run", "--resume", "latest", "--runs", str(tmp_path)).exit_code == 2
    both = soak("run", "some.yaml", "--resume", "latest")
    assert both.exit_code == 2
    assert "expected one of a scenario FILE, --url and --resume" in both.output


def test_a_page_that_cannot_be_written_is_said_and_is_no_reason_to_end(tmp_path: Path) -> None:
    (tmp_path / "x.html").mkdir()  # in its way
    assert "cannot be written" in page_beside(tmp_path / "x.soak", "<html>")
    assert page_beside(tmp_path / "y.soak", "<html>") == str(tmp_path / "y.html")
    assert (tmp_path / "y.html").read_text() == "<html>"


def test_a_grafana_in_the_environment_is_for_runs_that_are_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_ANNOTATE", "http://127.0.0.1:1")
    on = ["run", "x.yaml", "--on", "http://127.0.0.1:1"]
    assert "no daemon to talk to there" in CliRunner().invoke(main, on).output
    assert "--on goes with FILE" in CliRunner().invoke(main, [*on, "--annotate", "http://127.0.0.1:1"]).output


def test_each_verb_is_told_in_a_line_that_fits_a_terminal() -> None:
    listed = CliRunner().invoke(main, ["--help"], terminal_width=80).stdout.partition("Commands:")[2]
    assert "..." not in listed
    assert len(listed.strip().splitlines()) == len(VERBS)


def test_a_page_is_not_spilled_over_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    shown = soak("report", "latest", "--format", "html")
    assert shown.exit_code == 2
    assert "add --output FILE" in shown.output
