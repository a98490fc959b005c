"""The pages as they are served: what is on them, who may see them, and whose forms are taken. Nothing is soaked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.daemon.config import STATE
from soak.daemon.state import State
from soak.daemon.tokens import Role, make_token
from tests.unit.paging import HELD, ODD, Visitor, form_token_of, showing
from tests.unit.serving import Daemon, library, serving


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with showing(tmp_path_factory.mktemp("pages")) as served:
        yield served


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, dict[str, str]]]:
    """A daemon with a token of each role."""
    folder = tmp_path_factory.mktemp("closed")
    library(folder, shop=8000)
    (folder / "runs").mkdir()
    roles: tuple[Role, ...] = ("read", "run", "admin")
    with State(folder / "runs" / STATE) as state:
        tokens = {role: make_token(state, f"a-{role}", role, 0.0) for role in roles}
    with serving(folder, *HELD) as served:
        yield served, tokens


@pytest.mark.parametrize("path", ["/", "/queue", "/calendar", "/compare", "/runs/1", "/runs/3", "/runs/4", "/runs/77"])
def test_no_page_lets_anything_foreign_run(daemon: Daemon, path: str) -> None:
    answer = daemon.ask("GET", path)
    assert answer.status == (404 if path == "/runs/77" else 200)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    text = answer.body.decode()
    assert not re.search(r"<script(?! src=\"/static/)|<style| style=| on[a-z]+=", text.replace("onerror=", "")), path
    assert ODD not in text
    assert "<img src=x" not in text
    assert "\x1b" not in text


def test_runs_are_listed_newest_first_and_by_state_and_scenario(daemon: Daemon) -> None:
    def numbers(query: str) -> list[int]:
        text = daemon.ask("GET", f"/{query}").body.decode()
        return [int(n) for n in re.findall(r'<th scope="row"><a href="/runs/(\d+)">', text)]

    assert numbers("")[-4:] == [4, 3, 2, 1]
    assert numbers("?state=running") == [4]
    assert numbers("?state=ended&name=made") == [2, 1]
    assert numbers("?before=3") == [2, 1]
    assert numbers("?before=x&state=nonsense")[-4:] == [4, 3, 2, 1]


def test_a_run_is_found_by_the_name_that_alerts_have(daemon: Daemon) -> None:
    led = daemon.ask("GET", "/runs/made-2")
    assert (led.status, led.headers["location"]) == (303, "/runs/2")
    missing = daemon.ask("GET", "/runs/%3Cb%3Emade")
    assert missing.status == 404
    assert b"<b>" not in missing.body


def test_a_run_that_has_ended_says_how_before_what_it_measured_is_there(daemon: Daemon) -> None:
    text = daemon.ask("GET", "/runs/2").body.decode()
    reason = json.loads(daemon.ask("GET", "/v1/runs/2").body)["reason"]
    assert reason
    said = re.search(r'id="making"><strong>(.*?)</strong>', text)
    assert said is not None
    assert said[1] in reason


def test_a_run_is_asked_for_once_by_a_form_that_is_sent_twice(daemon: Daemon) -> None:
    visitor = Visitor(daemon)
    sent = [visitor.send("/queue", scenario="shop.yaml", priority="3", against="", key="k" * 20) for _ in range(2)]
    assert [answer.status for answer in sent] == [303, 303]
    assert sent[0].headers["location"] == sent[1].headers["location"]
    number = int(sent[0].headers["location"].rpartition("/")[2])
    assert daemon.ask("GET", f"/v1/runs/{number}").json["priority"] == 3
    assert "must be free" in daemon.ask("GET", "/queue").body.decode()
    assert visitor.send(f"/runs/{number}/stop").status == 303
    assert daemon.ask("GET", f"/v1/runs/{number}").json["state"] == "ended"
    refused = visitor.send("/queue", scenario="no.yaml", priority="0", against="", key="m" * 20)
    assert refused.status == 422
    assert "no scenario &#39;no.yaml&#39;" in refused.body.decode()
    assert visitor.send("/queue", scenario="shop.yaml", priority="much", against="", key="n" * 20).status == 422


@pytest.mark.parametrize(
    "token,origin",
    [("", ""), ("0" * 64, ""), (None, None), (None, "http://evil.test"), (None, "null"), ("é", "")],
)
def test_a_form_of_another_page_is_refused(daemon: Daemon, token: str | None, origin: str | None) -> None:
    before = daemon.ask("GET", "/v1/runs?limit=1").json["runs"][0]["id"]
    answer = Visitor(daemon).send("/queue", token, origin, scenario="shop.yaml", priority="0", against="")
    assert answer.status == 403
    assert b"<h1>Forbidden</h1>" in answer.body
    assert Visitor(daemon).send("/runs/1/pin", token, origin).status == 403
    assert daemon.ask("GET", "/v1/runs?limit=1").json["runs"][0]["id"] == before
    assert not daemon.ask("GET", "/v1/runs/1").json["pinned"]


def test_a_view_is_made_by_a_process_and_shared_until_something_changes(daemon: Daemon) -> None:
    first = daemon.ask("GET", "/runs/1/view")
    assert first.status == 200
    assert {"word", "verdict", "html", "data"} <= set(first.json)
    assert "refresh-after" not in first.headers  # it has ended
    again = daemon.ask("GET", "/runs/1/view", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    live = daemon.ask("GET", "/runs/4/view")
    assert int(live.headers["refresh-after"]) >= 5
    assert "unsafe" not in live.headers["content-security-policy"]
    assert daemon.ask("GET", "/runs/3/view").json["why"] == "run 3 has no run file"


def test_two_runs_are_compared(daemon: Daemon) -> None:
    text = daemon.ask("GET", "/compare?new=1&old=2").body.decode()
    assert re.search(r'<span class="result (pass|fail|inconclusive|invalid)">', text)
    assert re.search(r'Run 1</a> against <a href="/runs/2">run 2</a>', text)
    assert "has no run file" in daemon.ask("GET", "/compare?new=3&old=2").body.decode()
    assert daemon.ask("GET", "/compare?new=x&old=99999999999999999999").status == 200


def test_strangers_are_led_to_the_login_and_see_nothing(closed: tuple[Daemon, dict[str, str]]) -> None:
    daemon, _ = closed
    led = daemon.ask("GET", "/runs/1")
    assert (led.status, led.headers["location"]) == (303, "/login?next=/runs/1")
    page = daemon.ask("GET", "/login")
    assert page.status == 200
    assert b"Queue" not in page.body
    assert daemon.ask("GET", "/static/site.css").status == 200
    assert daemon.ask("GET", "/v1/runs", Cookie="soak_visit=nonsense").status in (401, 429)


def test_a_visit_has_the_role_of_its_token_and_ends_with_the_logout(closed: tuple[Daemon, dict[str, str]]) -> None:
    daemon, tokens = closed
    reader, runner = Visitor(daemon), Visitor(daemon)
    entered = reader.send("/login", token=tokens["read"], next="//evil.test/")
    assert (entered.status, entered.headers["location"]) == (303, "/")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    runner.send("/login", token=tokens["run"], next="/queue")
    assert b"Start a run" not in reader.see("/queue").body
    own = form_token_of(reader.see("/queue"))
    assert reader.send("/queue", own, scenario="shop.yaml", priority="0", against="").status == 403
    assert runner.send("/queue", own, scenario="shop.yaml", priority="0", against="").status == 403  # of another visit
    assert runner.send("/queue", scenario="shop.yaml", priority="0", against="").status == 303
    assert runner.see("/v1/audit").status == 403
    assert reader.see("/v1/runs").status == 200
    # the cookie opens the API for looking only
    change = daemon.ask("POST", "/v1/runs", {"scenario": "shop.yaml"}, Cookie=f"soak_visit={runner.cookie}")
    assert change.status in (401, 429)
    kept = runner.cookie
    runner.send("/logout", form_token_of(runner.see("/queue")))
    runner.cookie = kept
    assert runner.see("/").status == 303
    said = [e["action"] for e in daemon.ask("GET", "/v1/audit", token=tokens["admin"]).json["entries"]]
    assert {"login", "logout", "submit"} <= set(said)


def test_a_visit_ends_with_its_token_and_nothing_secret_is_kept(closed: tuple[Daemon, dict[str, str]]) -> None:
    daemon, _ = closed
    visitor = Visitor(daemon)
    with State(daemon.folder / "runs" / STATE) as state:
        token = make_token(state, "brief", "read", 0.0)
    visitor.send("/login", token=token, next="/")
    assert b"brief" in visitor.see("/").body
    kept = b"".join(path.read_bytes() for path in (daemon.folder / "runs").glob("daemon.sqlite*"))
    assert visitor.cookie.encode() not in kept
    assert token.encode() not in kept
    with State(daemon.folder / "runs" / STATE) as state:
        state.remove_token("brief")
    assert visitor.see("/").status == 303


def test_a_wrong_token_is_refused_and_soon_has_to_wait(closed: tuple[Daemon, dict[str, str]]) -> None:
    daemon, _ = closed
    for _ in range(100):
        answer = Visitor(daemon).send("/login", token="soak_nonsense", next="/")
        assert answer.status in (403, 429)
        assert "set-cookie" not in answer.headers
        if answer.status == 429:
            break
    assert int(answer.headers["retry-after"]) >= 1


def test_a_child_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "soak.cli.view", "run", str(tmp_path / "no.soak")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"soak: {tmp_path / 'no.soak'}: no such run file\n"
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(done.stdout)
