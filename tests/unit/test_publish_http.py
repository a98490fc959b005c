"""One POST: what is said when it fails, and what is never said."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from soak.publish.http import RefusedError, UnreachableError, back_off, post, retry_after
from tests.unit.alerting import listener


@contextmanager
def answering(*parts: bytes, every: float = 0.0, for_ever: bool = False) -> Iterator[str]:
    """A server that answers one request by so many parts, the last of them for ever if wanted; its address."""
    over = threading.Event()

    def serve() -> None:
        there, _ = server.accept()
        with closing(there):
            there.recv(65536)
            for part in parts:
                there.sendall(part)
            while for_ever and not over.wait(every):
                try:
                    there.sendall(parts[-1])
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        over.set()
        thread.join()


def test_an_answer_without_an_end_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nsorry\r\n"
    with answering(*endless, every=0.01, for_ever=True) as url, pytest.raises(UnreachableError, match="status 500"):
        post(url, b"{}", {}, None)


def test_what_a_refusal_says_is_kept_apart() -> None:
    answer = b"HTTP/1.1 400 Bad\r\nContent-Length: 28\r\n\r\nnative histograms\nare disabled"
    with answering(answer) as url, pytest.raises(RefusedError) as raised:
        post(url, b"{}", {}, None)
    assert str(raised.value) == "it answered with status 400"
    assert raised.value.said == "native histograms are disabl"


def test_a_redirect_is_not_followed() -> None:
    with listener() as there:
        answer = f"HTTP/1.1 307 There\r\nLocation: {there.url}\r\nContent-Length: 0\r\n\r\n".encode()
        with answering(answer) as url, pytest.raises(RefusedError, match="status 307"):
            post(url, b"{}", {}, "a-token-for-here-only")
    assert not there.posts


@pytest.mark.parametrize("token", ["se\ncret", "se\r\nX: cret", "se€cret"])
def test_a_token_that_cannot_be_sent_is_not_told(token: str) -> None:
    with listener() as hook, pytest.raises(RefusedError) as raised:
        post(hook.url, b"{}", {}, token)
    assert "cret" not in str(raised.value)
    assert not hook.posts


def test_the_line_break_of_a_file_is_no_part_of_a_token() -> None:
    with listener() as hook:
        post(hook.url, b"{}", {}, "secret\n")
    assert hook.posts[0].headers["authorization"] == "Bearer secret"


def test_who_is_named_in_the_address_signs_in_unless_there_is_a_token() -> None:
    with listener() as hook:
        named = hook.url.replace("http://", "http://me:pass@")
        post(named, b"{}", {}, None)
        post(named, b"{}", {}, "secret")
    shown = [p.headers["authorization"] for p in hook.posts]
    assert shown == [f"Basic {base64.b64encode(b'me:pass').decode()}", "Bearer secret"]


def test_authorities_that_are_not_there_are_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(UnreachableError, match="REQUESTS_CA_BUNDLE"):
        post("https://127.0.0.1:9/", b"{}", {}, None)


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after("7") == 7
    assert (retry_after("Fri, 31 Dec 2100 23:59:59 GMT") or 0) > 1e9
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert [retry_after(text) for text in (None, "", "soon", "Fri, 31 Dec 99999999 23:59:59 GMT")] == [None] * 4


def test_who_fails_is_tried_later_and_later_and_never_given_up() -> None:
    assert [back_off(tries, None) for tries in range(1, 9)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert back_off(5000, None) == 60, "days of tries, once a minute"
    assert (back_off(1, 7.0), back_off(4, 7.0)) == (7.0, 8)
