"""What is soaked, chosen by what the packages' own advisories and changelogs say, before any of it was soaked.

A case is one small service on one package, in the release with the fault and in the one that mended it. `expected` is
what the fault would be called: any of these causes counts as told.
"""

from __future__ import annotations

from dataclasses import dataclass

_MEMORY = ("object_leak", "native_leak", "memory_growth")


@dataclass(frozen=True, slots=True)
class Case:
    """One fault. `needs` are the other packages of the service, `requests` the mix of a scenario (YAML, flow style)."""

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
        "[{name: order, weight: 1, post: /orders,"
        ' body: {text: \'{"id": 123456789012345678901234567890123456789012345678901234567890, "item": 7}\'}},'
        " {name: browse, weight: 4, post: /orders, json: {id: 7, item: 7}}]",
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
        ("recursion_limit", "stack_growth"),
        "[{name: read, weight: 4, get: /query}, {name: nest, weight: 1, post: /query, json: {depth: 1}}]",
        rate="20/s",
    ),
    Case(
        "starlette",
        "starlette",
        "0.49.0",
        "0.49.1",
        "merging the ranges of a Range header takes quadratic time",
        "CVE-2025-62727",
        ("latency_drift", "superlinear_cost", "cpu_drift"),
        "[{name: browse, weight: 4, get: /file}, {name: resume, weight: 1, get: /resumed, expect: [206]}]",
        rate="40/s",
        needs=("uvicorn==0.34.0", "anyio==4.9.0"),
    ),
    Case(
        "uvicorn",
        "uvicorn",
        "0.15.0",
        "0.17.6",
        "connections that are opened and closed without a request (TCP checks of a load balancer) leak",
        "changelog of 0.17.2, issue 1226",
        (*_MEMORY, "connection_leak", "fd_leak"),
        "[{name: browse, get: '/items/{random:1-5000}'}]",
        needs=("h11==0.12.0", "asgiref==3.8.1"),
    ),
)
