"""Pushing a run: the whole of it at the end, and no receiver that holds it up."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import SoakError
from soak.publish.remote_write import Pushing
from soak.runfile import LiveReader
from tests.unit.alerting import listener
from tests.unit.test_publish_exporter import run
from tests.unit.test_publish_http import answering


def test_the_whole_run_is_pushed_when_it_is_over(tmp_path: Path) -> None:
    said: list[str] = []
    with listener() as there:
        Pushing(there.url, LiveReader(run(tmp_path, "a", verdict="pass")), "secret", said.append).close()
    (push,) = there.posts
    assert push.headers["content-encoding"] == "snappy"
    assert push.headers["content-type"] == "application/x-protobuf"
    assert push.headers["authorization"] == "Bearer secret"
    assert b"soak_request_seconds" in push.raw
    assert said == []


def test_nothing_is_pushed_of_a_run_that_never_began(tmp_path: Path) -> None:
    with listener() as there:
        Pushing(there.url, LiveReader(tmp_path / "never.soak"), None, print).close()
    assert not there.posts


def test_a_receiver_that_never_ends_its_answer_is_left(tmp_path: Path) -> None:
    said: list[str] = []
    with answering(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", every=0.05, for_ever=True) as url:
        Pushing(url, LiveReader(run(tmp_path, "a", verdict="pass")), None, said.append).close(patience=1.0)
    assert len(said) == 1
    assert "does not come to an end" in said[0]


def test_what_a_receiver_says_is_told_once_and_no_secret(tmp_path: Path) -> None:
    said: list[str] = []
    answer = b"HTTP/1.1 404 No\r\nContent-Length: 40\r\n\r\nremote write receiver needs to be enabled"
    with answering(answer) as url:
        named = url.replace("http://", "http://me:pass@")
        Pushing(named, LiveReader(run(tmp_path, "a", verdict="pass")), None, said.append).close()
    assert len(said) == 1
    assert "status 404: remote write receiver needs to be enable" in said[0]
    assert "pass" not in said[0]


def test_a_file_that_is_no_run_ends_no_thread_with_a_traceback(tmp_path: Path) -> None:
    broken, said = tmp_path / "a.soak", []  # type: ignore[var-annotated]
    broken.write_bytes(b"no run at all")
    Pushing("http://127.0.0.1:9/", LiveReader(broken), None, said.append).close()
    assert len(said) == 1


@pytest.mark.parametrize("url", ["ftp://a/", "http://", "http://[::1/", "http://me:pass@h:99999/", "nothing"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str, tmp_path: Path) -> None:
    with pytest.raises(SoakError) as raised:
        Pushing(url, LiveReader(tmp_path / "a.soak"), None, print)
    assert "me:pass" not in str(raised.value)
