"""However a run ends, nothing is left behind but a run file that opens."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from soak import runfile
from tests.e2e.harness import Outcome, busy, free_port, scenario, shipped, soak, start

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_until_measuring(folder: Path, process: subprocess.Popen[str]) -> Path:
    """Wait until some seconds of the soak phase are in the run file."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        for path in (folder / "runs").glob("*.soak"):
            recording = runfile.read(path)
            if recording.soak_span and recording.duration - recording.soak_span[0] > 6:
                return path
        time.sleep(0.3)
    raise AssertionError("the soak phase was not reached")


def test_ctrl_c_ends_with_a_verdict_and_the_run_goes_on_later_without_a_lost_arrival(tmp_path: Path) -> None:
    process = start(tmp_path, "run", str(shipped(tmp_path, "leak", soak="50s")), "--json")
    path = wait_until_measuring(tmp_path, process)
    children = descendants(process)
    assert any("soak.load.worker" in " ".join(c.cmdline()) for c in children)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    outcome = Outcome(process.returncode, out, err, tmp_path)
    assert outcome.code == 130, outcome.show()
    assert outcome.verdict["interrupted"]
    assert outcome.verdict["validity"]["balanced"], outcome.show()
    assert not [c for c in children if c.is_running() and c.status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in err

    whole = soak(tmp_path, "run", "--resume", str(path), "--json")
    if not busy(whole):
        assert whole.code == 1, whole.show()  # the leak is seen within the life that has most of the soak
    assert not whole.verdict["interrupted"]
    validity, recording = whole.verdict["validity"], runfile.read(path)
    assert validity["lost"] == 0
    assert validity["balanced"], whole.show()
    assert validity["done"] + validity["failed"] + validity["unserved"] == validity["scheduled"]
    planned = (recording.scenario.load.rate or 0.0) * recording.scenario.load_s
    assert 0.8 * planned < validity["scheduled"] < 1.2 * planned


def test_kill_9_leaves_a_file_that_is_judged_and_no_orphan(tmp_path: Path) -> None:
    process = start(tmp_path, "run", str(shipped(tmp_path, "leak", idle_before="1s", warmup="2s")), "--json")
    path = wait_until_measuring(tmp_path, process)
    children = descendants(process)
    assert len(children) >= 3  # target, master, worker
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive, [c.cmdline() for c in alive]
    judged = soak(tmp_path, "judge", str(path), "--json")
    assert judged.code in (1, 3, 4), judged.show()
    assert judged.verdict["verdict"] != "pass"
    assert judged.verdict["latency"]


@pytest.mark.parametrize(
    "wrong,place,key",
    [
        ("load: {rate: 50/s, conections: 5, requests: [{get: /}]}", "4:", "load.conections"),
        ("load: {rate: 50, requests: [{get: /}]}", "4:", "load.rate"),
        ("load: {rate: 50/s, pattern: {kind: daily}, requests: [{get: /}]}", "4:", "load.pattern"),
    ],
)
def test_a_wrong_key_is_named_with_its_place_and_no_traceback(tmp_path: Path, wrong: str, place: str, key: str) -> None:
    file = scenario(
        tmp_path,
        f"\nname: wrong\ntarget: {{url: http://127.0.0.1:1}}\n{wrong}\nphases: {{soak: 10s}}\n"
        "criteria: [{metric: errors.ratio, below: 1%}]\n",
    )
    outcome = soak(tmp_path, "run", str(file))
    assert outcome.code == 2, outcome.show()
    assert f"scenario.yaml:{place}" in outcome.err
    assert key in outcome.err
    assert "Traceback" not in outcome.err
    assert not (tmp_path / "runs").exists()


TARGET = """
name: t
load: {rate: 5/s, requests: [{get: /}]}
phases: {soak: 5s}
criteria: [{metric: errors.ratio, below: 1%}]
"""


@pytest.mark.parametrize(
    "target,said",
    [
        ("{url: http://192.0.2.1}", "--allow-host 192.0.2.1"),
        ("{url: http://127.0.0.1:1}", "127.0.0.1:1"),
        (
            "{url: http://127.0.0.1:1, process: {command: no-such-program-anywhere}}",
            "no-such-program-anywhere",
        ),
        (
            "{url: http://127.0.0.1:1, process: {command: 'sh -c \"echo broken config; exit 3\"'}}",
            "broken config",
        ),
    ],
)
def test_a_target_that_cannot_be_soaked_is_refused_in_plain_words(tmp_path: Path, target: str, said: str) -> None:
    outcome = soak(tmp_path, "run", str(scenario(tmp_path, f"{TARGET}target: {target}\n")))
    assert outcome.code == 2, outcome.show()
    assert said in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "runs").glob("*")) if (tmp_path / "runs").exists() else True


def http_server() -> str:
    """A target that soak starts: Python's own file server."""
    port = free_port()
    command = f"{{python}} -m http.server --bind 127.0.0.1 {port}"
    return f"target: {{url: 'http://127.0.0.1:{port}', process: {{command: '{command}'}}}}\n"


def test_users_that_cannot_start_make_the_run_invalid_and_do_not_blame_the_target(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text(
        "from locust import FastHttpUser, task\n"
        "class Shopper(FastHttpUser):\n"
        "    def on_start(self): raise RuntimeError('no such login')\n"
        "    @task\n    def look(self): self.client.get('/')\n"
    )
    text = TARGET.replace("requests: [{get: /}]", "locustfile: users.py::Shopper")
    outcome = soak(tmp_path, "run", str(scenario(tmp_path, text + http_server())), "--json")
    assert outcome.code == 4, outcome.show()
    assert "all users of worker-0 have ended" in outcome.verdict["headline"]


def test_a_locustfile_that_does_not_load_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "users.py").write_text("import no_such_module_anywhere\nclass Shopper: ...\n")
    text = TARGET.replace("requests: [{get: /}]", "locustfile: users.py::Shopper")
    outcome = soak(tmp_path, "run", str(scenario(tmp_path, text + http_server())))
    assert outcome.code != 0
    assert "no_such_module_anywhere" in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "runs").glob("*.soak"))
