"""`soak observe` as it is run: what it refuses to begin with, who is let in, and what they get."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

import pytest
import trustme
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from soak.core.errors import SoakError
from soak.probe.message import Answer
from soak.probe.observer import Watched
from soak.probe.serving import Settings, observe
from tests.e2e.harness import SOAK, environment, free_port

TOKEN = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Served:
    """A `soak observe` that runs, and the process that it watches."""

    process: subprocess.Popen[str]
    child: subprocess.Popen[bytes]
    port: int
    scheme: str = "http"

    def get(self, path: str, *, show: str | None = TOKEN, **more: object) -> urllib3.BaseHTTPResponse:
        """The answer, and whether the token was shown."""
        headers = {"Authorization": f"Bearer {show}"} if show is not None else {}
        with urllib3.PoolManager(retries=False, timeout=10, **more) as pool:
            return pool.request("GET", f"{self.scheme}://127.0.0.1:{self.port}{path}", headers=headers, redirect=False)


@contextlib.contextmanager
def served(folder: Path, *options: str) -> Iterator[Served]:
    """`soak observe` beside a process of its own."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = subprocess.Popen(
        [*SOAK, "observe", "--pid", str(child.pid), "--listen", f"127.0.0.1:{port}", "--every", "100ms", *options],
        cwd=folder,
        env=environment(folder),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith(f"observing pid {child.pid} (process {child.pid}) at http"), said
        yield Served(process, child, port, "https" if "--tls-cert" in options else "http")
    finally:
        for each in (process, child):
            if each.poll() is None:
                each.kill()
            each.communicate()


def token(folder: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(f"{text}\n")
    path.chmod(mode)
    return path


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that wants a token."""
    folder = tmp_path_factory.mktemp("observer")
    with served(folder, "--token-file", str(token(folder))) as it:
        yield it


def until(what: Served, words: str) -> None:
    """Until /metrics says so."""
    deadline = monotonic() + 20
    while words not in what.get("/metrics").data.decode():
        assert monotonic() < deadline
        sleep(0.05)


@pytest.mark.parametrize("show", [None, "", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "ä" * 32])
@pytest.mark.parametrize("path", ["/v1/samples", "/v1/samples?after=0", "/metrics", "/", "/nothing", "/healthz/"])
def test_without_the_token_nothing_is_learned(locked: Served, path: str, show: str | None) -> None:
    answer = locked.get(path, show=None if show is None else show.encode().decode("latin-1"))
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.data == b"unauthorized\n"
    assert "server" not in answer.headers


def test_health_is_open_to_everyone(locked: Served) -> None:
    answer = locked.get("/healthz", show=None)
    assert (answer.status, answer.data) == (200, b"ok\n")


def test_who_asks_for_all_that_is_new_gets_each_look_once(locked: Served) -> None:
    answer = Answer.read(locked.get("/v1/samples").data)
    assert answer.looks == ()
    assert answer.first == answer.next
    got: list[int] = []
    deadline = monotonic() + 30
    while len(got) < 15 and monotonic() < deadline:
        after = got[-1] if got else 0
        page = Answer.read(locked.get(f"/v1/samples?after={after}&session={answer.session}").data)
        assert page.session == answer.session
        assert all(0 <= look.t <= page.now for look in page.looks)
        got += range(page.first, page.first + len(page.looks))
    assert got == list(range(1, len(got) + 1))
    assert len(got) >= 15
    other = Answer.read(locked.get("/v1/samples?after=999999&session=another").data)
    assert other.first == 1  # of a session that it does not know: all that is kept


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "", "9" * 40])
def test_a_number_that_is_none(locked: Served, after: str) -> None:
    answer = locked.get(f"/v1/samples?after={after}")
    assert answer.status == 400
    assert answer.data == b"after: expected the number of a look\n"


def test_metrics_are_what_prometheus_reads(locked: Served) -> None:
    answer = locked.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    found = {s.name: s.value for f in text_string_to_metric_families(answer.data.decode()) for s in f.samples}
    assert found["soak_target_up"] == 1
    assert found["soak_memory_rss_bytes"] > 1e6
    assert found["soak_process_threads"] == 1


def test_strangers_who_only_hold_connections_are_too_many_and_go_away_again(locked: Served) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(40):
            held.enter_context(socket.create_connection(("127.0.0.1", locked.port)))
        assert locked.get("/healthz").status == 503
    deadline = monotonic() + 20
    while locked.get("/healthz").status != 200:
        assert monotonic() < deadline
        sleep(0.1)


def test_what_is_no_http_is_not_news(locked: Served) -> None:
    with socket.create_connection(("127.0.0.1", locked.port), timeout=10) as peer:
        peer.sendall(b"\x16\x03\x01 what\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 400")
    assert locked.get("/healthz").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_peace_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    with served(tmp_path) as it:
        assert it.get("/metrics", show=None).status == 200  # on loopback a token is not needed
        it.process.send_signal(number)
        out, err = it.process.communicate(timeout=20)
    assert (it.process.returncode, out, err) == (0, "", "")


def test_the_end_of_the_target_is_seen_and_is_not_its_own(tmp_path: Path) -> None:
    with served(tmp_path) as it:
        it.child.kill()
        it.child.wait()
        until(it, 'soak_observer_events_total{kind="target_exit"} 1.0')
        assert "soak_target_up 0.0" in it.get("/metrics").data.decode()
        assert it.get("/healthz").status == 200
        assert Answer.read(it.get("/v1/samples").data).about["alive"] is False


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(tmp_path / "cert.pem"), append=True)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with served(tmp_path, "--tls-cert", "cert.pem", "--tls-key", "key.pem", "--token-file", str(token(tmp_path))) as it:
        trusting = {"ca_certs": str(tmp_path / "ca.pem")}
        assert it.get("/metrics", show=None, **trusting).status == 401
        assert it.get("/metrics", **trusting).status == 200
        with pytest.raises(urllib3.exceptions.SSLError):
            it.get("/metrics")
        with pytest.raises(urllib3.exceptions.HTTPError):
            replace(it, scheme="http").get("/metrics")


def refused(**settings: object) -> str:
    """Why it does not begin; `said` must stay empty."""
    said: list[str] = []
    given = {"watched": Watched(pid=os.getpid()), "host": "127.0.0.1", "port": free_port(), "every": 1.0}
    with pytest.raises(SoakError) as error:
        observe(Settings(**{**given, **settings}), said.append)  # type: ignore[arg-type]
    assert said == []
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_it_wants_a_token_and_tls(tmp_path: Path, host: str) -> None:
    assert "so a token is needed" in refused(host=host)
    assert "so a token is needed" in refused(host=host, no_tls=True)
    text = refused(host=host, token_file=token(tmp_path))
    assert "may read the token on its way: add --tls-cert and --tls-key, or --no-tls" in text


def test_an_address_that_is_taken_or_not_here(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        text = refused(port=other.getsockname()[1])
    assert "--listen: cannot listen at 127.0.0.1 port" in text
    assert "Address already in use" in text
    assert "cannot be resolved" in refused(host="no such host")
    text = refused(host="192.0.2.1", token_file=token(tmp_path), no_tls=True)
    assert "Cannot assign requested address" in text


def test_files_that_are_no_good(tmp_path: Path) -> None:
    assert "others on this machine may read it" in refused(token_file=token(tmp_path, mode=0o644))
    assert "16 characters or more" in refused(token_file=token(tmp_path, "short"))
    assert "No such file" in refused(token_file=tmp_path / "none")
    assert refused(tls_cert=tmp_path / "cert") == "--tls-cert and --tls-key go together"
    both = {"tls_cert": tmp_path / "token", "tls_key": tmp_path / "token"}
    assert "no PEM certificate and key" in refused(**both)
    assert "--tls-cert" in refused(tls_cert=tmp_path / "none", tls_key=tmp_path / "none")
    one, other = trustme.CA().issue_cert("a.example"), trustme.CA().issue_cert("b.example")
    one.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    other.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    assert "mismatch" in refused(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem").lower()


def test_nobody_to_watch() -> None:
    assert refused(watched=Watched(port=free_port())).startswith("--port: nothing listens on port")
    assert refused(watched=Watched(name="there-is-none")) == "--name: no process is named 'there-is-none'"


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "one of --port, --pid and --name is needed"),
        (["--pid", "1", "--name", "a"], "one of --port, --pid and --name is needed"),
        (["--pid", "1", "--every", "5"], "--every: expected a duration"),
        (["--pid", "1", "--every", "1ms"], "--every: expected 100ms to 60s"),
        (["--pid", "1", "--listen", "9645"], "expected HOST:PORT"),
        (["--port", "0"], "0 is not in the range"),
        (["--pid", "4194305"], "soak: --pid: there is no process 4194305"),
    ],
)
def test_a_command_line_that_cannot_be_meant(tmp_path: Path, options: list[str], words: str) -> None:
    done = subprocess.run(
        [*SOAK, "observe", *options],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
