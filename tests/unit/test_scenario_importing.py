"""Scenarios made from logs, archives and API documents: what was seen is what would be sent."""

from __future__ import annotations

import gzip
import json
import math
import random
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from soak.cli import main
from soak.core.errors import ScenarioError
from soak.scenario import Loaded, from_access_logs, from_har, from_openapi, loads
from soak.scenario.importing.access_log import _parse
from soak.scenario.importing.compose import Import, compose
from soak.scenario.importing.seen import MAX_ENDPOINTS, Seen

URL = "http://127.0.0.1:8000"


def line(request: str, status: int = 200, at: float = 1_700_000_000) -> str:
    stamp = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
    return f'10.0.0.1 - - [{stamp}] "{request}" {status} 12 "-" "Mozilla \\"x\\""\n'


def imported(text: str, folder: Path = Path()) -> Loaded:
    return loads(text, "imported.yaml", folder)


def paths(loaded: Loaded) -> dict[str, float]:
    return {f"{r.method} {r.path}": r.weight for r in loaded.scenario.load.requests or []}


def logged(tmp_path: Path, lines: list[str]) -> Loaded:
    file = tmp_path / "access.log"
    file.write_text("".join(lines))
    return imported(from_access_logs([file], URL))


def test_ids_become_placeholders_and_weights_are_as_seen(tmp_path):
    lines = [line(f"GET /items/{i} HTTP/1.1", at=1_700_000_000 + i) for i in range(1, 61)]
    lines += [
        line(f"GET /users/{name}{name}/orders HTTP/2.0") for name in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
    ]
    lines += [line("POST /cart?b=2&a=x HTTP/1.1", 201)] * 12
    made = logged(tmp_path, lines)
    found = paths(made)
    assert found["GET /items/{random:1-60}"] == pytest.approx(50, abs=1)
    assert found["POST /cart?a=x&b=2"] == pytest.approx(10, abs=1)
    assert found["GET /users/{users}/orders"] == pytest.approx(40, abs=1)
    assert 40 <= len(made.scenario.load.feeds["users"].choose or []) <= 50
    assert made.scenario.load.rate == pytest.approx(120 / 60, rel=0.05)


def test_errors_that_were_seen_stay_in_the_mix(tmp_path):
    lines = [line("PUT /cart HTTP/1.1", 405)] * 5 + [line("GET /a HTTP/1.1")] * 90 + [line("GET /a HTTP/1.1", 404)] * 5
    expected = {r.endpoint: r.expect for r in logged(tmp_path, lines).scenario.load.requests or []}
    assert expected == {"GET /a": [200, 404], "PUT /cart": [405]}


def test_lines_that_are_no_requests_are_told_and_passed_over(tmp_path):
    lines = [line("\\x16\\x03\\x01", 400), "nonsense\n", line("-", 400), line("GET http://h.example/x?y=1 HTTP/1.1")]
    made = logged(tmp_path, lines)
    assert list(paths(made)) == ["GET /x?y=1"]
    assert "3 lines are not requests" in made.text
    with pytest.raises(ScenarioError, match="no line is one of an access log"):
        logged(tmp_path, ["nonsense\n"])


@given(st.text(max_size=80) | st.text('[]" 0aGET/:+', max_size=80))
def test_no_line_is_fatal(text):
    _parse(text)


def test_a_day_is_fitted_and_noise_is_not(tmp_path):
    rng = random.Random(1)
    lines, t = [], 0.0
    while t < 86_400:
        t += rng.expovariate(0.2 * (1 + 0.6 * math.cos(2 * math.pi * (t - 64_800) / 86_400)))
        lines.append(line("GET / HTTP/1.1", at=1_700_006_400 + t))  # from midnight UTC
    pattern = logged(tmp_path, lines).scenario.load.pattern
    assert pattern is not None
    assert pattern.peak == pytest.approx(0.2 * 1.6, rel=0.1)
    flat = [line("GET / HTTP/1.1", at=1_700_006_400 + rng.uniform(0, 86_400)) for _ in range(8_000)]
    assert logged(tmp_path, flat).scenario.load.pattern is None


def test_a_packed_log_becomes_a_trace_that_can_be_played(tmp_path):
    with gzip.open(tmp_path / "a.log.gz", "wt") as file:
        file.writelines(line("GET / HTTP/1.1", at=1_700_000_000 + t) for t in (0, 2, 1, 5))
    trace = tmp_path / "trace.txt"
    from_access_logs([tmp_path / "a.log.gz"], URL, trace)
    assert [float(x) for x in trace.read_text().split()] == [0, 1, 2, 5]


def test_logs_are_one_trace_in_whatever_order_they_are_given(tmp_path):
    older, newer = tmp_path / "access.log.1", tmp_path / "access.log"
    older.write_text("".join(line("GET / HTTP/1.1", at=1_700_000_000 + t) for t in (0, 5)))
    newer.write_text("".join(line("GET / HTTP/1.1", at=1_700_000_000 + t) for t in (8, 9, 9)))
    from_access_logs([newer, older], URL, tmp_path / "trace.txt")
    assert [float(x) for x in (tmp_path / "trace.txt").read_text().split()] == [0, 5, 8, 9, 9]
    newer.write_text("nonsense\n")
    with pytest.raises(ScenarioError):
        from_access_logs([newer], URL, tmp_path / "other.txt")
    assert not (tmp_path / "other.txt").exists()


def test_memory_stays_flat_however_many_ids_there_are():
    seen = Seen()

    def feed(count: int, start: int) -> None:
        for i in range(start, start + count):
            seen.add("GET", f"/{i % 7}x/name-{chr(97 + i % 26)}{'abcdefghij'[i % 10]}{i}-z/q{i}?id={i}&s=v{i}", 200)

    feed(20_000, 0)
    tracemalloc.start()
    feed(20_000, 20_000)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 2_000_000
    assert len(seen.endpoints) <= MAX_ENDPOINTS


segment = st.text("abc019-{}$%é ", min_size=1, max_size=9)


@given(
    st.lists(
        st.tuples(st.lists(segment, max_size=4), st.dictionaries(segment, segment, max_size=2)), min_size=1, max_size=80
    )
)
def test_whatever_was_seen_makes_a_scenario_that_loads(asked):
    seen = Seen()
    for segments, query in asked:
        seen.add("GET", "/" + "/".join(quote(s, safe="") for s in segments) + "?" + urlencode(query), 200)
    made = imported(compose(Import("test", URL, 1.0), seen))
    assert sum(r.weight for r in made.scenario.load.requests or []) == pytest.approx(100, rel=0.05)


def har(tmp_path: Path, *entries: dict) -> Path:
    path = tmp_path / "x.har"
    path.write_text(json.dumps({"log": {"entries": list(entries)}}))
    return path


def entry(method: str, url: str, status: int = 200, posted: dict | None = None, **headers: str) -> dict:
    asked = {"method": method, "url": url, "headers": [{"name": k, "value": v} for k, v in headers.items()]}
    return {
        "startedDateTime": "2026-01-01T00:00:00.000Z",
        "request": asked | ({"postData": posted} if posted else {}),
        "response": {"status": status},
    }


FORM = {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "u", "value": "{me}"}]}


def test_an_archive_keeps_bodies_and_leaves_out_secrets_and_other_hosts(tmp_path):
    shop = "https://shop.example"
    path = har(
        tmp_path,
        entry("GET", f"{shop}/items/7", Authorization="Bearer s3cret", Cookie="sid=s3cret", Accept="text/html"),
        entry("POST", f"{shop}/cart", 201, {"mimeType": "application/json", "text": '{"item": 7, "t": "{x}"}'}),
        entry("POST", f"{shop}/login", 302, FORM),
        entry("GET", f"{shop}/logo.png"),
        entry("GET", "https://cdn.example/lib.js"),
    )  # fmt: skip
    text = from_har(path, assets=False)
    made = imported(text)
    assert made.scenario.target.url == shop
    assert list(paths(made)) == ["GET /items/7", "POST /cart", "POST /login"]
    assert "s3cret" not in text
    assert "1 requests to other hosts" in text
    by_path = {r.path: r for r in made.scenario.load.requests or []}
    assert by_path["/cart"].json_body == {"item": 7, "t": "{{x}}"}
    assert by_path["/login"].form == {"u": "{{me}}"}
    assert by_path["/items/7"].headers == {"Accept": "text/html"}
    assert made.scenario.load.auth is not None
    for wrong in ("{}", "[1]", "x", '{"log": {"entries": []}}', '{"log": {"entries": [{"request": 1}]}}'):
        path.write_text(wrong)
        with pytest.raises(ScenarioError):
            from_har(path)


API = """
openapi: 3.1.0
servers: [{url: "http://127.0.0.1:9000/v1"}]
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Key}, token: {type: http, scheme: bearer}}
  schemas:
    Pet:
      type: object
      required: [name, tags]
      properties:
        name: {type: string, example: rex}
        tags: {type: array, items: {type: string, enum: [a, b]}}
        age: {type: integer}
paths:
  /pets:
    get:
      parameters: [{in: query, name: limit, required: true, schema: {type: integer, minimum: 1, maximum: 9}}]
      responses: {"200": {}}
    post:
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/Pet"}}}}
      responses: {"201": {}}
  /pets/{id}:
    parameters: [{in: path, name: id, required: true, schema: {type: integer}}]
    get: {responses: {"200": {}}}
    delete: {responses: {"204": {}}}
"""


def test_operations_of_an_api_become_requests(tmp_path):
    (tmp_path / "api.yaml").write_text(API)
    made = imported(from_openapi(tmp_path / "api.yaml"))
    assert made.scenario.target.url == "http://127.0.0.1:9000"
    weights = paths(made)
    assert set(weights) == {
        "GET /v1/pets?limit={random:1-9}",
        "POST /v1/pets",
        "GET /v1/pets/{random:1-1000}",
        "DELETE /v1/pets/{random:1-1000}",
    }
    assert weights["GET /v1/pets/{random:1-1000}"] == pytest.approx(8 * weights["POST /v1/pets"], rel=0.01)
    (post,) = [r for r in made.scenario.load.requests or [] if r.method == "POST"]
    assert post.json_body == {"name": "rex", "tags": ["a"]}
    assert made.scenario.load.headers == {"X-Key": "${API_KEY}"}
    assert made.scenario.load.auth is not None
    for wrong in ("swagger: '2.0'", "[", "openapi: 3.0.0", "openapi: 3.0.0\npaths: {}"):
        (tmp_path / "api.yaml").write_text(wrong)
        with pytest.raises(ScenarioError):
            from_openapi(tmp_path / "api.yaml")


def test_init_writes_what_was_imported_and_never_over_a_file(tmp_path):
    (tmp_path / "a.log").write_text(line("GET / HTTP/1.1") * 3)
    out = tmp_path / "s.yaml"
    arguments = ["init", "--from-access-log", str(tmp_path / "a.log"), "--url", "http://127.0.0.1:1234", str(out)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert yaml.safe_load(out.read_text())["target"]["url"] == "http://127.0.0.1:1234"
    assert CliRunner().invoke(main, arguments).exit_code == 2
    both = CliRunner().invoke(main, ["init", "--from-har", "x", "--from-openapi", "y", str(tmp_path / "n.yaml")])
    assert both.exit_code == 2
    gone = CliRunner().invoke(main, ["init", "--from-har", str(tmp_path / "gone.har"), str(tmp_path / "n.yaml")])
    assert (gone.exit_code, "cannot be read" in gone.output) == (2, True)


def test_secrets_in_addresses_and_bodies_never_reach_the_file(tmp_path):
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2VjcmV0"
    lines = [line(f"GET /a?token=hunter{i}&page={i} HTTP/1.1") for i in range(3)]
    lines += [line("GET /reset/9f8e7d6c5b4a39281706 HTTP/1.1"), line(f"GET /cb?x={jwt} HTTP/1.1")]
    text = logged(tmp_path, lines).text
    shop, form = "https://shop.example", "application/x-www-form-urlencoded"
    login = {"mimeType": "application/json", "text": '{"password": "hunter3", "a": [{"pin_token": "hunter4"}]}'}
    path = har(
        tmp_path,
        entry("GET", "https://me:hunter0@shop.example/?api_key=hunter1", **{"X-Api-Key": "hunter2"}),
        entry("POST", f"{shop}/login", 200, login),
        entry("POST", f"{shop}/f", 200, {"mimeType": form, "text": "user=me&pwd=hunter5"}),
        entry("POST", f"{shop}/g", 200, {"mimeType": "text/plain", "text": "password: hunter6"}),
        entry("GET", f"{shop}/h", Authorization="Basic aHVudGVyNw=="),
    )
    text += from_har(path)
    assert not [word for word in ("hunter", "9f8e", "eyJ", "aHVudGVy") if word in text]
    assert "left-out" in text
    assert "${API_KEY}" in text


anything: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def spoiled(draw: st.DrawFn, whole: object) -> object:
    """The document with something else at one of its places."""
    at, path = whole, []
    while isinstance(at, (dict, list)) and at and draw(st.integers(0, 9)):
        path.append(draw(st.sampled_from(sorted(at) if isinstance(at, dict) else range(len(at)))))
        at = at[path[-1]]  # type: ignore[index]
    copy = json.loads(json.dumps(whole))
    if not path:
        return draw(anything)
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = draw(anything)
    return copy


HAR = {
    "log": {
        "entries": [
            entry("GET", f"{URL}/items/7?q=1", Authorization="Bearer x", Accept="text/html"),
            entry("POST", f"{URL}/cart", 201, {"mimeType": "application/json", "text": '{"item": 7}'}),
            entry("POST", f"{URL}/login", 302, FORM),
        ]
    }
}


@st.composite
def archives(draw: st.DrawFn) -> object:
    return spoiled(draw, HAR)


@st.composite
def documents(draw: st.DrawFn) -> object:
    return spoiled(draw, yaml.safe_load(API))


@given(archives())
def test_any_archive_gives_a_scenario_that_loads_or_a_clear_error(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.har"
    path.write_text(json.dumps(document))
    _loads_or_refuses(lambda: from_har(path))


@given(documents())
def test_any_api_document_gives_a_scenario_that_loads_or_a_clear_error(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document))
    _loads_or_refuses(lambda: from_openapi(path))


def _loads_or_refuses(made: Callable[[], str]) -> None:
    try:
        text = made()
    except ScenarioError:
        return
    imported(text)


def test_schemas_without_end_and_examples_by_name(tmp_path):
    node = {"type": "object", "properties": {k: {"$ref": "#/components/schemas/N"} for k in "abcdefgh"}}
    shown = {"parameters": [{"in": "path", "name": "x", "examples": {"one": {"value": "seven"}}}]}
    body = {"content": {"application/json; charset=utf-8": {"schema": {"$ref": "#/components/schemas/N"}}}}
    document = {
        "openapi": "3.0.3",
        "servers": [{"url": "https://{e}.example/v{n}", "variables": {"e": {"default": "dev"}, "n": {"default": 2}}}],
        "components": {"schemas": {"N": node}},
        "paths": {"/f/{x}.json": {"get": shown}, "/n": {"post": {"requestBody": body}}, "/t/{x}": {"get": shown}},
    }  # fmt: skip
    (tmp_path / "api.json").write_text(json.dumps(document))
    text = from_openapi(tmp_path / "api.json")
    made = imported(text)
    assert made.scenario.target.url == "https://dev.example"
    assert set(paths(made)) == {"GET /v2/f/seven.json", "POST /v2/n", "GET /v2/t/seven"}
    assert len(text) < 20_000
