"""How a run asks an observer: whatever is at the other end, the run hears it in plain words."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from time import sleep

import pytest
import trustme

from soak.core.errors import TargetError
from soak.core.target import Observer
from soak.probe import door
from soak.probe.door import Door
from soak.probe.line import DoorError
from soak.probe.message import write
from tests.unit.observing import Reply, answered, answering

GOOD = write({"session": "s", "now": 5.0, "next": 1, "about": {"every": 1.0}}, 1, [])
OK = answered(200, GOOD)
TOKEN = "a secret of sixteen characters"


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE_S", 0.5)
    monkeypatch.delenv("SOAK_OBSERVER_TOKEN", raising=False)


def refusal(url: str, folder: Path = Path(), **more: str) -> str:
    """Why it does not answer."""
    asking = Door(Observer(url=url, **more), folder)
    with pytest.raises(DoorError) as refused:
        asking.ask(3, "s")
    asking.close()
    return str(refused.value)


def test_a_good_answer_comes_with_its_times_and_the_token_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_OBSERVER_TOKEN", f" {TOKEN}\n")
    with answering(OK) as (url, shown):
        asking = Door(Observer(url=f"{url}/behind/a/proxy/"), Path())
        answer, sent, received = asking.ask()
        asking.ask(41, "a b")
        asking.close()
    assert (answer.session, answer.now) == ("s", 5.0)
    assert sent < received
    assert [s["path"] for s in shown] == [
        "/behind/a/proxy/v1/samples",
        "/behind/a/proxy/v1/samples?after=41&session=a+b",
    ]
    assert {s["authorization"] for s in shown} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "wants a token in $SOAK_OBSERVER_TOKEN"),
        (503, "has too many clients"),
        (404, "answers with status 404: it is not a soak observer"),
        (500, "answers with status 500"),
    ],
)
def test_a_status_is_said_in_words(status: int, words: str) -> None:
    with answering(answered(status, b"no")) as (url, _):
        assert words in refusal(url)


def test_a_token_that_is_refused_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", TOKEN)
    with answering(answered(401)) as (url, _):
        text = refusal(url, token="${OTHER}")
    assert text == "refuses the token in $OTHER"


def test_a_redirect_is_not_followed_the_token_stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOAK_OBSERVER_TOKEN", TOKEN)
    with answering(OK) as (other, shown), answering(answered(302, Location=other)) as (url, _):
        assert "status 302" in refusal(url)
    assert shown == []


def test_another_service_is_none() -> None:
    with answering(answered(200, b"<html>hello</html>")) as (url, _):
        assert refusal(url) == "answers, but it is not a soak observer"


def test_nobody_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, and not listening: refused
        assert refusal(f"http://127.0.0.1:{held.getsockname()[1]}") == "cannot be reached: Connection refused"


def test_one_that_hangs_is_not_waited_for() -> None:
    with answering(hang) as (url, _):
        assert refusal(url) == "does not answer within 0.5 s"


def test_one_that_drips_for_ever_is_left() -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" " * 10)
            sleep(0.1)

    with answering(drip) as (url, _):
        assert refusal(url) == "takes too long, or says too much"


def test_one_that_says_too_much_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_MOST_BYTES", 100_000)
    with answering(answered(200, b"x" * 1_000_000)) as (url, _):
        assert refusal(url) == "takes too long, or says too much"


def test_an_answer_that_breaks_off() -> None:
    with answering(half) as (url, _):
        assert "hangs up" in refusal(url)


def test_what_is_no_http_at_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def speak() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"-ERR unknown command\r\n")

        thread = threading.Thread(target=speak)
        thread.start()
        assert refusal(f"http://127.0.0.1:{server.getsockname()[1]}") == (
            "hangs up, or does not speak HTTP (is it https?)"
        )
        thread.join()


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(GOOD)
    handler.close_connection = True


def hang(_: BaseHTTPRequestHandler) -> None:
    sleep(1.5)


@pytest.mark.parametrize("bad", [answered(401), answered(200, b"what"), hang_up, half, hang])
def test_after_any_failure_it_can_be_asked_again(bad: Reply) -> None:
    replies = iter([OK, bad, bad, OK, OK])
    with answering(lambda handler: next(replies)(handler)) as (url, _):
        asking = Door(Observer(url=url), Path())
        asking.ask()
        for _ in range(2):
            with pytest.raises(DoorError):
                asking.ask()
        assert asking.ask()[0].session == "s"
        assert asking.ask()[0].session == "s"
        asking.close()


def served_with(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """The TLS of a server that the authority vouches for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def test_tls_with_the_authority_that_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with answering(OK, served_with(authority, "127.0.0.1")) as (url, _):
        asking = Door(Observer(url=url, ca="ca.pem"), tmp_path)
        assert asking.ask()[0].session == "s"
        asking.close()


def test_a_certificate_that_nobody_vouches_for_is_no_observer_and_hears_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOAK_OBSERVER_TOKEN", TOKEN)
    mine, other = trustme.CA(), trustme.CA()
    mine.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with answering(OK, served_with(other, "127.0.0.1")) as (url, shown):
        assert "cannot be trusted: TLS:" in refusal(url)
        assert "; name it, or the authority that signed it, in observer.ca" in refusal(url)
        assert "cannot be trusted: TLS:" in refusal(url, tmp_path, ca="ca.pem")
    with answering(OK, served_with(mine, "another.example")) as (url, named):
        text = refusal(url, tmp_path, ca="ca.pem")
        assert "cannot be trusted: TLS: ip address mismatch" in text
        assert "observer.ca" not in text
    assert shown == named == []


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(TargetError, match=r"observer\.ca: ca\.pem: no PEM certificates"):
        Door(Observer(url="https://127.0.0.1:1", ca="ca.pem"), tmp_path)
