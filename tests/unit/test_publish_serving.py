"""The page of one run over HTTP: who may see it, and that its end is waited for by those who came before."""

from __future__ import annotations

import socket
import struct
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.publish.exporter import encode
from soak.publish.page import Page
from soak.publish.serving import Serving
from soak.runfile import LiveReader
from tests.e2e.harness import free_port
from tests.unit.test_publish_exporter import run


def get(port: int, path: str = "/metrics", token: str | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(run(tmp_path, "a")), None)
    yield at
    serving.close()


def test_the_page_is_at_metrics_and_nowhere_else(port: int) -> None:
    status, text = get(port)
    assert status == 200
    assert 'run_id="a",scenario="made"' in text
    assert get(port, "/")[0] == 404
    assert get(port, "/../etc/passwd")[0] == 404


def test_before_the_run_has_a_file_there_is_a_page_all_the_same(tmp_path: Path) -> None:
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(tmp_path / "later.soak"), None)
    status, text = get(at)
    serving.close()
    assert status == 200
    assert "soak_run_info" not in text


def test_who_goes_away_in_the_middle_of_a_request_is_no_news(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # so that closing it is a reset
        there.send(b"GET")
    assert get(port)[0] == 200
    time.sleep(0.2)
    assert "Traceback" not in capfd.readouterr().err


def test_whoever_comes_beyond_the_room_there_is_takes_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soak.publish.serving._AT_ONCE", 2)
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(run(tmp_path, "a")), None)
    idle = [socket.create_connection(("127.0.0.1", at)) for _ in range(2)]
    with socket.create_connection(("127.0.0.1", at)) as beyond:
        beyond.settimeout(5)
        assert beyond.recv(1) == b"", "it is hung up on"
    for one in idle:
        one.close()
    deadline = time.monotonic() + 10
    while status_of(at) != 200:
        assert time.monotonic() < deadline, "who went away makes room"
        time.sleep(0.05)
    serving.close()


def status_of(port: int) -> int | None:
    try:
        return get(port)[0]
    except OSError:
        return None


def test_a_page_that_cannot_be_made_is_a_status_and_no_traceback(
    port: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("soak.publish.serving.encode", lambda *_: 1 / 0)
    assert get(port) == (500, "the page cannot be made (ZeroDivisionError)\n")
    assert "Traceback" not in capfd.readouterr().err


def test_a_page_that_is_dear_is_made_more_seldom(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def dear(page: Page, accept: str) -> tuple[bytes, str]:
        until = time.thread_time() + 1.5
        while time.thread_time() < until:
            pass
        made.append(accept)
        return encode(page, accept)

    monkeypatch.setattr("soak.publish.serving.encode", dear)
    get(port)
    time.sleep(1.2)
    get(port)
    assert len(made) == 1, "twenty times as long it is good enough"


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(run(tmp_path, "a")), "the-right-one-12345")
    found = [get(at, token=t) for t in (None, "wrong", "the-right-one-12345", "ünwise")]
    serving.close()
    assert [status for status, _ in found] == [401, 401, 200, 401]
    assert "soak" not in found[0][1]


def test_beyond_loopback_a_token_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SoakError, match="a token is needed"):
        Serving("0.0.0.0", free_port(), LiveReader(tmp_path / "a.soak"), None)


def test_a_port_that_is_taken_is_told(port: int, tmp_path: Path) -> None:
    with pytest.raises(SoakError, match="cannot listen at"):
        Serving("127.0.0.1", port, LiveReader(tmp_path / "b.soak"), None)


def test_nobody_is_waited_for_who_never_came(tmp_path: Path) -> None:
    serving = Serving("127.0.0.1", free_port(), LiveReader(run(tmp_path, "a")), None)
    assert not serving.wait_until_seen()
    serving.close()


def test_whoever_came_before_is_waited_for(tmp_path: Path) -> None:
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(run(tmp_path, "a")), None)
    get(at)
    seen: list[bool] = []
    waiting = threading.Thread(target=lambda: seen.append(serving.wait_until_seen()))
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()
    get(at)
    waiting.join(30)
    assert seen == [True]
    serving.close()


def test_no_longer_than_there_is_time_and_not_for_one_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = free_port()
    serving = Serving("127.0.0.1", at, LiveReader(run(tmp_path, "a")), None)
    get(at)
    assert not serving.wait_until_seen(patience=0.0)
    hour_later = time.monotonic() + 3600.0
    monkeypatch.setattr("soak.publish.serving.monotonic", lambda: hour_later)
    waiting = threading.Thread(target=serving.wait_until_seen)
    waiting.start()
    waiting.join(30)
    assert not waiting.is_alive(), "a look by hand, an hour ago, is no scraper"
    serving.close()


def test_each_of_two_scrapers_is_waited_for(tmp_path: Path) -> None:
    serving = Serving("127.0.0.1", free_port(), LiveReader(run(tmp_path, "a")), None)
    for who in ("one", "other"):
        for _ in range(2):
            serving.page("", who)
            time.sleep(0.5)
    serving.page("", "by hand")  # came once
    seen: list[bool] = []
    waiting = threading.Thread(target=lambda: seen.append(serving.wait_until_seen()))
    waiting.start()
    time.sleep(0.2)
    serving.page("", "one")
    time.sleep(0.2)
    assert waiting.is_alive(), "the other one has not seen the end yet"
    serving.page("", "other")
    waiting.join(30)
    assert seen == [True]
    serving.close()
