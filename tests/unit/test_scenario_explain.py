"""`soak check` in words: the counts are right, and what cannot be settled is said beforehand."""

from __future__ import annotations

from typing import Any

import pytest

from soak.core.criterion import Criterion
from soak.core.scenario import Scenario
from soak.scenario import explain
from soak.scenario.sight import bounding, sight
from tests.making import scenario

MIX = [{"name": "browse", "weight": 3, "get": "/"}, {"name": "buy", "post": "/cart"}]


def made(soak: str = "1h", rate: str = "100/s", **changes: Any) -> Scenario:
    return scenario(load={"rate": rate, "requests": MIX}, phases={"soak": soak, "warmup": "1m"}, **changes)


def words(criterion: dict[str, Any], spec: Scenario | None = None) -> str:
    return sight(Criterion.model_validate(criterion), spec or made())


def test_the_whole_is_told_in_80_columns():
    text = explain(
        made(
            reference={"url": "http://127.0.0.1:8001", "port": 8001},
            criteria=[
                {"metric": "errors.ratio", "below": "1%"},
                {"metric": "latency.p99", "endpoint": "buy", "below": "50ms", "over": "10m"},
                {"metric": "memory.rss", "growth_below": "1 MiB/h"},
            ],
        )
    )
    assert max(len(line) for line in text.splitlines()) <= 80
    flat = " ".join(text.split())
    for part in (
        "candidate: load goes to http://127.0.0.1:8000", "starts `server`",
        "reference: load goes to http://127.0.0.1:8001", "process tree of port 8001", "same arrivals",
        "about 1 h 1 min", "soak 1 h load, judged",
        "6,000 in the warm-up and 360,000 in the soak",
        "75 % 270,000 browse: GET /", "25 % 90,000 buy: POST /cart",
        "1. errors.ratio below 1%", "2. latency.p99 of buy below 50ms in every 10 min", "3. memory.rss growth below",
    ):  # fmt: skip
        assert part in flat, part


@pytest.mark.parametrize("soak, rate", [("2m", "30 MiB/h"), ("1h", "1 MiB/h"), ("8h", "128 KiB/h")])
def test_how_slow_a_leak_may_be_that_the_built_in_watch_counts(soak: str, rate: str):
    text = " ".join(explain(made(soak)).split())
    assert f"Growth of memory matters from 1 MiB over the soak ({rate}) and 3 % of what is there" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"target": {"url": "http://127.0.0.1:8000"}},
        {"criteria": [{"metric": "memory.rss", "growth_below": "1 MiB/h"}]},
    ],
)
def test_nothing_is_said_of_it_where_a_criterion_does_or_nobody_watches(changes: dict[str, Any]):
    assert "Growth of memory matters" not in " ".join(explain(made(**changes)).split())


def test_the_closed_model_promises_no_counts():
    spec = scenario(load={"users": 5, "requests": MIX}, criteria=[{"metric": "latency.p99", "below": "1s"}])
    text = " ".join(explain(spec).split())
    assert "5 plain Locust users" in text
    assert "depends on the target" in text


def test_what_is_not_done_through_an_observer_is_said():
    target = {"url": "http://127.0.0.1:8000", "observer": "https://shop.staging:9645"}
    text = " ".join(explain(scenario(target=target)).split())
    assert "the observer at https://shop.staging:9645 watches its process there" in text
    assert "its allocations are not tracked and malloc_trim is not asked for" in text
    assert "Through an observer" not in " ".join(explain(scenario()).split())


def test_unwatched_processes_are_said_to_be_unseen():
    text = " ".join(explain(scenario(target={"url": "http://127.0.0.1:8000"})).split())
    assert "no process is watched, so memory, stack and CPU are not seen" in text


def test_a_percentile_needs_requests_before_it_has_a_bound():
    for quantile, share in (("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)):
        n = bounding(quantile)
        assert share**n < 0.025 <= share ** (n - 1), "the least number whose slowest is likely beyond the percentile"
    assert bounding("p99") == 368
    assert bounding("max") == 1


@pytest.mark.parametrize(
    "soak, rate, said",
    [
        ("1h", "100/s", "enough, a p999 wants 10,000"),
        ("4m", "100/s", "enough for a rough p999"),
        ("1m", "100/s", "It will be inconclusive"),
    ],
)
def test_a_percentile_says_whether_its_requests_suffice(soak, rate, said):
    assert said in words({"metric": "latency.p999", "below": "1s"}, made(soak, rate))


def test_the_soak_that_it_asks_for_is_enough():
    text = words({"metric": "latency.p999", "below": "1s"}, made("1m"))
    assert "About 1,500 requests of buy (the rarest)" in text
    assert "a soak of 6 min 40 s" in text
    longer = made("400s")
    assert "enough, a p999 wants 10,000" in words({"metric": "latency.p999", "below": "1s"}, longer)


def test_windows_are_counted_for_themselves():
    text = words({"metric": "latency.p99", "endpoint": "buy", "below": "1s", "over": "10s"})
    assert "About 250 requests in each 10 s: too few" in text
    assert "windows of 1 min" in text


def test_a_drift_of_a_percentile_needs_a_dozen_windows():
    few = words({"metric": "latency.p999", "growth_below": "10%"}, made("10m"))
    assert "make 1 window of the 10,000" in few
    assert "soak for 1 h 20 min or more" in few
    assert "60 windows" in words({"metric": "latency.p99", "growth_below": "10%"})


def test_growth_by_the_hour_is_extrapolated_over_the_soak():
    text = words({"metric": "memory.rss", "growth_below": "1 MiB/h"}, made("2m"))
    assert "Over 2 min the limit allows 34.1 KiB" in text
    assert "Likely inconclusive; soak for 1 h or more" in text
    assert "Likely" not in words({"metric": "memory.rss", "growth_below": "1 MiB/h"}, made("8h"))


def test_a_share_that_noise_hides_is_hidden_at_any_length():
    text = words({"metric": "memory.rss", "growth_below": "0.1%"}, made("8h"))
    assert "however long the soak" in text
    assert "smoke test" in words({"metric": "memory.rss", "growth_below": "5%"}, made("2m"))


def test_an_error_ratio_needs_arrivals_even_without_one_error():
    text = words({"metric": "errors.ratio", "endpoint": "buy", "below": "0.1%"}, made("1m"))
    assert "takes 3,837" in text
    assert "inconclusive" in text
    # Wilson's upper bound for no failure in n, at that n and one less
    assert 3.84 / (3837 + 3.84) < 0.001 <= 3.84 / (3836 + 3.84) + 1e-9
    assert "enough" in words({"metric": "errors.ratio", "below": "0.1%"})


def test_more_throughput_than_is_offered_cannot_pass():
    assert "cannot pass" in words({"metric": "throughput.rate", "above": "100/s"})
    assert "100/s are offered" in words({"metric": "throughput.rate", "above": "90/s"})


@pytest.mark.parametrize("metric", ["stack.headroom", "memory.peak"])
def test_high_water_marks_are_said_to_stay(metric):
    limit = {"above": "50%"} if metric.startswith("stack") else {"below": "1 GiB"}
    assert "never sinks" in words({"metric": metric} | limit)


def test_few_looks_are_said_to_be_few():
    spec = made("1m", probe={"every": "10s"})
    assert "few" in words({"metric": "process.fds", "below": 100}, spec)
    assert "few" not in words({"metric": "process.fds", "below": 100})


@pytest.mark.parametrize(
    "load, parts",
    [
        ({"rate": "10/s", "pattern": {"kind": "daily", "peak": "15/s"}}, ["in a wave of 1 d up to 15/s"]),
        (
            {"rate": "10/s", "pattern": {"kind": "bursts", "peak": "50/s", "every": "1m", "for": "6s"}},
            ["50/s for 6 s in every 1 min", "50,400 in the soak"],
        ),
        (
            {"pattern": {"kind": "ramp", "from": "0/s", "to": "100/s", "over": "61m"}},
            ["goes from 0/s to 100/s in 1 h 1 min", "182,951 in the soak"],
        ),
        (
            {"pattern": {"kind": "steps", "steps": [{"rate": "5/s", "for": "1m"}, {"rate": "10/s", "for": "1m"}]}},
            ["5/s for 1 min, 10/s for 1 min, and the last from then on", "300 in the warm-up and 36,000 in the soak"],
        ),
    ],
)
def test_patterns_are_told_with_their_counts(load, parts):
    spec = scenario(load=load | {"requests": MIX}, phases={"soak": "1h", "warmup": "1m"})
    flat = " ".join(explain(spec).split())
    for part in parts:
        assert part in flat, flat


def test_a_journey_that_needs_more_connections_is_said_to():
    journey = {"name": "visit", "steps": [{"get": "/"}, {"think": "10s"}, {"get": "/b"}]}
    few = scenario(load={"rate": "20/s", "journeys": [journey]}, phases={"soak": "1h"})
    text = " ".join(explain(few).split())
    assert "50 connections are too few" in text
    assert "want 300 or more" in text
    assert "visit: a journey of 2 requests, thinks 10 s" in text
    enough = scenario(load={"rate": "20/s", "connections": 400, "journeys": [journey]}, phases={"soak": "1h"})
    assert "too few" not in " ".join(explain(enough).split()).partition("It passes")[0]


def test_a_trace_is_counted(tmp_path):
    (tmp_path / "t.txt").write_text("".join(f"{i / 10}\n" for i in range(100)))
    load = {"pattern": {"kind": "trace", "file": "t.txt", "speed": 2}, "requests": MIX}
    spec = scenario(load=load, phases={"soak": "10s", "warmup": "0s"})
    flat = " ".join(explain(spec, tmp_path).split())
    assert "as they were recorded in t.txt, 2 times as fast" in flat
    assert "200 in the soak" in flat


def test_a_door_is_told_with_its_pace():
    spec = scenario(target={"url": "http://127.0.0.1:1", "scrape": {"redis": "127.0.0.1:6379"}})
    text = explain(spec)
    assert "asked for its own figures at redis 127.0.0.1:6379 every 1 s" in " ".join(text.split())
    assert "only what it tells itself is seen" in " ".join(text.split())


def test_what_cost_is_held_against_is_told() -> None:
    door = {"prometheus": "http://127.0.0.1:1/metrics"}
    spec = scenario(target={"url": "http://127.0.0.1:1", "scrape": door, "size": "shop_orders"})
    assert "request of the candidate costs more and more, shop_orders is its size" in " ".join(explain(spec).split())


def test_what_is_seen_from_inside_is_told_with_its_own_pace():
    assert words({"metric": "memory.fragmentation", "below": "30%"}).startswith(
        "About 360 looks. Seen from inside only"
    )
    assert "Seen from inside only" in words({"metric": "memory.live", "growth_below": "10 MiB/h"})
    assert "Seen from inside" not in words({"metric": "memory.rss", "growth_below": "10 MiB/h"})


def test_windows_of_allocations_are_counted():
    level, growth = ({"metric": "allocations.per_request", k: v} for k, v in (("below", "500"), ("growth_below", "5%")))
    assert words(level) == "2 windows of 5 s in a Python target with an agent; every one of them must hold."
    assert "a trend needs 8. Set probe.allocations.every" in words(growth)
    assert words(growth, made(probe={"allocations": {"every": "5m"}})).startswith("14 windows of 5 s")
    assert words(level, made(probe={"allocations": False})) == "Never seen: probe.allocations is false."


def test_looks_from_inside_are_told_where_there_may_be_any():
    flat = " ".join(explain(made()).split())
    assert "Python is asked from inside every 10 s; its allocations are tracked for 5 s early and late" in flat
    outside = made(target={"url": "http://127.0.0.1:8000", "process": {"command": "server", "agent": False}})
    assert "from inside" not in explain(outside)
    attached = made(target={"url": "http://127.0.0.1:8000", "port": 8000}, probe={"attach": "lldb"})
    assert "lldb stops a Python without an agent for 1 to 3 s in the warm-up" in " ".join(explain(attached).split())


@pytest.mark.parametrize(
    "criterion,said",
    [
        ({"metric": "latency.p99", "ratio_below": 1.1}, "windows of about"),
        ({"metric": "latency.p9999", "ratio_below": 1.1}, "too few to compare a p9999"),
        ({"metric": "cpu.per_request", "ratio_below": 1.1}, "over the same windows of the soak"),
        ({"metric": "memory.idle", "ratio_below": 1.1}, "once a run"),
        ({"metric": "memory.idle", "below": "1 GiB"}, "before the load"),
    ],
)
def test_a_criterion_on_a_ratio_says_what_is_compared(criterion: dict[str, object], said: str) -> None:
    reference = {"url": "http://127.0.0.1:8001", "process": {"command": "old"}}
    phases = {"soak": "10m", "idle_before": "30s"}
    spec = scenario(reference=reference, criteria=[criterion], phases=phases)
    assert said in " ".join(explain(spec).split())


def test_earlier_runs_are_named_with_the_noise_that_counts() -> None:
    for files, noise in ((["a.soak"], "measured or assumed"), (["a", "b", "c"], "their own spread")):
        text = " ".join(
            explain(made(reference={"run": files}, criteria=[{"metric": "latency.p99", "ratio_below": 1.1}])).split()
        )
        assert files[0] in text
        assert noise in text
