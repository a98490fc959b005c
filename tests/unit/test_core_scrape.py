from __future__ import annotations

import pytest
from pydantic import ValidationError

from soak.core.scrape import Scrape
from tests.making import scenario

TARGET = {"url": "http://127.0.0.1:8000"}


@pytest.mark.parametrize(
    "spec, host, port, name",
    [
        ({"redis": "127.0.0.1:6379"}, "127.0.0.1", 6379, "redis 127.0.0.1:6379"),
        ({"redis": "[::1]:6379", "password": "${PASS_WORD}"}, "::1", 6379, "redis [::1]:6379"),
        ({"prometheus": "http://localhost:9100/metrics?x=1"}, "localhost", 9100, "http://localhost:9100/metrics?x=1"),
        ({"prometheus": "https://shop.example/m"}, "shop.example", 443, "https://shop.example/m"),
    ],
)
def test_a_door_has_an_address(spec: dict[str, str], host: str, port: int, name: str) -> None:
    door = Scrape.model_validate(spec)
    assert (door.host, door.tcp_port, door.name) == (host, port, name)
    assert door.variable == ("PASS_WORD" if "password" in spec else None)


def test_path_and_query_of_a_page() -> None:
    assert Scrape(prometheus="http://h:1/metrics?a=b").path == "/metrics?a=b"
    assert Scrape(prometheus="http://h:1").path == "/"


@pytest.mark.parametrize(
    "spec, words",
    [
        ({}, "either `redis` or `prometheus`"),
        ({"redis": "h:1", "prometheus": "http://h:1/"}, "either `redis` or `prometheus`"),
        ({"redis": "h"}, "HOST:PORT"),
        ({"redis": "h:0"}, "HOST:PORT"),
        ({"redis": "h:99999"}, "HOST:PORT"),
        ({"redis": "redis://h:1"}, "HOST:PORT"),
        ({"redis": "h:1/0"}, "HOST:PORT"),
        ({"redis": "me:secret@h:1"}, "HOST:PORT"),
        ({"redis": "[::1:1"}, "HOST:PORT"),
        ({"redis": "h h:1"}, "HOST:PORT"),
        ({"redis": "h:1", "password": "secret"}, "${NAME}"),
        ({"prometheus": "http://h/m", "password": "${X}"}, "only Redis"),
        ({"prometheus": "ftp://h/m"}, "http://HOST:PORT"),
        ({"prometheus": "h:9100/metrics"}, "http://HOST:PORT"),
        ({"prometheus": "http://me:secret@h/m"}, "http://HOST:PORT"),
        ({"prometheus": "http://h/m\r\nX: y"}, "http://HOST:PORT"),
        ({"prometheus": "http://h/m#x"}, "http://HOST:PORT"),
        ({"prometheus": "http://h:99999/"}, "http://HOST:PORT"),
    ],
)
def test_what_is_no_door_is_refused(spec: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scrape.model_validate(spec)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "size, door, words",
    [
        ("redis.keys", None, "needs a process to watch, or a door"),
        ("latency.p99", {"redis": "127.0.0.1:6379"}, "says nothing of how much data there is"),
        ("shop_orders", {"redis": "127.0.0.1:6379"}, "add scrape.prometheus"),
        ("shop orders", {"prometheus": "http://127.0.0.1:9100/metrics"}, "or a name on a page of Prometheus"),
    ],
)
def test_a_size_that_nothing_tells_is_refused(size: str, door: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        scenario(target=TARGET | {"size": size} | ({"scrape": door} if door else {}))


def test_a_size_may_be_a_metric_or_a_name_on_a_page() -> None:
    page = {"prometheus": "http://127.0.0.1:9100/metrics"}
    assert scenario(target=TARGET | {"size": "shop_orders", "scrape": page}).target.page_size == "shop_orders"
    keys = scenario(target=TARGET | {"size": "redis.keys", "scrape": {"redis": "127.0.0.1:6379"}}).target
    assert (keys.size, keys.page_size) == ("redis.keys", None)


def test_a_door_lets_memory_be_judged_without_a_process() -> None:
    made = scenario(
        target=TARGET | {"scrape": {"redis": "127.0.0.1:6379"}},
        criteria=[{"metric": "memory.live", "growth_below": "1 MiB/h"}, {"metric": "redis.keys", "below": "1000"}],
    )
    assert made.target.scrape is not None
    assert not made.target.watched


@pytest.mark.parametrize(
    "scrape, metric, words",
    [
        ({"redis": "127.0.0.1:6379"}, "stack.headroom", "needs a process to watch"),
        (None, "redis.keys", "needs a door"),
        (None, "go.goroutines", "needs a door"),
    ],
)
def test_a_metric_that_nobody_could_see_is_refused(scrape: object, metric: str, words: str) -> None:
    limit = {"above": "50%"} if metric == "stack.headroom" else {"below": "5"}
    with pytest.raises(ValidationError, match=words):
        scenario(target=TARGET | {"scrape": scrape}, criteria=[{"metric": metric, **limit}])
