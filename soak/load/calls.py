"""Requests ready to be made: whatever does not change from one arrival to the next is made once."""

from __future__ import annotations

import json
import mimetypes
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jsonpath
from urllib3.filepost import encode_multipart_formdata

from soak.core.errors import LoadError
from soak.core.load import Load
from soak.core.traffic import Call, Capture, FilePart, Request, Step
from soak.load.values import Filler, Values

Made = Callable[[Values], Any]
_BOUNDARY = "soak-4a1f0c5e9b7d2836"
"""One for all: the bodies of equal forms are then equal, and are made once."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A request of the scenario, compiled. `headers` and `body` are None when there are none."""

    method: str
    endpoint: str
    path: Callable[[Values], str]
    headers: Callable[[Values], dict[str, str]]
    body: Callable[[Values], bytes | None]
    expect: frozenset[int] | None
    captures: tuple[tuple[str, Extract], ...]


class Extract:
    """Takes one value out of a response. Gives None when it is not there."""

    def __init__(self, capture: Capture) -> None:
        self._header = capture.header
        self._regex = re.compile(capture.regex) if capture.regex is not None else None
        self._jsonpath = jsonpath.compile(capture.jsonpath) if capture.jsonpath is not None else None

    def __call__(self, response: Any) -> object | None:
        """The value in a response of Locust's fast client."""
        if self._header is not None:
            value: object = response.headers.get(self._header)
            return value[0] if isinstance(value, list) else value
        text = response.text or ""
        if self._regex is not None:
            match = self._regex.search(text)
            return None if match is None else match[1] if match.re.groups else match[0]
        assert self._jsonpath is not None
        try:
            found = self._jsonpath.match(json.loads(text))
        except ValueError:
            return None
        return None if found is None else found.value


class Workshop:
    """Compiles the calls of one scenario. Raises LoadError when a file or variable that it needs is not there."""

    def __init__(self, load: Load, folder: Path) -> None:
        self.fill = Filler(load.feeds, folder)
        self._folder = folder
        self._headers: dict[str, str | Made] = {}
        for name, value in load.headers.items():
            self._headers[name] = self.fill.text(value, _one_line)
        if load.auth is not None and load.auth.bearer is not None:
            self._headers["Authorization"] = self.fill.text(f"Bearer {load.auth.bearer}", _one_line)
        if load.auth is not None and load.auth.basic is not None:
            user, password = self.fill.text(load.auth.basic.user), self.fill.text(load.auth.basic.password)
            self._headers["Authorization"] = _settle(_basic, user, password)
        self.cookies = {name: self.fill.text(value, _one_line) for name, value in load.cookies.items()}

    def call(self, call: Request | Step) -> Ready:
        """One request, compiled."""
        body, media = self._body(call)
        headers = dict(self._headers)
        if media is not None:
            _put(headers, "Content-Type", media)
        for name, value in call.headers.items():
            _put(headers, name, self.fill.text(value, _one_line))
        captures = call.capture if isinstance(call, Step) else {}
        return Ready(
            method=call.method,
            endpoint=call.endpoint,
            path=_made(self.fill.path(call.path)),
            headers=_made(_settled_dict(headers)),
            body=_made(body),
            expect=frozenset(call.expect) if call.expect else None,
            captures=tuple((name, Extract(capture)) for name, capture in captures.items()),
        )

    def _body(self, call: Call) -> tuple[bytes | Made | None, str | None]:
        """The body or what makes it, and its media type."""
        if call.json_body is not None:
            return _settle(_json, self.fill.data(call.json_body)), "application/json"
        if call.form is not None:
            return _settle(_form, self.fill.data(call.form)), "application/x-www-form-urlencoded"
        if call.multipart is not None:
            parts = {name: self._part(part) for name, part in call.multipart.items()}
            return _settle(_multipart, _settled_dict(parts)), f"multipart/form-data; boundary={_BOUNDARY}"
        if call.body is not None and call.body.file is not None:
            return self._read(call.body.file), None
        if call.body is not None:
            return _settle(str.encode, self.fill.text(call.body.text or "")), None
        return None, None

    def _part(self, part: FilePart) -> Any:
        """A field of a multipart form as urllib3 takes it: text, or (file name, bytes, media type)."""
        content = self._read(part.file) if part.file is not None else self.fill.text(part.content or "")
        name = part.name or (Path(part.file).name if part.file else None)
        if name is None and part.type is None:
            return content
        media = part.type or mimetypes.guess_type(name or "")[0] or "application/octet-stream"
        return _settle(lambda made: (name, made, media), content)

    def _read(self, file: str) -> bytes:
        try:
            return (self._folder / file).read_bytes()
        except OSError as error:
            raise LoadError(f"{file}: cannot be read: {error.strerror}") from None


def _json(data: object) -> bytes:
    return json.dumps(data).encode()


def _form(data: Mapping[str, object]) -> bytes:
    return urlencode(data).encode()


def _multipart(parts: Mapping[str, Any]) -> bytes:
    body: bytes = encode_multipart_formdata(parts, _BOUNDARY)[0]
    return body


def _basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _one_line(value: str) -> str:
    """What is filled into a header must not begin another one."""
    return value.replace("\r", " ").replace("\n", " ")


def _put(headers: dict[str, str | Made], name: str, value: str | Made) -> None:
    """Set a header, in place of one of the same name in any case."""
    for known in [k for k in headers if k.lower() == name.lower()]:
        del headers[known]
    headers[name] = value


def _settle(make: Callable[..., Any], *parts: Any) -> Any:
    """`make` of the parts: made now if none of them changes, else a function that makes it."""
    if not any(callable(part) for part in parts):
        return make(*parts)
    return lambda values: make(*(part(values) if callable(part) else part for part in parts))


def _settled_dict(parts: dict[str, Any]) -> Any:
    return _settle(lambda *made: dict(zip(parts, made, strict=True)), *parts.values())


def _made(part: Any) -> Made:
    """A function of the arrival, for what may be a constant."""
    return part if callable(part) else lambda _values: part
