"""`soak run --on`, against a daemon that is cut off, is away or says no."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from soak.core.errors import SoakError, TargetError
from soak.daemon import Client, Wanted, client
from tests.e2e.harness import free_port
from tests.unit.observing import answered, answering

WANTED = Wanted("shop.yaml", 0, "a-key")
Reply = tuple[int, dict[str, str], bytes]


class Stub:
    """Answers each request with the next reply; None closes the connection without one."""

    def __init__(self) -> None:
        self.replies: list[Reply | None] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stub, Callable[[], Client], list[str]]]:
    monkeypatch.setattr(client, "_PAUSE_S", 0.01)
    made, said = Stub(), list[str]()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            made.asked.append((self.command, self.path, dict(self.headers)))
            reply = made.replies.pop(0)
            if reply is not None:
                status, headers, body = reply
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            self.close_connection = True

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made, lambda: Client(f"http://127.0.0.1:{server.server_port}", "soak_secret", said.append), said
    server.shutdown()
    server.server_close()


def submitted(number: int = 7) -> Reply:
    return 201, {}, json.dumps({"id": number}).encode()


def stream(*events: tuple[str, str, int]) -> Reply:
    return 200, {}, "".join(f"event: {k}\nid: {n}\ndata: {d}\n\n" for k, d, n in events).encode()


def run(state: str = "running", waits: str | None = None) -> str:
    return json.dumps({"id": 7, "state": state, "waits_for": waits, "exit_code": 1})


def test_a_stream_that_is_cut_goes_on_after_the_last_line(stub: Any) -> None:
    made, make, said = stub
    made.replies = [
        submitted(),
        stream(("run", run(waits="run 6 loads a:1"), 0), ("run", run(), 0), ("line", "one", 4)),
        None,
        (503, {}, b"{}"),
        stream(("run", run(), 4), ("line", "two", 8), ("end", run("ended"), 8)),
    ]
    assert make().run(WANTED)["exit_code"] == 1
    assert [line for line in said if line in ("one", "two")] == ["one", "two"]
    assert "waiting: run 6 loads a:1" in said
    assert [headers.get("Last-Event-ID") for _, _, headers in made.asked] == [None, "0", "4", "4", "4"]
    assert {headers["Authorization"] for _, _, headers in made.asked} == {"Bearer soak_secret"}


def test_asking_again_has_the_same_key(stub: Any) -> None:
    made, make, _ = stub
    made.replies = [None, (429, {"Retry-After": "0"}, b""), submitted(), stream(("end", run("ended"), 0))]
    make().run(WANTED)
    assert [headers.get("Idempotency-Key") for _, _, headers in made.asked] == ["a-key"] * 3 + [None]


@pytest.mark.parametrize(
    "reply,said",
    [
        ((422, {}, b'{"detail": "no scenario \'x\'"}'), "no scenario 'x'"),
        ((401, {}, b'{"detail": "a token is needed"}'), "a token is needed"),
        ((404, {}, b"<html>"), "status 404: is `soak serve` there"),
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "status 302"),
    ],
)
def test_what_the_daemon_refuses_is_said(stub: Any, reply: Reply, said: str) -> None:
    made, make, _ = stub
    made.replies = [reply]
    with pytest.raises(SoakError, match=said):
        make().run(WANTED)


def test_ctrl_c_stops_the_run_and_waits_for_its_verdict(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make, _ = stub
    made.replies = [submitted(), stream(("line", "one", 4)), (202, {}, b"{}"), stream(("end", run("ended"), 4))]
    asking = make()

    def interrupted(line: str) -> None:
        if line == "one":
            raise KeyboardInterrupt

    monkeypatch.setattr(asking, "_say", interrupted)
    assert asking.run(WANTED)["state"] == "ended"
    assert [(method, path) for method, path, _ in made.asked][2] == ("POST", "/v1/runs/7/stop")


def test_nobody_there_is_said_at_once() -> None:
    with pytest.raises(TargetError, match="no daemon to talk to there"):
        Client(f"http://127.0.0.1:{free_port()}", None, print).run(WANTED)


def test_a_certificate_that_nobody_vouches_for_says_how_to_trust_it() -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    said = pytest.raises(TargetError, match=r"no daemon to talk to there \(.*\$SSL_CERT_FILE")
    with answering(answered(200), tls) as (url, shown), said:
        Client(url, "a token", print).run(WANTED)
    assert shown == []


def test_a_daemon_that_stays_away_is_given_up(stub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make, _ = stub
    monkeypatch.setattr(client, "_PATIENCE_S", 0.0)
    made.replies = [submitted(), *[None] * 50]
    with pytest.raises(TargetError, match="goes on without a watcher"):
        make().run(WANTED)


def test_a_run_is_asked_for_and_left_and_a_report_is_fetched_later(stub: Any) -> None:
    made, make, said = stub
    made.replies = [submitted(), (200, {}, b"<testsuites/>")]
    assert make().submit(WANTED) == 7
    assert make().report(7, "junit") == "<testsuites/>"
    assert [(method, path) for method, path, _ in made.asked] == [
        ("POST", "/v1/runs"), ("GET", "/v1/runs/7/report?format=junit"),
    ]  # fmt: skip
    assert made.asked[0][2]["Idempotency-Key"] == "a-key"
    assert re.fullmatch(r"run 7: http://127.0.0.1:\d+/runs/7", said[0])
