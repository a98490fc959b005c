"""Requests, journeys and feeds: what holds between their names."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from soak.core.load import Load
from soak.core.traffic import Think

VISIT = {
    "name": "visit",
    "steps": [
        {"get": "/login", "capture": {"csrf": {"regex": "v=(.)"}}},
        {"think": {"uniform": ["1s", "3s"]}},
        {"post": "/login", "form": {"csrf": "{csrf}", "user": "{who.name}"}},
    ],
}
FEEDS = {"who": {"csv": "users.csv"}, "n": {"sequence": 1}}


def load(**changes: Any) -> Load:
    return Load.model_validate({"rate": "1/s", "journeys": [VISIT], "feeds": FEEDS} | changes)


def test_how_often_an_arrival_makes_a_request():
    made = load(requests=[{"name": "look", "weight": 3, "get": "/"}])
    assert made.per_arrival == {"look": 0.75, "GET /login": 0.25, "POST /login": 0.25, "visit": 0.25}
    assert made.thinking == (0.5, 3.0)
    assert made.files == {"feeds.who": "users.csv"}


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"feeds": {}}, r"steps\[2\].form: nothing is named 'who'"),
        ({"feeds": FEEDS | {"who": {"uuid": True}}}, "this feed gives one value"),
        ({"requests": [{"get": "/{who}"}]}, r"requests\[0\].get: {who} is a row"),
        ({"requests": [{"get": "/{n.x}"}]}, "this feed gives one value"),
        ({"requests": [{"get": "/{csrf}"}]}, "nothing is named 'csrf'"),  # captured in a journey, not here
        ({"headers": {"X": "{nobody}"}}, "headers: nothing is named 'nobody'"),
        ({"auth": {"bearer": "{nobody}"}}, "auth.bearer: nothing is named"),
        ({"journeys": [VISIT, VISIT]}, "2 journeys are named 'visit'"),
        ({"requests": [{"name": "visit", "get": "/"}]}, "a request is named 'visit' too"),
        ({"journeys": [{"name": "v", "steps": [{"think": "1s"}]}]}, "at least one request"),
        ({"journeys": [{"name": "v", "steps": [{"think": "1s", "get": "/"}]}]}, "a step of its own"),
        ({"journeys": [{"name": "v", "steps": [{"get": "/", "capture": {"a": {}}}]}]}, "one of jsonpath, regex"),
        ({"journeys": [{"name": "v", "steps": [{"get": "/", "capture": {"a": {"regex": "("}}}]}]}, "regex: "),
        ({"requests": [{"post": "/", "json": {}, "form": {}}]}, "one body, got json and form"),
        ({"requests": [{"post": "/", "headers": {"a b": "c"}}]}, "no header name"),
        ({"requests": [{"post": "/", "headers": {"a": "c\r\nd: e"}}]}, "a line end"),
        ({"cookies": {"a\r\nX-Evil: b": "c"}}, "cookies: .* is no cookie name"),
        ({"cookies": {"a": "b\r\nX-Evil: c"}}, "cookies: the value of a has a line end"),
        ({"requests": [{"get": "/ HTTP/1.1\r\nX-Evil: a"}]}, "get: a path has no spaces or line ends"),
        ({"requests": [{"get": "/a\n{uuid}"}]}, "get: a path has no spaces or line ends"),
        ({"requests": [{"get": "/a b"}]}, "%20 is a space"),
        ({"requests": [{"name": "a\nfailed", "get": "/"}]}, "expected one line"),
        ({"requests": [{"name": "a\x1b[8m", "get": "/"}]}, "expected one line"),
        ({"journeys": [{"name": "v\r", "steps": [{"get": "/"}]}]}, "expected one line"),
        ({"journeys": [{"name": "v", "steps": [{"name": "a\u2028", "get": "/"}]}]}, "expected one line"),
        ({"requests": [{"post": "/", "multipart": {"a": {"type": "x/y"}}}]}, "one of content and file"),
        ({"feeds": {"a": {"csv": "x", "jsonl": "y"}}}, "expected one of csv"),
        ({"feeds": {"a": {"sequence": 1, "order": "random"}}}, "only csv and jsonl have rows"),
        ({"feeds": {"a b": {"sequence": 1}}}, "expected a name of letters"),
        ({"auth": {}}, "one of bearer and basic"),
        ({"churn": "120%"}, "0% to 100%"),
        ({"journeys": None, "feeds": {}, "locustfile": "a.py::B", "headers": {"A": "b"}}, "a locustfile makes its own"),
    ],
)
def test_traffic_that_cannot_be_made_is_refused(changes, words):
    with pytest.raises(ValidationError, match=words):
        load(**changes)


@pytest.mark.parametrize(
    "think, low, middle, high",
    [
        ({"constant": "2s"}, 2, 2, 2),
        ({"uniform": ["1s", "3s"]}, 1, 2, 3),
        ({"exponential": "2s"}, 0, 2 * 0.6931, 10),
        ({"lognormal": {"median": "2s", "sigma": 0.5}}, 0, 2, 2 * 4.4817),
    ],
)
def test_pauses_have_the_quantiles_of_their_distribution(think, low, middle, high):
    made = Think.model_validate(think)
    assert made.draw(0.0) == pytest.approx(low, abs=0.2)
    assert made.draw(0.5) == pytest.approx(middle, rel=1e-3)
    assert made.draw(1 - 1e-16) == pytest.approx(high, rel=1e-3)
    assert made.longest == pytest.approx(high, rel=1e-3)
