"""The scenario models: what holds between keys, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from soak.core.criterion import Criterion
from soak.core.load import Load
from soak.core.phases import Phases
from soak.core.scenario import Scenario
from soak.core.target import Target
from soak.core.traffic import Request
from tests.making import scenario


@pytest.mark.parametrize(
    "url, host, port",
    [
        ("http://127.0.0.1:8000", "127.0.0.1", 8000),
        ("http://localhost", "localhost", 80),
        ("https://shop.example/api", "shop.example", 443),
        ("http://[::1]:81", "::1", 81),
        ("tcp://127.0.0.1:6379", "127.0.0.1", 6379),
    ],
)
def test_a_target_knows_host_and_port(url, host, port):
    target = Target(url=url)
    assert (target.host, target.tcp_port) == (host, port)


@pytest.mark.parametrize(
    "url",
    ["", "shop", "ftp://x", "http://", "http://x:0", "http://x:70000", "http://x:y", "http://[", "tcp://x",
     "http://a b", "http://x/?q=1", "http://x/#top", "http://me:secret@x"],
)  # fmt: skip
def test_what_load_cannot_be_sent_to_is_refused(url):
    with pytest.raises(ValidationError, match="url: expected"):
        Target(url=url)


def test_one_way_to_name_the_process():
    assert not Target(url="http://x").watched
    assert Target(url="http://x", port=5).watched
    with pytest.raises(ValidationError, match="pid and port"):
        Target(url="http://x", pid=1, port=2)


def test_endpoints_are_named_by_their_request():
    assert Request(get="/").endpoint == "GET /"
    assert Request(get="/items/{random:1-9}").endpoint == "GET /items/{random}"
    assert Request(name="browse", post="/x").endpoint == "browse"
    assert Request(post="/x").method == "POST"


@pytest.mark.parametrize(
    "path", ["items", "/{random:9-1}", "/{random:a-b}", "/{random:}", "/{pick:1-2}", "/{random:1-" + "9" * 5000 + "}"]
)
def test_paths_that_mean_nothing_are_refused(path):
    with pytest.raises(ValidationError, match="get: expected"):
        Request(get=path)


def test_open_and_closed_model():
    mix = [{"get": "/"}]
    assert Load.model_validate({"rate": "5/s", "requests": mix}).open_model
    closed = Load.model_validate({"users": 7, "rate": "5/s", "requests": mix})
    assert not closed.open_model
    assert closed.slots == 7


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"requests": None}, "expected `requests`, `journeys` or both"),
        ({"locustfile": "a.py::B"}, "expected `requests`, `journeys` or both"),
        ({"requests": None, "locustfile": "a.py"}, "FILE.py::UserClass"),
        ({"timeout": "0s"}, "timeout: expected more than 0 s"),
        ({"requests": [{"get": "/"}, {"get": "/"}]}, "2 requests are named 'GET /'"),
        ({"requests": [{"get": "/", "expect": [99]}]}, "greater than or equal to 100"),
        ({"connections": True}, "valid integer"),
        ({"users": 10**9}, "less than or equal"),
    ],
)
def test_loads_that_contradict_themselves_are_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        Load.model_validate({"rate": "5/s", "requests": [{"get": "/"}]} | changes)


def test_the_warm_up_is_a_tenth_of_the_soak_at_most_five_minutes():
    assert Phases.model_validate({"soak": "100s"}).warmup_s == 10
    assert Phases.model_validate({"soak": "8h"}).warmup_s == 300
    assert Phases.model_validate({"soak": "8h", "warmup": "0s"}).warmup_s == 0


def test_intervals_grow_with_the_run():
    def interval(soak: str) -> float:
        return scenario(phases={"soak": soak}).interval_s

    assert [interval(s) for s in ("1m", "12m", "1h", "2h", "72h")] == [1, 1, 5, 10, 10]


@pytest.mark.parametrize(
    "criterion, kind, value, per",
    [
        ({"metric": "latency.p99", "below": "50ms"}, "below", 0.05, None),
        ({"metric": "stack.headroom", "above": "50%"}, "above", 0.5, None),
        ({"metric": "memory.rss", "growth_below": "1 MiB/h"}, "growth_below", 1048576, 3600),
        ({"metric": "memory.rss", "growth_below": "5%"}, "growth_below", 0.05, None),
        ({"metric": "process.threads", "below": 100}, "below", 100, None),
    ],
)
def test_a_criterion_has_one_limit_in_base_units(criterion, kind, value, per):
    read = Criterion.model_validate(criterion)
    assert read.kind == kind
    assert read.limit.value == pytest.approx(value)
    assert read.limit.per == per


def test_a_criterion_says_itself():
    read = Criterion.model_validate({"metric": "latency.p99", "endpoint": "buy", "below": "50ms", "over": "30m"})
    assert read.text() == "latency.p99 of buy below 50ms in every 30 min"
    assert Criterion(metric="memory.rss", growth_below="5%").text() == "memory.rss growth below 5%"


@pytest.mark.parametrize(
    "criterion, words",
    [
        ({"metric": "latency.p99"}, "exactly one of below, above, growth_below, ratio_below and ratio_above, got none"),
        ({"metric": "latency.p99", "below": "5ms", "above": "1ms"}, "got below and above"),
        ({"metric": "latency.p98", "below": "5ms"}, "did you mean latency.p9"),
        ({"metric": "happiness", "below": "5ms"}, "a name such as"),
        ({"metric": "memory.rss", "endpoint": "buy", "below": "5 MB"}, "not measured by endpoint"),
        ({"metric": "throughput.rate", "endpoint": "buy", "above": "5/s"}, "not measured by endpoint"),
        ({"metric": "errors.ratio", "growth_below": "1%"}, "errors.ratio has no trend"),
        ({"metric": "memory.rss", "growth_below": "5%", "over": "5m"}, "over the whole soak phase"),
        ({"metric": "memory.rss", "below": "5ms"}, "below: expected a size"),
    ],
)
def test_criteria_that_cannot_be_judged_are_refused(criterion, words):
    with pytest.raises(ValidationError, match=words):
        Criterion.model_validate(criterion)


def test_every_fault_between_keys_is_told_at_once():
    with pytest.raises(ValidationError) as caught:
        scenario(
            target={"url": "http://127.0.0.1:8000"},
            reference={"url": "http://127.0.0.1:8000/"},
            criteria=[
                {"metric": "latency.p99", "endpoint": "nobody", "below": "5ms", "over": "9h"},
                {"metric": "memory.rss", "growth_below": "5%"},
            ],
        )
    lines = caught.value.errors()[0]["msg"].removeprefix("Value error, ").split("\n")
    assert [line.partition(": ")[0] for line in lines] == [
        "criteria[0].endpoint", "criteria[0].over", "criteria[1].metric", "reference.url",
    ]  # fmt: skip


def test_a_target_of_another_protocol_needs_a_locustfile():
    with pytest.raises(ValidationError, match=r"target.url: a tcp:// target needs load.locustfile"):
        scenario(target={"url": "tcp://127.0.0.1:6379"})


def test_sides_and_times():
    spec = scenario(reference={"url": "http://127.0.0.1:8001"})
    assert list(spec.sides) == ["candidate", "reference"]
    assert spec.load_s == 130
    assert spec.drain_s == 12
    assert isinstance(spec, Scenario)


BURST = {"times": 3, "for": "30s", "recovery": "2m"}


def test_a_burst_and_its_recovery_follow_the_soak() -> None:
    spec = scenario(phases={"warmup": "10s", "soak": "2m", "burst": BURST})
    assert (spec.soak_end_s, spec.load_s) == (130, 280)
    assert spec.expected(130, 160, Path()) == pytest.approx(3 * 30 * (spec.load.rate or 0))
    assert spec.expected(160, 280, Path()) == pytest.approx(120 * (spec.load.rate or 0))


def test_a_recovery_is_recorded_finely_however_long_the_soak() -> None:
    assert scenario(phases={"soak": "24h", "burst": BURST}).interval_s == 5
    assert scenario(phases={"soak": "24h", "burst": BURST | {"recovery": "10s"}}).interval_s == 1
    assert scenario(phases={"soak": "24h", "burst": BURST | {"recovery": "1h"}}).interval_s == 10


@pytest.mark.parametrize(
    "burst,said",
    [
        ({"for": "30s", "recovery": "2m"}, "expected either `rate` or `times`"),
        (BURST | {"rate": "600/s"}, "expected either `rate` or `times`"),
        (BURST | {"times": 1}, "greater than 1"),
        (BURST | {"for": "10ms"}, "for: expected at least 1 s"),
        (BURST | {"recovery": "2s"}, "recovery: expected at least 5 s"),
        ({"rate": "1/s", "for": "30s", "recovery": "2m"}, "phases.burst.rate: expected more than load.rate"),
    ],
)
def test_a_burst_that_is_none_is_refused(burst: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        scenario(phases={"soak": "2m", "burst": burst})


def test_users_of_the_closed_model_have_no_burst() -> None:
    load = {"users": 5, "requests": [{"get": "/"}]}
    with pytest.raises(ValidationError, match="users of the closed model pace themselves"):
        scenario(load=load, phases={"soak": "2m", "burst": BURST})


@pytest.mark.parametrize(
    "probe,words",
    [
        ({"allocator": "100ms"}, "500ms to 10m"),
        ({"allocations": {"for": "10ms"}}, "200ms to 60s"),
        ({"allocations": {"every": "5s", "for": "2s"}}, "ten times what a window takes"),
        ({"attach": "strace"}, "gdb"),
    ],
)
def test_looks_from_inside_have_bounds(probe, words):
    with pytest.raises(ValidationError, match=words):
        scenario(probe=probe)


def test_a_debugger_needs_load_before_the_soak_and_somebody_to_attach_to():
    assert scenario(probe={"attach": "lldb"}, phases={"warmup": "15s", "soak": "1m"}).probe.attach == "lldb"
    elsewhere = {"url": "http://127.0.0.1:8000", "observer": "https://shop:9645"}
    for changes in (
        {"phases": {"warmup": "5s", "soak": "1m"}},
        {"target": {"url": "http://127.0.0.1:8000"}},
        {"target": elsewhere},
    ):
        with pytest.raises(ValidationError, match=r"probe\.attach: needs a process to watch"):
            scenario(probe={"attach": "lldb"}, **{"phases": {"warmup": "15s", "soak": "1m"}} | changes)


def test_looks_from_inside_are_paced_by_the_length_of_the_soak():
    short, long = scenario(phases={"soak": "1m"}), scenario(phases={"soak": "8h"})
    assert (short.allocator_s, short.inspection_s) == (1.0, 1.0)
    assert (long.allocator_s, long.inspection_s) == (10.0, 5.0)
    assert scenario(probe={"allocations": False}).probe.window is None
