"""What an attacker who can reach the daemon tries: nothing gets out, nobody else is locked out, nothing piles up."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import trustme
import urllib3

from soak.daemon.config import STATE
from soak.daemon.guard import Buckets
from soak.daemon.job import Request
from soak.daemon.state import State
from tests.unit.serving import Daemon, library, serving, unread

HOST = b"Host: localhost\r\n"
SILENT = 640
PAGE_BYTES = 30 * 2**20


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon without tokens; run 1 has ended and left a huge page, run 2 waits for ever."""
    folder = tmp_path_factory.mktemp("daemon")
    scenarios = library(folder, shop=8000)
    (folder / "secret.yaml").write_text((scenarios / "shop.yaml").read_text())
    (scenarios / "out").symlink_to(folder)
    (scenarios / "deep").mkdir()
    (scenarios / "deep" / "up.yaml").symlink_to("../../secret.yaml")
    os.mkfifo(scenarios / "pipe.yaml")
    with State(folder / "runs" / STATE) as state:
        job, _ = state.add(Request("shop.yaml", "shop", ("localhost:8000",), "local"), 0.0)
        run_file = folder / "runs" / "shop-1.soak"
        run_file.write_text("")
        run_file.with_suffix(".html").write_bytes(b"x" * PAGE_BYTES)
        state.begin(job.id, run_file, 1.0)
        state.end(job.id, "pass", 0, "all is well", 2.0)
        state.add(Request("shop.yaml", "shop", ("localhost:8000",), "local"), 3.0)
    with serving(folder, "--min-free", "900000 TiB", "--requests", "10000/s") as served:
        yield unread(served)


def said(daemon: Daemon, sent: bytes) -> bytes:
    """All that comes back until the daemon hangs up."""
    with socket.create_connection(("127.0.0.1", daemon.port), 30) as link:
        link.settimeout(60)
        back = b""
        with contextlib.suppress(ConnectionError):
            link.sendall(sent)
            while piece := link.recv(65536):
                back += piece
        return back


def wait_until(true: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def hung_up(link: socket.socket) -> bool:
    link.setblocking(False)
    try:
        return link.recv(65536) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "name",
    [
        "out/secret.yaml",
        "deep/up.yaml",
        "deep/../../secret.yaml",
        "..%2fsecret.yaml",
        "%2e%2e/secret.yaml",
        "..\\secret.yaml",
        "\uff0e\uff0e\uff0fsecret.yaml",
        "..\u2215secret.yaml",
        "file:///etc/passwd.yaml",
        "/proc/self/environ",
        "shop.yaml\0.txt",
        "pipe.yaml",
        "~/secret.yaml",
        "$PWD/shop.yaml",
        "\u202eshop.yaml",
        "deep",
        "a/" * 240,
    ],
)
def test_no_name_leads_out_of_the_folder(daemon: Daemon, name: str) -> None:
    answer = daemon.ask("POST", "/v1/runs", {"scenario": name})
    assert answer.status == 422, answer.body
    assert "no scenario" in answer.json["detail"]
    assert str(daemon.folder) not in answer.body.decode()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/runs/..%2f..%2f..%2fetc%2fpasswd/report",
        "/v1/runs/%00/report",
        "/v1/runs/1%2f..%2f2",
        "//v1/runs/1",
        "/v1/runs/1/..",
        "/v1/runs/1;a",
        "/v1/runs/%C0%AE%C0%AE/report",
        "/v1/runs/1/report/../../2",
        "http://evil.example/v1/runs",
        "/v1/runs/-1",
        "/v1/runs/1e1",
        "/v1/runs/%F0%9F%92%A9",
        "*",
    ],
)
def test_no_path_is_taken_for_another(daemon: Daemon, path: str) -> None:
    back = said(daemon, b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert back.split(b" ", 2)[1] in (b"404", b"422"), back
    assert b"application/problem+json" in back


@pytest.mark.parametrize(
    "heads",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"Content-Length: +4\r\n\r\nabcd",
        b"Content-Length: 0x4\r\n\r\nabcd",
        b"Host: evil.example\r\n\r\n",
        b"X: a\0b\r\n\r\n",
        b"X: a\rGET /healthz\r\n\r\n",
    ],
)
def test_no_second_request_is_hidden_in_a_first(daemon: Daemon, heads: bytes) -> None:
    hidden = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    back = said(daemon, b"POST /v1/runs/2/stop HTTP/1.1\r\n" + HOST + heads + hidden)
    assert back.startswith(b"HTTP/1.1 4") or b"501" in back[:20], back
    assert back.count(b"HTTP/1.1") == 1
    assert b'"ok":true' not in back


def test_requests_sent_at_once_are_answered_in_order(daemon: Daemon) -> None:
    paths = [b"/healthz" if i % 2 else b"/v1/runs/2" for i in range(40)]
    sent = b"".join(b"GET " + p + b" HTTP/1.1\r\n" + HOST + b"\r\n" for p in paths[:-1])
    back = said(daemon, sent + b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    bodies = [b'"ok"' in answer for answer in back.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [p == b"/healthz" for p in paths]


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 5_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 100_000 + b"\r\n",
        b"\0" * 1_000_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 600,  # TLS, to a door that has none
    ],
    ids=["target", "header", "headers", "zeros", "tls"],
)
def test_what_is_no_request_ends_at_once(daemon: Daemon, sent: bytes) -> None:
    before = rss(daemon)
    assert b" 200 " not in said(daemon, sent)
    assert daemon.ask("GET", "/healthz").status == 200
    assert rss(daemon) - before < 20 * 2**20


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 60_000,
        b'{"scenario": "\xff"}',
        b'{"scenario": "\\ud800"}',
        b'{"priority": ' + b"9" * 20_000 + b"}",
        b'{"scenario": "a", "priority": NaN}',
        b"\xef\xbb\xbf{}",
        b'{"\\ud800": 1}',
        b"null",
        b'"x"',
    ],
)
def test_a_body_that_makes_no_sense_is_refused(daemon: Daemon, body: bytes) -> None:
    answer = daemon.ask("POST", "/v1/runs", body)
    assert answer.status in (400, 422), answer.body
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "localhost@evil.example",
        "[::1",
        "0.0.0.0",
        "x:y:z",
    ],
)
def test_a_name_that_was_bound_to_loopback_gets_nothing(daemon: Daemon, host: str) -> None:
    assert daemon.ask("GET", "/v1/runs", Host=host).status in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost", "http://localhost:1", ""])
def test_a_page_of_another_origin_changes_nothing(daemon: Daemon, origin: str) -> None:
    for method, path in (("POST", "/v1/runs"), ("POST", "/v1/runs/2/stop"), ("PUT", "/v1/runs/2/pin")):
        assert daemon.ask(method, path, {"scenario": "shop.yaml"}, Origin=origin).status == 403
    assert daemon.ask("GET", "/v1/runs/2").json["state"] == "queued"


def test_who_does_not_speak_or_does_not_listen_locks_nobody_out(daemon: Daemon) -> None:
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", daemon.port))
    deaf.sendall(b"GET /v1/runs/1/report?format=html HTTP/1.1\r\n" + HOST + b"\r\n")
    with contextlib.ExitStack() as open_, deaf:
        silent = [open_.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 30)) for _ in range(SILENT)]
        for i, link in enumerate(silent[: SILENT // 2]):
            with contextlib.suppress(ConnectionError):  # those who came last were hung up on
                link.sendall(b"GET /v1/runs HTTP/1.1\r\nX: "[: i % 20])
        wait_until(lambda: len(psutil.Process(daemon.process.pid).net_connections()) <= 600)
        wait_until(lambda: well(daemon))
        wait_until(lambda: all(map(hung_up, silent)))
        wait_until(lambda: len(psutil.Process(daemon.process.pid).net_connections()) == 1)  # the deaf one too


def test_who_never_shakes_hands_locks_nobody_out(tmp_path: Path) -> None:
    library(tmp_path)
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def answered(at: Daemon) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", at.port), 5) as link,
            trusting.wrap_socket(link, server_hostname="localhost") as safe,
        ):
            safe.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
            return b" 200 " in safe.recv(1000)
        return False

    with serving(tmp_path, "--tls-cert", "cert.pem", "--tls-key", "key.pem") as daemon, contextlib.ExitStack() as open_:
        silent = [open_.enter_context(socket.create_connection(("127.0.0.1", daemon.port), 30)) for _ in range(400)]
        wait_until(lambda: len(psutil.Process(daemon.process.pid).net_connections()) <= 130)
        wait_until(lambda: all(map(hung_up, silent)))
        wait_until(lambda: answered(daemon))


def test_a_head_that_drips_is_not_waited_for(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.port), 30) as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nX: ")

        def drip() -> bool:
            with contextlib.suppress(ConnectionError):
                link.send(b"a")
            return hung_up(link)

        wait_until(drip)


def test_hundreds_of_streams_are_let_go_with_whoever_watched(daemon: Daemon) -> None:
    def watch() -> socket.socket:
        link = socket.create_connection(("127.0.0.1", daemon.port), 30)
        link.sendall(b"GET /v1/runs/2/events HTTP/1.1\r\n" + HOST + b"\r\n")
        return link

    def statuses(links: list[socket.socket]) -> list[bytes]:
        return [link.recv(12).split(b" ")[1] for link in links]

    with contextlib.ExitStack() as watching:
        links = [watching.enter_context(watch()) for _ in range(300)]
        found = statuses(links)
        assert set(found) == {b"200", b"503"}
        assert found.count(b"200") == 256
        assert daemon.ask("GET", "/v1/runs/2").status == 200

    def again() -> bool:
        with watch() as link:
            return statuses([link]) == [b"200"]

    wait_until(again)


def test_a_flood_is_put_off_and_health_is_not(tmp_path: Path) -> None:
    library(tmp_path)
    with serving(tmp_path, "--requests", "5/s") as daemon:
        one = b"GET /v1/runs HTTP/1.1\r\n" + HOST
        back = said(daemon, (one + b"\r\n") * 199 + one + b"Connection: close\r\n\r\n")
        assert back.count(b" 429 ") > 100
        assert back.count(b"retry-after: ") == back.count(b" 429 ")
        assert daemon.ask("GET", "/healthz").status == 200


def test_any_number_of_names_takes_a_bounded_memory() -> None:
    buckets = Buckets(1.0)
    for i in range(20_000):
        buckets.take(f"10.{i}")
    tracemalloc.start()
    try:
        for i in range(200_000):
            buckets.take(f"2001:db8::{i:x}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20
    assert buckets.take("2001:db8::30d3f") == 0
    assert buckets.take("2001:db8::30d3f") > 0  # who was heard of last is remembered


def well(daemon: Daemon) -> bool:
    """Whether somebody else is served."""
    with contextlib.suppress(urllib3.exceptions.HTTPError):
        return daemon.ask("GET", "/healthz").status == 200
    return False


def rss(daemon: Daemon) -> int:
    return int(psutil.Process(daemon.process.pid).memory_info().rss)
