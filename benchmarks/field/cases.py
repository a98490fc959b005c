"""What is soaked, chosen by what the packages' own advisories and changelogs say, before any of it was soaked.

A case is one small service on one package, in the release with the fault and in the one that mended it. `expected` is
what the fault would be called: any of these causes counts as told. What a request asks for never grows: a service whose
work grows by itself would grow in both releases.

`ujson`, `sqlparse`, `starlette` and `uvicorn` were changed after a first round that missed them, `hiredis`, `msgpack`,
`python-multipart` and `tornado` were added for the second; docs/field.md says what each was before, and why.
"""

from __future__ import annotations

from dataclasses import dataclass

_MEMORY = ("object_leak", "native_leak", "memory_growth")
_DEARER = ("cpu_regression", "latency_regression")
_NESTED = "select " + "(" * 250 + "1" + ")" * 250
_ESCAPED = r"\"" * 1000


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. `needs` are the other packages of the service, `requests` the mix of a scenario (YAML, flow style).

    `soak` is for a fault too slow for the length that is enough for the others.
    """

    name: str
    package: str
    faulty: str
    mended: str
    fault: str
    source: str
    expected: tuple[str, ...]
    requests: str
    rate: str = "100/s"
    needs: tuple[str, ...] = ("uvicorn==0.34.0",)
    soak: str = ""


CASES = (
    Case(
        "aiohttp",
        "aiohttp",
        "3.10.10",
        "3.10.11",
        "each request with a method that is not allowed leaves an entry in a cache, where there is a middleware",
        "CVE-2024-52303",
        _MEMORY,
        "[{name: browse, weight: 8, get: '/items/{random:1-5000}'},"
        " {name: wrong, weight: 2, put: /items/7, expect: [405]}]",
        needs=("yarl==1.17.1", "multidict==6.1.0"),
    ),
    Case(
        "multidict",
        "multidict",
        "6.3.1",
        "6.4.2",
        "new istr objects (names of headers) and updates of a mapping leak references",
        "changelog of 6.4.0, issues 1133 and 1135",
        _MEMORY,
        "[{name: browse, get: '/items/{random:1-5000}', headers: {X-Trace: '{uuid}'}}]",
    ),
    Case(
        "ujson",
        "ujson",
        "5.11.0",
        "5.12.0",
        "reading an integer beyond 64 bits leaks a copy of its digits",
        "CVE-2026-32874",
        _MEMORY,
        "[{name: order, weight: 4, post: /orders,"
        ' body: {text: \'{"id": 123456789012345678901234567890123456789012345678901234567890, "item": 7}\'}},'
        " {name: browse, weight: 1, post: /orders, json: {id: 7, item: 7}}]",
        soak="10m",
    ),
    Case(
        "orjson-default",
        "orjson",
        "3.9.0",
        "3.9.1",
        "an exception raised in `default` leaks with its chained traceback",
        "changelog of 3.9.1",
        _MEMORY,
        "[{name: browse, weight: 4, get: '/items/{random:1-5000}'}, {name: odd, weight: 1, get: /odd, expect: [422]}]",
    ),
    Case(
        "orjson-depth",
        "orjson",
        "3.9.14",
        "3.9.15",
        "reading nested documents recurses on the C stack without a limit",
        "CVE-2024-27454",
        ("stack_growth", "stack_exhaustion", "crash"),
        "[{name: read, weight: 4, get: /thread}, {name: reply, weight: 1, post: /thread, json: {depth: 40}}]",
        rate="50/s",
    ),
    Case(
        "sqlparse",
        "sqlparse",
        "0.4.4",
        "0.5.0",
        "nested brackets end in RecursionError instead of a parse error",
        "CVE-2024-4340",
        ("recursion_limit",),
        "[{name: plain, weight: 49, post: /format, body: {text: 'select a, b from c where d = {random:1-5000}'}},"
        f" {{name: nested, weight: 1, post: /format, body: {{text: '{_NESTED}'}}, expect: [400]}}]",
        rate="10/s",
    ),
    Case(
        "starlette",
        "starlette",
        "0.49.0",
        "0.49.1",
        "reading a Range header takes quadratic time in a run of digits",
        "CVE-2025-62727",
        _DEARER,
        "[{name: browse, weight: 4, get: /file},"
        f" {{name: resume, weight: 1, get: /file, headers: {{Range: 'bytes=0-9,{'0' * 1500}'}}, expect: [206]}}]",
        rate="40/s",
        needs=("uvicorn==0.34.0", "anyio==4.9.0"),
    ),
    Case(
        "uvicorn",
        "uvicorn",
        "0.15.0",
        "0.17.6",
        "connections that are opened and closed without a request (TCP checks of a load balancer) leak",
        "issue 1226",
        (*_MEMORY, "connection_leak", "fd_leak"),
        "[{name: browse, get: '/items/{random:1-5000}'}]",
        needs=("h11==0.12.0", "asgiref==3.8.1", "uvloop==0.17.0"),
    ),
    Case(
        "hiredis",
        "hiredis",
        "3.1.0",
        "3.1.1",
        "maps read by the protocol RESP3 leak their values",
        "release notes of 3.1.1, issue 175",
        _MEMORY,
        "[{name: browse, get: '/items/{random:1-5000}'}]",
    ),
    Case(
        "msgpack",
        "msgpack",
        "1.2.2",
        "1.2.3",
        "a map that is refused for its key leaks the value beside it",
        "CVE-2026-114613",
        _MEMORY,
        "[{name: event, weight: 1, post: /events}, {name: refused, weight: 1, post: /events/old, expect: [400]}]",
    ),
    Case(
        "python-multipart",
        "python-multipart",
        "0.0.17",
        "0.0.18",
        "each byte after the last boundary of a form is looked at and logged by itself",
        "CVE-2024-53981",
        _DEARER,
        "[{name: form, weight: 4, post: /items, multipart: {item: '7'}},"
        " {name: padded, weight: 1, post: /items, headers: {Content-Type: multipart/form-data; boundary=B},"
        r' body: {text: "--B\r\nContent-Disposition: form-data; name=\"item\"\r\n\r\n7\r\n--B--\r\n'
        f'{"x" * 300}"}}}}]',
        rate="40/s",
        needs=("uvicorn==0.34.0", "anyio==4.9.0", "starlette==0.41.3"),
    ),
    Case(
        "tornado",
        "tornado",
        "6.4.1",
        "6.4.2",
        "reading a cookie takes quadratic time in its escapes",
        "CVE-2024-52804",
        _DEARER,
        "[{name: browse, weight: 4, get: '/items/{random:1-5000}'},"
        f""" {{name: odd, weight: 1, get: /items/7, headers: {{Cookie: 'shop="{_ESCAPED}"'}}}}]""",
        rate="40/s",
        needs=(),
    ),
)
