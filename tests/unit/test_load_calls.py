from __future__ import annotations

import email
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest

from soak.core.load import Load
from soak.core.traffic import Capture
from soak.load.calls import Extract, Ready, Workshop
from soak.load.values import Values

VALUES = Values(4, 12345)


def ready(folder: Path = Path(), call: dict[str, Any] | None = None, **load: Any) -> Ready:
    made = Load.model_validate({"rate": "1/s", "requests": [{"post": "/"} | (call or {})]} | load)
    assert made.requests is not None
    return Workshop(made, folder).call(made.requests[0])


def sent(call: Ready) -> tuple[dict[str, str], bytes]:
    return call.headers(VALUES), call.body(VALUES) or b""


FEEDS = {"n": {"sequence": 10}, "w": {"choose": ["ä b&c"]}}


def test_json_form_and_raw_bodies_say_what_they_are():
    headers, body = sent(ready(call={"json": {"id": "{n}", "w": "{w}"}}, feeds=FEEDS))
    assert (headers["Content-Type"], json.loads(body)) == ("application/json", {"id": 14, "w": "ä b&c"})
    headers, body = sent(ready(call={"form": {"id": "{n}", "w": "{w}"}}, feeds=FEEDS))
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(body.decode()) == {"id": ["14"], "w": ["ä b&c"]}
    headers, body = sent(ready(call={"body": '{"a": {n}}', "headers": {"content-type": "text/x"}}, feeds=FEEDS))
    assert (headers, body) == ({"content-type": "text/x"}, b'{"a": 14}')
    assert sent(ready()) == ({}, b"")


def test_a_multipart_form_is_read_by_any_parser(tmp_path):
    (tmp_path / "cat.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    parts = {
        "title": "no {n}",
        "image": {"file": "cat.png"},
        "note": {"content": "hi", "name": "n.txt", "type": "text/plain"},
    }
    headers, body = sent(ready(tmp_path, call={"multipart": parts}, feeds=FEEDS))
    message = email.message_from_bytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    found = {
        str(p.get_param("name", header="content-disposition")): (
            p.get_filename(),
            p.get_content_type(),
            p.get_payload(decode=True),
        )
        for p in message.get_payload()
    }
    assert found["title"][2] == b"no 14"
    assert found["image"] == ("cat.png", "image/png", b"\x89PNG\r\n\x1a\n")
    assert found["note"] == ("n.txt", "text/plain", b"hi")


def test_a_body_may_be_a_file(tmp_path):
    (tmp_path / "b").write_bytes(b"\0\1")
    assert sent(ready(tmp_path, call={"body": {"file": "b"}}))[1] == b"\0\1"


def test_who_asks_is_said_on_every_request_and_a_request_may_say_otherwise(monkeypatch):
    monkeypatch.setenv("SOAK_TEST_TOKEN", "t0k\r\nX-Evil: 1")
    bearer = {"auth": {"bearer": "${SOAK_TEST_TOKEN}"}, "headers": {"Accept": "a/b"}}
    assert sent(ready(**bearer))[0] == {"Accept": "a/b", "Authorization": "Bearer t0k  X-Evil: 1"}
    assert sent(ready(call={"headers": {"accept": "c/d", "authorization": "no"}}, **bearer))[0] == {
        "accept": "c/d", "authorization": "no",
    }  # fmt: skip
    basic = {"auth": {"basic": {"user": "Aladdin", "password": "open sesame"}}}
    assert sent(ready(**basic))[0]["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617, section 2


ANSWER = SimpleNamespace(text='{"a": [{"id": 7}], "t": "x=42;"}', headers={"Location": "/at/9"})


@pytest.mark.parametrize(
    "capture, value",
    [
        ({"jsonpath": "$.a[0].id"}, 7),
        ({"jsonpath": "$.b"}, None),
        ({"regex": r"x=(\d+)"}, "42"),
        ({"regex": r"x=\d+"}, "x=42"),
        ({"regex": "y"}, None),
        ({"header": "Location"}, "/at/9"),
        ({"header": "Nothing"}, None),
    ],
)
def test_values_are_taken_from_an_answer(capture, value):
    assert Extract(Capture.model_validate(capture))(ANSWER) == value


def test_an_answer_that_is_no_json_has_no_values():
    assert Extract(Capture(jsonpath="$.a"))(SimpleNamespace(text="<html>", headers={})) is None
