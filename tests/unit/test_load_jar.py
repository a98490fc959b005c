"""The jar behaves as Python's own: it only does less while it is empty."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from urllib.request import Request

import pytest

from soak.load.jar import Jar


class Response:
    def __init__(self, *cookies: str) -> None:
        self._headers = Message()
        for cookie in cookies:
            self._headers["Set-Cookie"] = cookie

    def info(self) -> Message:
        return self._headers


def sent(jar: CookieJar, url: str) -> str | None:
    request = Request(url)
    jar.add_cookie_header(request)
    return request.get_header("Cookie")


@pytest.mark.parametrize("clear", [(), ("shop.test",), ("shop.test", "/"), ("shop.test", "/", "id")])
def test_it_sends_keeps_and_forgets_what_pythons_own_jar_does(clear: tuple[str, ...]) -> None:
    seen: dict[type[CookieJar], list[Any]] = {}
    for kind in (CookieJar, Jar):
        jar = kind()
        log = seen.setdefault(kind, [])
        for cookies in ((), ("id=1; Path=/", "lang=en; Path=/shop"), (), ("id=; Max-Age=0; Path=/",)):
            log.append(sent(jar, "http://shop.test/shop/cart"))
            jar.extract_cookies(Response(*cookies), Request("http://shop.test/shop/cart"))  # type: ignore[arg-type]
            log.append(sorted((c.name, c.value, c.path) for c in jar))
        jar.extract_cookies(Response("id=2; Path=/"), Request("http://shop.test/"))  # type: ignore[arg-type]
        jar.clear(*clear)
        log.append(sent(jar, "http://shop.test/shop/cart"))
    assert seen[Jar] == seen[CookieJar]
    assert "id=1; Path=/".partition(";")[0] in str(seen[Jar])
