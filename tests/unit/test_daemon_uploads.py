"""Scenarios that callers bring along, as an attacker would write them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from soak.core.errors import ScenarioError, SoakError
from soak.daemon import uploads
from soak.daemon.uploads import _ALLOWED, Uploads
from soak.scenario import json_schema

PLAIN = """
name: shop
target: {url: "http://127.0.0.1:8000", port: 8000, scrape: {prometheus: "http://127.0.0.1:8000/metrics"}}
load:
  rate: 20/s
  headers: {Accept: text/html, Authorization: Bearer abc}
  feeds: {who: {choose: [{id: 1}, 2]}, n: {sequence: 5}}
  requests:
    - {name: browse, get: "/items/{random:1-9}?n={n}"}
    - {name: buy, post: /cart, json: {deep: [{of: anything}]}, expect: [200]}
    - {name: send, post: /raw, body: plain, headers: {X-Any: a}}
    - {name: form, post: /form, multipart: {a: text, b: {content: x, name: b.txt, type: text/plain}}}
  journeys:
    - name: visit
      steps:
        - {get: /a, capture: {token: {jsonpath: $.token}}}
        - {think: {lognormal: {median: 1s, sigma: 0.5}}}
        - {think: 2s}
        - {post: /b, form: {token: "{token}"}}
reference: {url: "http://[::1]:8001"}
phases: {warmup: 1s, soak: 10s, burst: {times: 2, for: 2s, recovery: 10s}}
probe: {every: 1s, allocations: {every: 30s}}
criteria: [{metric: latency.p99, endpoint: browse, below: 50ms}, {metric: latency.p99, ratio_below: 1.1}]
cost: {rate: 100/s, instances: 3, price: 0.05 USD/core-hour}
"""


@pytest.fixture
def kept(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", ("shop.staging", "eyes.staging:9645", "10.9.9.9:80"), ("127.0.0.1", 9646))


def changed(*keys: str | int, to: Any) -> bytes:
    """The plain scenario with another value at one place."""
    data = yaml.safe_load(PLAIN)
    place = data
    for key in keys[:-1]:
        place = place.setdefault(key, {}) if isinstance(place, dict) else place[key]
    place[keys[-1]] = to
    return yaml.safe_dump(data).encode()


def test_what_does_no_harm_is_kept_under_its_digest_and_found_again(kept: Uploads, tmp_path: Path) -> None:
    name, scenario = kept.keep(PLAIN.encode(), ())
    assert name.startswith("sha256:")
    assert scenario.name == "shop"
    found = kept.find(name)
    assert found is not None
    assert found[0] == tmp_path / "uploads" / f"{name.removeprefix('sha256:')}.yaml"
    assert kept.keep(PLAIN.encode(), ())[0] == name
    assert kept.find("sha256:../../etc/passwd") is None
    assert kept.find("sha256:" + "0" * 64) is None
    assert (tmp_path / "uploads").stat().st_mode & 0o077 == 0


HARM: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("target", "process"), {"command": "id"}, "target.process"),
    (("target", "process"), None, "target.process"),
    (("reference", "process"), {"command": "id"}, "reference.process"),
    (("reference",), {"run": "/etc/passwd"}, "reference.run"),
    (("target", "pid"), 1, "target.pid"),
    (("target", "name"), "sshd", "target.name"),
    (("target", "port"), 22, "target.port"),
    (("target", "artefact"), "/etc/shadow", "target.artefact"),
    (("target", "tls"), {"ca": "/etc/passwd"}, "target.tls.ca"),
    (("target", "tls"), {"cert": "a", "key": "b"}, "target.tls.cert"),
    (("target",), {"url": "http://127.0.0.1:8000", "observer": "https://evil.example:9645"}, "target.observer"),
    (("target",), {"url": "http://127.0.0.1:8000", "observer": "https://shop.staging:9645"}, "target.observer"),
    (("target", "observer"), {"url": "https://eyes.staging:9645", "token": "${AWS}"}, "target.observer.token"),
    (("target", "observer"), {"url": "https://eyes.staging:9645", "ca": "x"}, "target.observer.ca"),
    (("target", "scrape"), {"prometheus": "http://169.254.169.254/latest"}, "target.scrape"),
    (("target", "scrape"), {"redis": "10.0.0.1:6379"}, "target.scrape"),
    (("target", "scrape"), {"redis": "127.0.0.1:6379", "password": "${X}"}, "target.scrape.password"),
    (("target", "url"), "http://192.0.2.1", "target.url"),
    (("target", "url"), "http://10.9.9.9:8080", "target.url"),
    (("target", "url"), "http://localhost.evil.example", "target.url"),
    (("target", "url"), "http://0.0.0.0:22", "target.url"),
    (("target", "url"), "http://127.0.0.1:9646", "target.url"),
    (("target", "url"), "http://127.0.0.1@evil.example", "target"),
    (("reference", "url"), "http://evil.example", "reference.url"),
    (("load", "locustfile"), "x.py::Y", "load.locustfile"),
    (("load", "pattern"), {"kind": "trace", "file": "/etc/passwd"}, "load.pattern.file"),
    (("load", "feeds", "who"), {"csv": "/etc/passwd"}, "load.feeds.who.csv"),
    (("load", "feeds", "json"), {"jsonl": "/etc/passwd"}, "load.feeds.json.jsonl"),
    (("load", "requests", 2, "body"), {"file": "/etc/passwd"}, "load.requests[2].body.file"),
    (("load", "requests", 3, "multipart", "json"), {"file": "/etc/passwd"}, "multipart.json.file"),
    (("load", "headers", "X"), "a${HOME}", "load.headers.X"),
    (("load", "headers", "Host"), "inner.example", "load.headers.Host"),
    (("load", "requests", 0, "headers"), {"transfer-encoding": "chunked"}, "headers.transfer-encoding"),
    (("load", "cookies"), {"a": "${HOME}"}, "load.cookies.a"),
    (("load", "auth"), {"bearer": "${TOKEN}"}, "load.auth.bearer"),
    (("load", "requests", 0, "get"), "/${HOME}", "load.requests[0].get"),
    (("load", "requests", 1, "json"), {"a": [{"b": "${HOME}"}]}, "load.requests[1].json.a[0].b"),
    (("load", "requests", 1, "json"), {"${HOME}": 1}, "load.requests[1].json"),
    (("load", "feeds", "who", "choose"), ["${HOME}"], "load.feeds.who.choose[0]"),
    (("load", "journeys", 0, "steps", 3, "form", "token"), "${HOME}", "form.token"),
    (("load", "requests", 0, "get"), "/a HTTP/1.1\r\nHost: inner.example\r\n\r\nGET /b", "load.requests[0].get"),
    (("load", "requests", 0, "name"), "a\n2026-01-01T00:00:00Z INFO run 1: ended", "load.requests[0].name"),
    (("load", "journeys", 0, "name"), "a\r\nb", "load.journeys[0].name"),
    (("load", "cookies"), {"a\r\nHost: inner.example": "b"}, "load.cookies"),
    (("load", "requests", 2, "headers"), {"X-Any": "a\r\nHost: inner.example"}, "load.requests[2].headers"),
    (("name",), "shop\n", "name"),
    (("load", "workers"), 64, "load.workers"),
    (("probe", "attach"), "gdb", "probe.attach"),
    (("probe", "trim"), True, "probe.trim"),
    (("alerts",), [{"webhook": "http://evil.example"}], "alerts"),
    (("load.locustfile",), "x.py::Y", "load.locustfile"),
]  # fmt: skip


@pytest.mark.parametrize("keys,value,named", HARM, ids=[h[2] + str(i) for i, h in enumerate(HARM)])
def test_what_could_do_harm_is_refused_by_its_key_and_not_kept(
    kept: Uploads, tmp_path: Path, keys: tuple[str | int, ...], value: Any, named: str
) -> None:
    with pytest.raises(ScenarioError) as refused:
        kept.keep(changed(*keys, to=value), ())
    assert named in str(refused.value)
    assert "passwd" not in str(refused.value).replace(named, ""), "whether a file is there is not told"
    assert not (tmp_path / "uploads").exists()


def test_an_observer_and_a_target_that_the_admin_named_are_taken(kept: Uploads) -> None:
    data = yaml.safe_load(PLAIN)
    data["target"] = {"url": "https://shop.staging", "tls": {"verify": False}, "observer": "https://eyes.staging:9645"}
    data["reference"] = {"url": "http://10.9.9.9"}
    name, _ = kept.keep(yaml.safe_dump(data).encode(), ())
    assert kept.find(name) is not None


def test_a_merge_key_brings_nothing_past_the_list_and_no_alias_is_followed(kept: Uploads) -> None:
    text = PLAIN.replace("target: {", "target: {<<: {process: {command: id}}, ")
    with pytest.raises(ScenarioError, match=r"target\.process"):
        kept.keep(text.encode(), ())
    bomb = PLAIN.replace("of: anything", f"a: &a {'x' * 20_000}, b: [{'*a, ' * 8_000}]")
    with pytest.raises(ScenarioError, match="an alias may not be in it"):
        kept.keep(bomb.encode(), ())


BOUNDED = {"max_rate": 48.0, "max_duration": 42.0}
"""What the plain scenario asks for: a burst of 40 arrivals/s, one in five a journey of two requests; 41.5 s."""


@pytest.mark.parametrize(
    "keys,value,named,why",
    [
        (("load", "rate"), "20.1/s", "load", "it asks for up to 48.2/s of requests; this daemon grants 48/s"),
        (("load", "rate"), "1200.1/m", "load", "this daemon grants 48/s"),
        (("phases", "burst", "times"), 2.1, "load", "up to 50.4/s"),
        (("phases", "burst"), {"rate": "41/s", "for": "2s", "recovery": "10s"}, "load", "up to 49.2/s"),
        (("load", "journeys", 0, "weight"), 100, "load", "this daemon grants"),
        (("load", "pattern"), {"kind": "daily", "peak": "21/s"}, "load", "up to 50.4/s"),
        (("load", "pattern"), {"kind": "bursts", "peak": "21/s", "every": "9s", "for": "1s"}, "load", "up to 50.4/s"),
        (("phases", "soak"), "11s", "phases", "this daemon grants 42 s to an uploaded scenario"),
        (("phases", "idle_after"), "1s", "phases", "it takes up to 42.5 s"),
        (("load", "timeout"), "11s", "phases", "it takes up to 42.5 s"),
        (("load", "journeys", 0, "steps", 2, "think"), "3s", "phases", "it takes up to 42.5 s"),
    ],
)
def test_more_load_than_the_admin_grants_is_refused(
    tmp_path: Path, keys: tuple[str | int, ...], value: Any, named: str, why: str
) -> None:
    bounded = Uploads(tmp_path / "uploads", (), ("127.0.0.1", 9646), **BOUNDED)
    bounded.keep(PLAIN.encode(), ())
    with pytest.raises(ScenarioError, match=f"{named}: .*{re.escape(why)}"):
        bounded.keep(changed(*keys, to=value), ())


@pytest.mark.parametrize(
    "load,why",
    [
        ({"users": 5}, "load.users: an uploaded scenario says its rate here, 48/s at most"),
        ({"users": 5, "rate": "49/s"}, "up to 49/s"),
        ({"pattern": {"kind": "ramp", "from": "49/s", "to": "1/s", "over": "1h"}}, "up to 49/s"),
        (
            {"pattern": {"kind": "steps", "steps": [{"rate": "1/s", "for": "1h"}, {"rate": "60/s", "for": "1s"}]}},
            "60/s",
        ),
    ],
)
def test_the_highest_rate_counts_whatever_says_it(tmp_path: Path, load: dict[str, Any], why: str) -> None:
    bounded = Uploads(tmp_path / "uploads", (), ("127.0.0.1", 9646), **BOUNDED)
    content = changed("load", to=load | {"requests": [{"get": "/"}]})
    data = yaml.safe_load(content)
    del data["criteria"][0]["endpoint"], data["phases"]["burst"]
    with pytest.raises(ScenarioError, match=re.escape(why)):
        bounded.keep(yaml.safe_dump(data).encode(), ())


def test_an_upload_is_held_to_what_the_admin_grants_when_it_is_run(tmp_path: Path) -> None:
    name, _ = Uploads(tmp_path / "uploads", (), ("127.0.0.1", 9646)).keep(PLAIN.encode(), ())
    with pytest.raises(ScenarioError, match="this daemon grants"):
        Uploads(tmp_path / "uploads", (), ("127.0.0.1", 9646), max_rate=1.0).find(name)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"- 1", b"name: x", b"a: !!python/object:os.system x", b"{"])
def test_what_is_no_scenario_is_refused_in_words(kept: Uploads, content: bytes) -> None:
    with pytest.raises(ScenarioError, match="the uploaded scenario"):
        kept.keep(content, ())


def test_what_is_allowed_no_longer_is_not_run(kept: Uploads, tmp_path: Path) -> None:
    name, _ = kept.keep(changed("target", "url", to="http://shop.staging").replace(b"  port: 8000\n", b""), ())
    lax = Uploads(tmp_path / "uploads", ("localhost", "[::1]"), ("127.0.0.1", 9646))
    with pytest.raises(ScenarioError, match=r"localhost is not among"):
        lax.keep(changed("target", to={"url": "http://localhost:9646"}), ())
    strict = Uploads(tmp_path / "uploads", (), ("127.0.0.1", 9646))
    with pytest.raises(ScenarioError, match=r"shop\.staging"):
        strict.find(name)


def test_a_file_that_somebody_changed_is_not_run(kept: Uploads) -> None:
    name, _ = kept.keep(PLAIN.encode(), ())
    found = kept.find(name)
    assert found is not None
    found[0].write_text(PLAIN + "\n")
    with pytest.raises(SoakError, match="not what was uploaded"):
        kept.find(name)


def test_the_oldest_that_nobody_uses_make_room(kept: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST", 2)
    names = []
    for number in range(4):
        name, _ = kept.keep(changed("load", "seed", to=number), names[:1])
        names.append(name)
        os.utime(tmp_path / "uploads" / f"{name.removeprefix('sha256:')}.yaml", (number, number))
    assert [kept.find(name) is not None for name in names] == [True, False, False, True]


NEVER = {
    "load.locustfile", "load.pattern.file", "load.feeds.*.csv", "load.feeds.*.jsonl", "probe.attach", "probe.trim",
    "reference.run", "phases.whole",
    *(f"alerts[].{key}" for key in (
        "alertmanager", "webhook", "secret", "token", "labels", "report", "runbook",
    )),
    *(f"{side}.{key}" for side in ("target", "reference") for key in (
        "pid", "name", "artefact", "tls.ca", "tls.cert", "tls.key", "observer.token", "observer.ca", "scrape.password",
        *(f"process.{key}" for key in ("command", "cwd", "env", "ready", "agent")),
    )),
    *(f"{call}.{key}" for call in ("load.requests[]", "load.journeys[].steps[]") for key in (
        "body.file", "multipart.*.file",
    )),
}  # fmt: skip


def keys_of(schema: dict[str, Any], models: dict[str, Any], pattern: str) -> Iterator[str]:
    """Every key that a scenario can have."""
    if "$ref" in schema:
        yield from keys_of(models[schema["$ref"].rpartition("/")[2]], models, pattern)
        return
    for inner in schema.get("anyOf", []) + schema.get("oneOf", []):
        yield from keys_of(inner, models, pattern)
    if isinstance(inner := schema.get("items"), dict):
        yield from keys_of(inner, models, f"{pattern}[]")
    if isinstance(inner := schema.get("additionalProperties"), dict) and ("$ref" in inner or "anyOf" in inner):
        yield from keys_of(inner, models, f"{pattern}.*")
    for key, inner in schema.get("properties", {}).items():
        found = f"{pattern}.{key}" if pattern else key
        below = set(keys_of(inner, models, found))
        yield from below or {found}


def test_every_key_of_a_scenario_was_thought_about() -> None:
    schema = json_schema()
    keys = set(keys_of(schema, schema["$defs"], ""))
    allowed = {key.removesuffix(".*") for key in _ALLOWED}
    assert len(keys) > 100
    assert sorted(keys - allowed - NEVER) == [], "neither allowed nor refused: does it read, start, connect or look?"
    assert not allowed & NEVER
    assert sorted(NEVER - keys) == [], "no such keys"
