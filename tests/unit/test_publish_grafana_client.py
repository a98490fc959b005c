"""The client of Grafana: what it repeats, how long it waits, and what it says when Grafana says no."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from soak.core.errors import PublishError
from soak.publish.grafana.client import Grafana, RefusedError
from tests.grafana_standin import TOKEN, VIEWER, StandIn, Trouble
from tests.unit.grafana_making import standin

__all__ = ["standin"]

FOLDER = {"uid": "soak", "title": "soak"}


class Waiting:
    """A client of the stand-in that notes how long it would have waited."""

    def __init__(self, url: str, token: str = TOKEN) -> None:
        self.waited: list[float] = []
        self.said: list[str] = []
        self.grafana = Grafana(url, token, self.said.append, self.waited.append)


def test_what_was_turned_away_is_repeated_as_late_as_was_asked_for(standin: StandIn) -> None:
    standin.troubles = [Trouble(429, headers={"Retry-After": "7"}), Trouble(503)]
    client = Waiting(standin.url)
    client.grafana.send("POST", "/folders", FOLDER)
    assert client.waited == [7.0, 2.0]  # the second by itself: twice the first
    assert "soak" in standin.folders
    assert "status 429; again in 7 s" in client.said[0]


def test_retry_after_may_be_a_date_and_is_never_waited_for_without_end(standin: StandIn) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    standin.troubles = [Trouble(503, headers={"Retry-After": later}), Trouble(503, headers={"Retry-After": "86400"})]
    client = Waiting(standin.url)
    client.grafana.version()
    assert 5 < client.waited[0] <= 30
    assert client.waited[1] == 60


def test_it_gives_up_after_some_attempts_and_says_what_came(standin: StandIn) -> None:
    standin.troubles = [Trouble(429, times=99)]
    client = Waiting(standin.url)
    with pytest.raises(RefusedError, match=r"status 429: later\. It is asked too much"):
        client.grafana.version()
    assert len(standin.seen) == 5
    assert client.waited == [1, 2, 4, 8]


def test_what_may_have_been_done_is_not_done_twice(standin: StandIn) -> None:
    standin.troubles = [Trouble(0, done=True)]  # the answer to a POST is lost: it was done
    client = Waiting(standin.url)
    with pytest.raises(PublishError, match="cannot be reached"):
        client.grafana.send("POST", "/folders", FOLDER)
    assert standin.seen == [("POST", "/api/folders")]
    standin.troubles = [Trouble(500), Trouble(0)]
    assert client.grafana.get("/folders/soak")["title"] == "soak"  # a GET is


@pytest.mark.parametrize(
    "token, method, path, words",
    [
        ("glsa_gone", "GET", "/folders/soak", "status 401: Invalid API key. The token is none of this Grafana's"),
        (VIEWER, "POST", "/folders", "status 403: You'll need additional permissions .* service account may not"),
        (TOKEN, "GET", "/folders/none", "status 404: folder not found. Nothing is there"),
    ],
)
def test_a_refusal_says_what_grafana_said_and_what_to_do(
    standin: StandIn, token: str, method: str, path: str, words: str
) -> None:
    client = Waiting(standin.url, token)
    with pytest.raises(RefusedError, match=words):
        client.grafana.send(method, path, FOLDER if method == "POST" else None)
    assert client.waited == []


def test_nobody_there_is_one_clear_error_after_some_patience() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        client = Waiting(url)
        with pytest.raises(PublishError) as told:
            client.grafana.send("POST", "/folders", FOLDER)
    assert str(told.value) == f"{url}: Grafana cannot be reached ([Errno 111] Connection refused)"
    assert len(client.waited) == 4


@pytest.mark.parametrize("url", ["grafana.example", "ftp://grafana.example", "https://user:secret@grafana.example"])
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(PublishError) as told:
        Grafana(url, TOKEN, print)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("token", ["", " ", "two\nlines", "tökén"])
def test_a_token_that_cannot_be_one_is_refused(token: str) -> None:
    with pytest.raises(PublishError, match="SOAK_GRAFANA_TOKEN"):
        Grafana("http://127.0.0.1:3000", token, print)


def test_a_login_page_is_not_taken_for_grafana(standin: StandIn) -> None:
    standin.troubles = [Trouble(302, headers={"Location": "/login"})]
    with pytest.raises(RefusedError, match="It sends elsewhere"):
        Waiting(standin.url).grafana.version()


def test_authorities_that_are_not_there_are_an_error_with_their_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(PublishError, match="REQUESTS_CA_BUNDLE"):
        Grafana("https://127.0.0.1:9", "token", print).version()
