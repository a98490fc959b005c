"""The API as it is served. Nothing is started here: the disk never has room enough. Whole runs are in tests/e2e."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from soak.cli import main
from soak.core.errors import exit_code
from soak.daemon.__main__ import main as served
from tests.e2e.harness import SOAK, environment, free_port
from tests.unit.serving import SCENARIO, Daemon, launch, library, refused, serving

HELD = ("--min-free", "900000 TiB", "--requests", "1000/s")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("daemon")
    scenarios = library(folder, shop=8000, stock=8001)
    (folder / "secret.yaml").write_text((scenarios / "shop.yaml").read_text())
    (scenarios / "link.yaml").symlink_to(folder / "secret.yaml")
    (scenarios / "loop.yaml").symlink_to("loop.yaml")
    (scenarios / "broken.yaml").write_text("name: broken\n")
    (scenarios / "foreign.yaml").write_text(
        (scenarios / "shop.yaml").read_text().replace("127.0.0.1", "192.0.2.1").replace("shop", "foreign")
    )
    with serving(folder, *HELD) as served:
        served.ask("POST", "/v1/runs", {"scenario": "stock.yaml"})  # run 1, whichever test is first
        yield served


def test_a_run_is_asked_for_and_waits_with_a_reason(daemon: Daemon) -> None:
    answer = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml", "priority": 3})
    assert answer.status == 201, answer.body
    run = answer.json
    assert answer.headers["location"] == f"/v1/runs/{run['id']}"
    assert (run["state"], run["name"], run["priority"], run["asked_by"]) == ("queued", "shop", 3, "local")
    assert run["targets"] == ["localhost:8000"]
    assert "must be free" in run["waits_for"]
    assert daemon.ask("GET", answer.headers["location"]).json == run
    assert daemon.ask("GET", "/readyz").status == 503
    assert daemon.ask("GET", "/healthz").status == 200


def test_the_same_key_is_the_same_run(daemon: Daemon) -> None:
    def submit(scenario: str, key: str) -> tuple[int, int]:
        answer = daemon.ask("POST", "/v1/runs", {"scenario": scenario}, Idempotency_Key=key)
        return answer.status, answer.json.get("id")

    status, first = submit("shop.yaml", "build-1")
    assert status == 201
    assert submit("shop.yaml", "build-1") == (200, first)
    assert submit("shop.yaml", "build-2")[1] != first
    assert submit("stock.yaml", "build-1")[0] == 422
    brief = library(daemon.folder, brief=8002) / "brief.yaml"
    status, gone = submit("brief.yaml", "build-3")
    brief.unlink()
    assert submit("brief.yaml", "build-3") == (200, gone)


def test_pages_lead_through_all_runs_once(daemon: Daemon) -> None:
    for _ in range(5):
        daemon.ask("POST", "/v1/runs", {"scenario": "stock.yaml"})
    seen, before = [], ""
    while True:
        page = daemon.ask("GET", f"/v1/runs?limit=2&name=stock{before}").json
        seen += [r["id"] for r in page["runs"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert len(seen) >= 5
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize(
    "name",
    ["../secret.yaml", "/etc/passwd", "link.yaml", "loop.yaml", "no.yaml", "./../scenarios/../secret.yaml", "a\0b.yaml",
     "x" * 400 + ".yaml", "."],
)  # fmt: skip
def test_nothing_beyond_the_folder_is_run_or_known(daemon: Daemon, name: str) -> None:
    answer = daemon.ask("POST", "/v1/runs", {"scenario": name})
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "no scenario" in answer.json["detail"]


def test_a_scenario_that_cannot_run_is_refused_with_its_faults(daemon: Daemon) -> None:
    broken = daemon.ask("POST", "/v1/runs", {"scenario": "broken.yaml"})
    assert broken.status == 422
    assert "broken.yaml" in broken.json["detail"]
    assert "target" in broken.json["detail"]
    foreign = daemon.ask("POST", "/v1/runs", {"scenario": "foreign.yaml"})
    assert foreign.status == 422
    assert "192.0.2.1" in foreign.json["detail"]


def test_the_folder_is_listed_without_what_leads_out_of_it(daemon: Daemon) -> None:
    names = daemon.ask("GET", "/v1/scenarios").json["scenarios"]
    assert names == ["broken.yaml", "foreign.yaml", "shop.yaml", "stock.yaml"]


@pytest.mark.parametrize(
    "method,path,body,status",
    [
        ("POST", "/v1/runs", {"scenario": "shop.yaml", "colour": "red"}, 422),
        ("POST", "/v1/runs", {"scenario": "shop.yaml", "priority": 101}, 422),
        ("POST", "/v1/runs", b"{", 422),
        ("POST", "/v1/runs", b"x" * 70_000, 413),
        ("GET", "/v1/runs?limit=0", None, 422),
        ("GET", "/v1/runs?state=lost", None, 422),
        ("GET", "/v1/runs/999999", None, 404),
        ("GET", "/v1/runs/99999999999999999999999", None, 422),
        ("GET", "/v1/runs/1/verdict", None, 409),
        ("GET", "/v1/runs/1/report?format=html", None, 404),
        ("GET", "/v1/compare?candidate=1&reference=1", None, 409),
        ("GET", "/v1/compare?candidate=1&reference=999999", None, 409),
        ("GET", "/v1/compare?candidate=999999&reference=1", None, 404),
        ("GET", "/v1/compare?candidate=1", None, 422),
        ("POST", "/v1/runs/999999/resume", None, 404),
        ("POST", "/v1/scenarios", b"name: shop", 403),
        ("GET", "/v1/runs/1/report?format=pdf", None, 422),
        ("DELETE", "/v1/runs", None, 405),
        ("GET", "/nowhere", None, 404),
    ],
)
def test_every_refusal_is_a_problem_document(daemon: Daemon, method: str, path: str, body: object, status: int) -> None:
    answer = daemon.ask(method, path, body)
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]
    assert "Traceback" not in answer.body.decode()


def test_a_queued_run_is_stopped_and_says_so_to_whoever_watches(daemon: Daemon) -> None:
    number = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}).json["id"]
    stopped = daemon.ask("POST", f"/v1/runs/{number}/stop")
    assert (stopped.status, stopped.json["state"], stopped.json["exit_code"]) == (202, "ended", 130)
    assert daemon.ask("POST", f"/v1/runs/{number}/stop").json == stopped.json
    events = daemon.ask("GET", f"/v1/runs/{number}/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.body.decode().startswith("event: end\nid: 0\ndata: {")
    gone = daemon.ask("GET", f"/v1/runs/{number}/verdict")
    assert (gone.status, "stopped before it began" in gone.json["detail"]) == (404, True)


def test_a_run_that_never_began_cannot_go_on(daemon: Daemon) -> None:
    number = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}).json["id"]
    waiting = daemon.ask("POST", f"/v1/runs/{number}/resume")
    assert (waiting.status, waiting.json["state"], waiting.json["resumed"]) == (202, "queued", 0)
    daemon.ask("POST", f"/v1/runs/{number}/stop")
    ended = daemon.ask("POST", f"/v1/runs/{number}/resume")
    assert (ended.status, "no run file" in ended.json["detail"]) == (409, True)
    assert not daemon.ask("GET", f"/v1/runs/{number}").json["resumable"]


def test_a_pin_holds_until_it_is_taken_away(daemon: Daemon) -> None:
    number = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}).json["id"]
    assert daemon.ask("PUT", f"/v1/runs/{number}/pin").json["pinned"]
    assert daemon.ask("GET", f"/v1/runs/{number}").json["pinned"]
    assert not daemon.ask("DELETE", f"/v1/runs/{number}/pin").json["pinned"]


def test_who_did_what_is_written_down(daemon: Daemon) -> None:
    number = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}).json["id"]
    daemon.ask("POST", f"/v1/runs/{number}/stop")
    daemon.ask("POST", f"/v1/runs/{number}/stop")
    entries = [e for e in daemon.ask("GET", "/v1/audit").json["entries"] if e["run"] == number]
    assert [(e["who"], e["action"]) for e in entries] == [("local", "stop"), ("local", "submit")]


def test_what_was_refused_is_written_down(daemon: Daemon) -> None:
    daemon.ask("POST", "/v1/runs", {"scenario": "foreign.yaml"})
    daemon.ask("DELETE", "/v1/runs/1/pin", Origin="http://evil.example")
    newest = daemon.ask("GET", "/v1/audit?limit=2").json["entries"]
    assert [(e["who"], e["action"], e["detail"]) for e in newest] == [
        ("local", "refused", "403 DELETE /v1/runs/1/pin"),
        ("local", "refused", "422 POST /v1/runs"),
    ]
    assert {e["address"] for e in newest} == {"127.0.0.1"}


def test_a_page_in_a_browser_gets_nothing(daemon: Daemon) -> None:
    assert daemon.ask("GET", "/v1/runs", Host="evil.example").status == 403  # a name that was bound anew to loopback
    assert daemon.ask("POST", "/v1/runs/1/stop", Origin="http://evil.example").status == 403
    assert daemon.ask("GET", "/v1/runs", Host=f"localhost:{daemon.port}").status == 200


def test_the_openapi_document_names_every_route_and_its_problems(daemon: Daemon) -> None:
    document = daemon.ask("GET", "/openapi.json").json
    assert {"/v1/runs", "/v1/runs/{number}", "/v1/runs/{number}/events", "/v1/runs/{number}/stop"} <= set(
        document["paths"]
    )
    for path, methods in document["paths"].items():
        if path.startswith("/v1/"):
            for operation in methods.values():
                assert {"401", "403", "429"} <= set(operation["responses"]), path
    ids = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(ids) == len(set(ids))


def test_a_body_that_never_comes_does_not_hold_the_daemon(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), 20) as slow:
        slow.sendall(b"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert daemon.ask("GET", "/v1/runs").status == 200
        assert b" 408 " in slow.recv(1000)


def test_the_role_decides_and_no_token_is_kept_in_clear(tmp_path: Path) -> None:
    library(tmp_path, shop=8000)
    tokens = {}
    for role in ("read", "run", "admin"):
        code, token = refused(tmp_path, "--add-token", f"the-{role}", "--role", role)
        assert code == 0
        tokens[role] = token.strip()
    assert refused(tmp_path, "--add-token", "the-run", "--role", "read")[0] == 2
    assert refused(tmp_path, "--add-token", "local", "--role", "read")[0] == 2
    for file in (tmp_path / "runs").iterdir():
        assert not [t for t in tokens.values() if t.encode() in file.read_bytes()]
    with serving(tmp_path, *HELD) as daemon:

        def status(method: str, path: str, token: str | None, body: object = None) -> int:
            return daemon.ask(method, path, body, token=token).status

        submit = {"scenario": "shop.yaml"}
        assert status("GET", "/v1/runs", tokens["read"]) == 200
        assert status("POST", "/v1/runs", tokens["read"], submit) == 403
        assert status("POST", "/v1/runs", tokens["run"], submit) == 201
        assert status("POST", "/v1/runs/1/stop", tokens["read"]) == 403
        assert status("GET", "/v1/audit", tokens["run"]) == 403
        assert status("GET", "/v1/audit", tokens["admin"]) == 200
        for path in (
            "/v1/runs",
            "/v1/runs/1",
            "/v1/runs/1/events",
            "/v1/scenarios",
            "/v1/audit",
            "/openapi.json",
            "/x",
        ):
            wrong = daemon.ask("GET", path, token=tokens["run"][:-1])
            assert wrong.status == 401, path
            assert wrong.headers["content-type"] == "application/problem+json"
        assert status("GET", "/healthz", None) == 200
        refusals = daemon.ask("GET", "/v1/audit", token=tokens["admin"]).json["entries"]
        assert {("the-read", "403 POST /v1/runs"), ("", "401 GET /v1/runs")} <= {
            (e["who"], e["detail"]) for e in refusals
        }
        assert ("add token", "the-run, role run") in {(e["action"], e["detail"]) for e in refusals}
        assert refused(tmp_path, "--remove-token", "the-run")[0] == 0  # while it serves
        assert status("GET", "/v1/runs", tokens["run"]) == 401


def test_who_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    library(tmp_path)
    with serving(tmp_path, "--requests", "1/min") as daemon:
        answers = [daemon.ask("GET", "/v1/runs") for _ in range(4)]
    assert [a.status for a in answers][:1] == [200]
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "options,said",
    [
        (["--listen", "0.0.0.0:0"], "expected HOST:PORT"),
        (["--listen", "0.0.0.0:9646"], "tokens are needed"),
        (["--scenarios", "nowhere"], "no such folder"),
        (["--parallel", "0"], "--parallel"),
        (["--min-free", "5"], "--min-free: expected a size"),
        (["--tls-cert", "c.pem"], "go together"),
        (["--remove-token", "nobody"], "no token 'nobody'"),
        (["--add-token", "a b", "--role", "run"], "expected a name"),
        (["--add-token", "ci"], "--role"),
        (["--config", "serve.toml"], "serve.toml:2: paralel: unknown key"),
        (["--config", "cron.toml"], "cron.toml:3: cron: expected five fields"),
        (["--config", "zone.toml"], "zone.toml:1: time_zone: no time zone"),
        (["--config", "half.toml"], "half.toml: "),
        (["--config", "none.toml"], "none.toml: cannot be read"),
        (["--config", "workers.toml"], "workers.token: cannot be read"),
    ],
)
def test_what_it_does_not_begin_with_is_said_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    """In here, without a process: the daemon's own part is what the front door would become."""
    library(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOAK_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(os, "execv", lambda _, words: sys.exit(exit_code(lambda: served(words[-1]))))
    (tmp_path / "serve.toml").write_text('scenarios = "scenarios"\nparalel = 2\n')
    (tmp_path / "cron.toml").write_text('[[schedules]]\nname = "n"\ncron = "61 * * * *"\nscenario = "shop.yaml"\n')
    (tmp_path / "zone.toml").write_text('time_zone = "Europe/Bielefeld"\n')
    (tmp_path / "half.toml").write_text('scenarios = "')
    (tmp_path / "workers.toml").write_text('[workers]\nlisten = "0.0.0.0:5557"\ntoken_file = "workers.token"\n')
    told = CliRunner().invoke(main, ["serve", *options])
    assert told.exit_code == 2
    assert said in told.output
    assert "Traceback" not in told.output


def test_beyond_loopback_it_wants_tokens_and_tls_or_a_word(tmp_path: Path) -> None:
    library(tmp_path)
    assert refused(tmp_path, "--add-token", "ci", "--role", "run")[0] == 0
    code, text = refused(tmp_path, "--listen", "0.0.0.0:9646")
    assert (code, "--no-tls" in text) == (2, True)


def test_only_one_daemon_has_a_state(tmp_path: Path) -> None:
    library(tmp_path)
    with serving(tmp_path):
        code, text = refused(tmp_path, "--listen", "127.0.0.1:9646")
    assert (code, "another `soak serve`" in text) == (2, True)


def events(daemon: Daemon) -> Iterator[dict[str, object]]:
    """The lines of its log, which are JSON."""
    assert daemon.process.stderr is not None
    for line in daemon.process.stderr:
        yield json.loads(line)


def test_sighup_reads_the_settings_again_and_says_what_it_cannot_change(tmp_path: Path) -> None:
    library(tmp_path, shop=8000)
    config = tmp_path / "serve.toml"
    config.write_text('scenarios = "scenarios"\nruns = "runs"\nmin_free = "900000 TiB"\nlog = "json"\n')
    foreign = SCENARIO.format(name="far", port=80).replace("127.0.0.1", "192.0.2.1").encode()
    with serving(tmp_path, "--config", str(config)) as daemon:
        log = events(daemon)

        def reloaded(text: str) -> dict[str, object]:
            config.write_text(text)
            daemon.process.send_signal(signal.SIGHUP)
            return next(line for line in log if str(line["event"]).startswith("reload"))

        assert daemon.ask("POST", "/v1/scenarios", foreign).status == 403
        text = config.read_text() + 'allow_uploads = true\nallow_hosts = ["192.0.2.1"]\nparallel = 3\n'
        said = reloaded(text + '[[schedules]]\nname = "n"\ncron = "0 2 * * *"\nscenario = "shop.yaml"\n')
        assert (said["event"], said["level"], said["run"]) == ("reloaded", "info", None)
        assert "changed: parallel, allow_hosts, allow_uploads, schedules" in str(said["message"])
        answer = daemon.ask("POST", "/v1/scenarios", foreign)
        assert (answer.status, answer.json["targets"]) == (201, ["192.0.2.1:80"]), answer.body
        assert [s["name"] for s in daemon.ask("GET", "/v1/calendar").json["schedules"]] == ["n"]
        assert reloaded(text + "paralel = 2\n")["event"] == "reload_refused"
        assert len(daemon.ask("GET", "/v1/calendar").json["schedules"]) == 1
        fixed = reloaded(text + f'listen = "127.0.0.1:{free_port()}"\n')
        assert fixed["level"] == "info"  # the flag of the command line goes first
        moved = reloaded(text.replace('runs = "runs"', 'runs = "elsewhere"'))
        assert (moved["level"], "want a restart and stay as they were: runs" in str(moved["message"])) == (
            "warning",
            True,
        )
        assert daemon.ask("GET", "/v1/runs").status == 200


def test_an_uploaded_scenario_is_run_by_its_name_and_its_harm_is_refused(tmp_path: Path) -> None:
    library(tmp_path)
    plain = SCENARIO.format(name="mine", port=8000)
    with serving(tmp_path, *HELD, "--allow-uploads") as daemon:
        kept = daemon.ask("POST", "/v1/scenarios", plain.encode(), Content_Type="application/yaml")
        assert (kept.status, kept.json["name"], kept.json["targets"]) == (201, "mine", ["localhost:8000"])
        run = daemon.ask("POST", "/v1/runs", {"scenario": kept.json["scenario"]})
        assert (run.status, run.json["name"]) == (201, "mine")
        assert daemon.ask("POST", "/v1/runs", {"scenario": "sha256:" + "0" * 64}).status == 422
        for harm in (
            plain.replace("target: {", 'target: {process: {command: "id"}, '),
            plain.replace("127.0.0.1", "192.0.2.1"),
            plain.replace("get: /", "get: '/${HOME}'"),
            plain.replace(":8000", f":{daemon.port}"),
        ):
            refusal = daemon.ask("POST", "/v1/scenarios", harm.encode())
            assert (refusal.status, refusal.headers["content-type"]) == (422, "application/problem+json")
            assert "the uploaded scenario" in refusal.json["detail"]
        actions = [e["action"] for e in daemon.ask("GET", "/v1/audit").json["entries"]]
        assert actions == ["refused"] * 5 + ["submit", "upload"]
        assert daemon.ask("POST", "/v1/scenarios", b"x" * 70_000).status == 413
    assert not list((tmp_path / "scenarios").iterdir())


def test_it_ends_in_peace_and_its_log_is_for_programs(tmp_path: Path) -> None:
    library(tmp_path, shop=8000)
    daemon = launch(tmp_path, *HELD, "--log", "json")
    daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"})
    daemon.process.terminate()
    assert daemon.process.stderr is not None
    lines = [json.loads(line) for line in [*daemon.said, *daemon.process.stderr]]
    assert daemon.process.wait(30) == 0
    assert {"time", "level", "event", "run", "message"} == set().union(*lines)
    events = [line["event"] for line in lines]
    assert events[0] == "serving"
    assert events[-2:] == ["ending", "ended_itself"]
    asked = next(line for line in lines if line["event"] == "submit")
    assert (asked["run"], asked["message"]) == (1, "submit by local at 127.0.0.1: shop.yaml")
    alert = next(line for line in lines if line["event"] == "disk_nearly_full")
    assert (alert["level"], "must be free" in alert["message"]) == ("error", True)


def test_a_file_beside_it_is_never_imported(tmp_path: Path) -> None:
    library(tmp_path)
    (tmp_path / "fastapi.py").write_text("raise SystemExit('imported')")
    with serving(tmp_path) as daemon:
        assert daemon.ask("GET", "/healthz").status == 200
    assert not (tmp_path / "__pycache__").exists()


def test_a_run_that_cannot_begin_brings_its_reason_and_exit_code_to_whoever_asked(tmp_path: Path) -> None:
    library(tmp_path, shop=free_port())
    with serving(tmp_path) as daemon:
        asked = subprocess.run(
            [*SOAK, "run", "--on", f"http://127.0.0.1:{daemon.port}", "shop.yaml"],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        run = daemon.ask("GET", "/v1/runs/1").json
    assert asked.returncode == 2
    assert "nothing answers at 127.0.0.1" in asked.stderr
    assert "Traceback" not in asked.stderr
    assert (run["state"], run["verdict"], run["exit_code"], run["measured"]) == ("ended", None, 2, False)
    assert "nothing answers" in run["reason"]
