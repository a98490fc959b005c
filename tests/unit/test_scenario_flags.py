"""A soak from flags: the scenario they stand for, and errors that speak of flags."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.core.errors import ScenarioError
from soak.scenario import from_flags, loads


def test_a_url_becomes_origin_and_path():
    loaded = from_flags(url="http://127.0.0.1:8000/items?id=1", rate="50/s", duration="10m")
    scenario = loaded.scenario
    assert scenario.target.url == "http://127.0.0.1:8000"
    assert [(r.method, r.path) for r in scenario.load.requests] == [("GET", "/items?id=1")]
    assert scenario.load.rate == 50
    assert scenario.phases.soak == 600
    assert from_flags(url="http://127.0.0.1", rate="1/s", duration="1m").scenario.load.requests[0].path == "/"


def test_what_cannot_be_seen_is_not_judged():
    bare = from_flags(url="http://127.0.0.1/", rate="1/s", duration="1m").scenario
    assert {c.metric for c in bare.criteria} == {"errors.ratio", "latency.p99"}
    watched = from_flags(url="http://127.0.0.1/", rate="1/s", duration="1m", port=80).scenario
    assert {c.metric for c in watched.criteria} == {"errors.ratio", "latency.p99", "memory.rss", "stack.headroom"}


@pytest.mark.parametrize(
    "watch",
    [{"command": 'run "a b" # \\ ü😀'}, {"command": "a\u2028b\tc"}, {"port": 80}, {"pid": 4711}, {"name": "redis"}],
)
def test_the_process_to_watch(watch):
    target = from_flags(url="http://127.0.0.1/", rate="1/s", duration="1m", **watch).scenario.target
    [(key, value)] = watch.items()
    assert (target.process.command if key == "command" else getattr(target, key)) == value


def test_users_give_the_closed_model():
    load = from_flags(url="http://127.0.0.1/", users=9, duration="1m").scenario.load
    assert not load.open_model
    assert load.users == 9


def test_the_text_can_be_kept_as_a_file(tmp_path):
    loaded = from_flags(url="http://127.0.0.1/ü", rate="1/s", duration="1m", command="x")
    assert loads(loaded.text, "kept.yaml", tmp_path).scenario == loaded.scenario


@pytest.mark.parametrize(
    "flags, shown",
    [
        ({"rate": "50"}, "--rate: expected a rate such as 200/s"),
        ({"rate": None}, "--rate: expected `rate`"),
        ({"duration": "10"}, "--for: expected a duration such as"),
        ({"url": "127.0.0.1:8000"}, "--url: expected http://HOST:PORT"),
        ({"url": "http://["}, "--url: expected http://HOST:PORT"),
        ({"url": "http://x/{random:z}"}, "--url: expected {random:LOW-HIGH}"),
        ({"pid": 0}, "--pid: expected more than 0"),
        ({"command": ""}, "--command: expected text that is not empty"),
        ({"pid": 1, "port": 2}, "--command: expected one of process, pid, port and name"),
    ],
)
def test_errors_speak_of_flags(flags, shown):
    with pytest.raises(ScenarioError) as caught:
        from_flags(**({"url": "http://127.0.0.1/", "rate": "1/s", "duration": "1m"} | flags))
    assert str(caught.value).startswith(f"(command line): {shown}"), str(caught.value)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=30), st.text(max_size=8), st.text(max_size=8), st.text(max_size=20))
def test_any_flags_load_or_are_refused(url, rate, duration, command):
    for start in ("", "http://h/"):
        try:
            loaded = from_flags(url=start + url, rate=rate or "1/s", duration=duration or "1m", command=command)
        except ScenarioError:
            continue
        assert loaded.scenario.target.process.command == command


def test_a_soak_that_nobody_watches_is_told_how_it_would_be():
    assert "nobody watches its process" in from_flags(url="http://127.0.0.1/", rate="1/s", duration="1m").text
    assert "nobody" not in from_flags(url="http://127.0.0.1/", rate="1/s", duration="1m", port=80).text
