"""The API held against the OpenAPI document that it serves, by schemathesis; and who may ask for what."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import urllib3

from soak.daemon.config import STATE
from soak.daemon.guard import ADMIN, OPEN
from soak.daemon.job import Request
from soak.daemon.state import State
from soak.daemon.tokens import ROLES, Role, make_token
from tests.unit.serving import Answer, Daemon, library, serving, unread

ENDLESS = "/v1/runs/{number}/events"
HELD = "/readyz"


@dataclass(frozen=True)
class House:
    daemon: Daemon
    tokens: dict[Role, str]

    def operations(self) -> list[tuple[str, str, str]]:
        """Method, path with a number in it, and the path as the document has it."""
        document = self.daemon.ask("GET", "/openapi.json", token=self.tokens["admin"]).json
        return [
            (method.upper(), re.sub(r"\{[^}]+\}", "1", path), path)
            for path, methods in document["paths"].items()
            for method in methods
        ]

    def runs(self) -> object:
        """All that a caller could have changed."""
        return self.daemon.ask("GET", "/v1/runs?limit=500", token=self.tokens["admin"]).json


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A daemon with tokens, a run that has ended with a verdict and a page, and one that waits for ever.

    It makes no other reports: each would take a second of what busy tests leave of the machine, and there are hundreds.
    """
    folder = tmp_path_factory.mktemp("daemon")
    library(folder, shop=8000)
    runs = folder / "runs"
    with State(runs / STATE) as state:
        tokens: dict[Role, str] = {role: make_token(state, f"the-{role}", role, 0.0) for role in ROLES}
        job, _ = state.add(Request("shop.yaml", "shop", ("localhost:8000",), "the-run"), 0.0)
        run_file = runs / "shop-1.soak"
        for suffix, text in ((".soak", ""), (".json", '{"schema": "soak.verdict/1"}'), (".html", "<!doctype html>")):
            run_file.with_suffix(suffix).write_text(text)
        state.begin(job.id, run_file, 1.0)
        state.end(job.id, "pass", 0, "all is well", 2.0)
        state.add(Request("shop.yaml", "shop", ("localhost:8000",), "the-run"), 3.0)
    maker = folder / "bin" / "nice"  # through which the daemon starts what makes one, and what makes its metrics
    maker.parent.mkdir()
    refusal = "echo 'soak: it is no run file' >&2; exit 2"
    maker.write_text(f'#!/bin/sh\ncase "$*" in *"-m soak.cli "*) {refusal};; esac\nexec "$@"\n')
    maker.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{maker.parent}:{os.environ['PATH']}")
        options = ("--min-free", "900000 TiB", "--requests", "10000/s", "--allow-uploads")
        with serving(folder, *options) as daemon:
            yield House(unread(daemon), tokens)


def schemathesis(house: House, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it against the daemon; the same requests each time."""
    excluded = "positive_data_acceptance,ensure_resource_availability"
    # the first wants every name of a scenario to be one; the second a verdict of a run that has none yet
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{house.daemon.port}/openapi.json",
         "--header", f"Authorization: Bearer {house.tokens['admin']}", "--exclude-checks", excluded,
         "--generation-deterministic", "--continue-on-failure", "--request-timeout", "20", *options],
        cwd=house.daemon.folder, capture_output=True, text=True, timeout=250, check=False,
    )  # fmt: skip


def test_every_answer_is_as_the_document_says_and_none_is_a_fault(house: House) -> None:
    done = schemathesis(house, "--exclude-path", ENDLESS, "--exclude-path", HELD, "--max-examples", "20")
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tested = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert tested is not None, done.stdout[-3000:]
    assert int(tested[1]) > 500


def test_nothing_but_refusals_without_a_token_or_with_a_wrong_one(house: House) -> None:
    before = house.runs()
    real = house.tokens["admin"]
    wrong = [None, real[:-1], real + "x", real.upper(), "", "soak_", f"{real} {real}"]
    asked = [(m, p) for m, p, _ in house.operations() if p not in OPEN] + [("GET", "/openapi.json"), ("GET", "/x")]
    for method, path in asked:
        for token in wrong:
            refused(house.daemon.ask(method, path, token=token), 401)
        refused(house.daemon.ask(method, path, Authorization=real), 401)
        refused(house.daemon.ask(method, path, Authorization=f"Basic {real}"), 401)
        refused(house.daemon.ask(method, f"{path}?token={real}", Cookie=f"token={real}"), 401)
    for path in OPEN:
        assert house.daemon.ask("GET", path).status in (200, 503)
    assert house.runs() == before


def test_who_may_only_read_changes_nothing(house: House) -> None:
    before = house.runs()
    changing = [(m, p) for m, p, _ in house.operations() if m != "GET"]
    assert ("POST", "/v1/runs") in changing
    for method, path in changing:
        for role in ("PUT", "PATCH", method):
            refused(house.daemon.ask(role, path, {"scenario": "shop.yaml"}, token=house.tokens["read"]), 403)
    assert house.runs() == before


@pytest.mark.parametrize("role", ["read", "run"])
def test_the_audit_log_is_for_admins(house: House, role: Role) -> None:
    for path in ADMIN:
        for spelled in (path, f"{path}/", f"{path}?limit=1", path.replace("a", "%61", 1), path.replace("/", "//", 1)):
            answer = house.daemon.ask("GET", spelled, token=house.tokens[role])
            assert answer.status in (403, 404), spelled
            assert b"entries" not in answer.body
        assert house.daemon.ask("GET", path, token=house.tokens["admin"]).status == 200


def refused(answer: Answer, status: int) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_method_that_a_path_does_not_have_is_told_those_that_it_has(house: House) -> None:
    answer = house.daemon.ask("PATCH", "/v1/runs/1/pin", token=house.tokens["admin"])
    assert (answer.status, answer.headers["allow"]) == (405, "DELETE, PUT")


def test_who_has_an_answer_already_is_told_so(house: House) -> None:
    def ask(path: str, *known: str) -> Answer:
        token = house.tokens["read"]
        return house.daemon.ask("GET", path, token=token, **({"If_None_Match": known[0]} if known else {}))

    for path in ("/v1/runs", "/v1/runs/1", "/v1/runs/1/verdict", "/v1/scenarios", "/openapi.json"):
        first = ask(path)
        tag = first.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = ask(path, known)
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
        other = ask(path, '"other"')
        assert (other.status, other.body) == (200, first.body)
    assert "etag" not in ask("/v1/runs/999").headers
    before = ask("/v1/runs").headers["etag"]
    house.daemon.ask("PUT", "/v1/runs/1/pin", token=house.tokens["run"])
    assert ask("/v1/runs", before).status == 200


def test_events_of_a_run_that_has_ended_end(house: House) -> None:
    token = house.tokens["read"]
    assert house.daemon.ask("GET", "/v1/runs/1/events", token=token).body.decode().startswith("event: end")
    refused(house.daemon.ask("GET", "/v1/runs/999999/events", token=token), 404)
    refused(house.daemon.ask("GET", "/v1/runs/1/events", token=token, Last_Event_ID="-1"), 422)


def test_who_watches_is_let_go_when_the_token_is_removed(house: House) -> None:
    with State(house.daemon.folder / "runs" / STATE) as state:
        token = make_token(state, "guest", "read", 0.0)
        job, _ = state.add(Request("shop.yaml", "shop", ("localhost:8000",), "the-run"), 0.0)
        with urllib3.PoolManager(retries=False, timeout=60) as pool:
            stream = pool.request(
                "GET", f"http://127.0.0.1:{house.daemon.port}/v1/runs/{job.id}/events",
                headers={"Authorization": f"Bearer {token}"}, preload_content=False,
            )  # fmt: skip
            assert stream.readline() == b"event: run\n"
            state.remove_token("guest")
            assert b"event: end" not in stream.read()  # it comes to its end all the same
