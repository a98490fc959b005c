"""Scenario files: every fault named by file, line, column and key, and nothing but ScenarioError."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.core.errors import Problem, ScenarioError, SoakError
from soak.core.scenario import Scenario
from soak.scenario import Loaded, compared_with, explain, load, loads, template

GOOD = textwrap.dedent(
    """\
    name: shop
    target:
      url: http://127.0.0.1:8000
      process: {command: server}
    load:
      rate: 200/s
      requests:
        - {name: browse, weight: 8, get: "/items/{random:1-5}"}
        - name: buy
          weight: 1
          post: /cart
          json: {item: 7}
    phases:
      soak: 1h
    criteria:
      - {metric: latency.p99, endpoint: browse, below: 50ms, over: 30m}
      - metric: memory.rss
        growth_below: 1 MiB/h
    """
)


def problems(text: str, folder: Path = Path()) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        loads(text, "f.yaml", folder)
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_raw_data_gives_the_same_scenario_again(tmp_path):
    path = tmp_path / "shop.yaml"
    path.write_text(GOOD)
    loaded = load(path)
    assert loaded.scenario.name == "shop"
    assert loaded.text == GOOD
    assert loaded.folder == tmp_path
    assert Scenario.model_validate(json.loads(json.dumps(loaded.raw))) == loaded.scenario


@pytest.mark.parametrize(
    "old, new, line, column, key, words",
    [
        ("rate: 200/s", "rate: 200", 6, 9, "load.rate", ["200/s", "needs its unit"]),
        ("rate: 200/s", "rate: true", 6, 9, "load.rate", ["got true"]),
        ("rate: 200/s", "rate: 200 per second", 6, 9, "load.rate", ["200/s"]),
        ("rate: 200/s", "rate: 0/s", 6, 9, "load.rate", ["more than 0/s"]),
        ("weight: 8", "weight: true", 8, 30, "load.requests[0].weight", ["a number", "true"]),
        ("weight: 1\n", "weight: heavy\n", 10, 15, "load.requests[1].weight", ["a number", "heavy"]),
        ("weight: 1\n", "weigth: 1\n", 10, 7, "load.requests[1].weigth", ["did you mean `weight`?"]),
        ("{random:1-5}", "{random:5-1}", 8, 38, "load.requests[0].get", ["LOW up to HIGH"]),
        ("post: /cart", "post: cart", 11, 13, "load.requests[1].post", ["starts with '/'"]),
        ("post: /cart", "post: /cart\n      put: /", 9, 7, "load.requests[1]", ["exactly one", "post and put"]),
        ("name: buy", "name: browse", 8, 5, "load.requests", ["named 'browse'"]),
        ("soak: 1h", "warmup: 5m", 14, 3, "phases.soak", ["missing", "soak: 1h"]),
        ("soak: 1h", "soak: 1 fortnight", 14, 9, "phases.soak", ["1h30m"]),
        ("soak: 1h", "soak: -1h", 14, 9, "phases.soak", ["0 s or more"]),
        ("url: http://127.0.0.1:8000", "url: 127.0.0.1:8000", 3, 8, "target.url", ["http://HOST:PORT"]),
        ("url: http://127.0.0.1:8000", "url: http://x:99999", 3, 8, "target.url", ["http://HOST:PORT"]),
        ("url: http://127.0.0.1:8000", 'url: "http://["', 3, 8, "target.url", ["http://HOST:PORT"]),
        ("memory.rss", "memory.rs", 17, 13, "criteria[1].metric", ["did you mean memory.rss"]),
        ("1 MiB/h", "1 MB per hour", 18, 19, "criteria[1].growth_below", ["1 MiB/h"]),
        ("1 MiB/h", "true", 18, 19, "criteria[1].growth_below", ["got true"]),
        ("below: 50ms", "below: 50", 16, 52, "criteria[0].below", ["needs its unit"]),
        ("endpoint: browse", "endpoint: brows", 16, 37, "criteria[0].endpoint", ["browse, buy"]),
        ("over: 30m", "over: 2h", 16, 64, "criteria[0].over", ["longer than the soak"]),
        ("over: 30m", "over: 0s", 16, 64, "criteria[0].over", ["at least 1 s"]),
        ("name: shop", "name: my shop", 1, 7, "name", ["letters, digits", "'my shop'"]),
        ("name: shop", "name: 5", 1, 7, "name", ["text", "in quotes"]),
        ("name: shop\n", "", 1, 1, "name", ["missing"]),
        ("  process: {command: server}\n", "", 16, 13, "criteria[1].metric", ["needs a process to watch"]),
        ("command: server", "command: server, env: {PORT: 80}", 4, 42, "target.process.env.PORT", ["in quotes"]),
        ("command: server", "command: server, cwd: nowhere", 4, 35, "target.process.cwd", ["no such folder"]),
        ("name: shop", "name: shop\njourney: x", 2, 1, "journey", ["unknown key"]),
        ("  rate: 200/s\n", "", 6, 3, "load", ["`rate`", "`users`"]),
    ],
)
def test_a_fault_is_named_at_its_place(old, new, line, column, key, words):
    found = problems(changed(old, new))
    assert len(found) == 1, found
    assert (found[0].line, found[0].column, found[0].key) == (line, column, key)
    assert all(word in found[0].message for word in words), found[0].message


def test_criteria_must_be_given():
    head = GOOD[: GOOD.index("criteria:")]
    [missing] = problems(head)
    assert (missing.key, missing.line) == ("criteria", 1)
    assert "errors.ratio" in missing.message, "shows what one looks like"
    [empty] = problems(head + "criteria: []\n")
    assert (empty.key, empty.line, empty.column) == ("criteria", 15, 11)
    [nothing] = problems(head + "criteria:\n")
    assert nothing.key == "criteria"
    assert "got nothing" in nothing.message


@pytest.mark.parametrize(
    "reference, shown",
    [
        ("{run: x.soak}", "f.yaml:2:18: reference.run: no such run file: x.soak"),
        ("{run: [x.soak]}", "f.yaml:2:19: reference.run[0]: no such run file: x.soak"),
        ("{run: 7}", "f.yaml:2:18: reference.run"),
        ("{run: x.soak, url: http://127.0.0.1:1}", "f.yaml:2:31: reference.url: does not go with run"),
        ("{urll: http://127.0.0.1:1}", "f.yaml:2:13: reference.urll: unknown key; did you mean `url`?"),
    ],
)
def test_a_reference_is_beside_or_was_before(reference, shown):
    found = problems(changed("name: shop", f"name: shop\nreference: {reference}"))
    assert any(p.render("f.yaml").startswith(shown) for p in found), [p.render("f.yaml") for p in found]


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    text = changed("rate: 200/s", "rate: 200\n  arivals: poisson").replace("1 MiB/h", "1/week").replace("1h", "soon")
    found = problems(text)
    assert [p.key for p in found] == ["load.rate", "load.arivals", "phases.soak", "criteria[1].growth_below"]
    assert [p.line for p in found] == sorted(p.line for p in found)
    text = changed("endpoint: browse, below: 50ms, over: 30m", "endpoint: nobody, below: 50ms, over: 3h")
    assert [p.key for p in problems(text)] == ["criteria[0].endpoint", "criteria[0].over"]


def test_a_fault_in_an_aliased_value_is_shown_where_it_is_written():
    text = changed(
        "    - name: buy", '    - &other {name: third, get: /x, expect: ["200"]}\n    - <<: *other\n      name: buy'
    )
    found = problems(text.replace("      post: /cart\n", "").replace("      json: {item: 7}\n", ""))
    assert [(p.line, p.key) for p in found] == [
        (9, "load.requests[1].expect[0]"),
        (9, "load.requests[2].expect[0]"),
    ]


def test_a_message_with_a_colon_is_not_torn_apart():
    [problem] = problems(changed("url: http://127.0.0.1:8000", "url: 'name: x'"))
    assert problem.key == "target.url"
    assert "'name: x'" in problem.message


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "5\n"])
def test_what_is_no_mapping_is_no_scenario(text):
    [problem] = problems(text)
    assert "mapping" in problem.message
    assert (problem.line, problem.column) == (1, 1)


def test_a_locustfile_must_be_there(tmp_path):
    start, end = GOOD.index("  requests:"), GOOD.index("phases:")
    text = GOOD[:start] + "  locustfile: shop.py::Shopper\n" + GOOD[end:]
    text = text.replace("endpoint: browse, ", "")
    [problem] = problems(text, tmp_path)
    assert (problem.key, problem.line, problem.column) == ("load.locustfile", 7, 15)
    assert str(tmp_path / "shop.py") in problem.message
    (tmp_path / "shop.py").write_text("class Shopper: ...")
    assert loads(text, "f.yaml", tmp_path).scenario.load.locustfile == "shop.py::Shopper"
    [long] = problems(text.replace("shop.py", "x" * 5000 + ".py"), tmp_path)
    assert "no such file" in long.message


def test_files_that_cannot_be_read_say_why(tmp_path):
    def message(path: Path) -> str:
        with pytest.raises(ScenarioError) as caught:
            load(path)
        return str(caught.value)

    assert "No such file" in message(tmp_path / "absent.yaml")
    assert "directory" in message(tmp_path)
    windows = tmp_path / "windows.yaml"
    windows.write_bytes("name: x\nurl: caf\u00e9\n".encode("cp1252"))
    assert f"{windows}:2:9: not UTF-8 text: byte 0xE9" in message(windows)
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (2**20 + 1))
    assert "larger than 1 MiB" in message(huge)
    marked = tmp_path / "marked.yaml"
    marked.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(marked).scenario.name == "shop"


def loaded_or_refused(text: str) -> Loaded | list[Problem]:
    """Anything else that is raised fails the test."""
    try:
        return loads(text, "f.yaml", Path())
    except ScenarioError as error:
        return error.problems


LINES = template().splitlines()
pieces = st.sampled_from(
    ["name:", "target:", "  url: http://127.0.0.1", "load: {rate: 1/s, requests: [{get: /}]}", "phases: {soak: 1m}",
     "criteria: [{metric: errors.ratio, below: 1%}]", "- ", "  ", "&a", "*a", "<<: *a", "[", "]", "{", "}", "'", '"',
     "!!int", "%", "\t", ": ", "? ", "| ", "null", "true", "9e999", "\\", "\x85", "\u2028", "#", "---", "..."]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.lists(pieces | st.text(max_size=4), max_size=25).map("\n".join))
def test_any_text_loads_or_is_refused_and_nothing_else(text):
    found = loaded_or_refused(text)
    if isinstance(found, Loaded):
        explain(found.scenario)
    else:
        assert found
        assert all(p.message for p in found)


VALUES = st.sampled_from(
    ["", "null", "true", "0", "-1", "1e300", "5", "5ms", "-5%", "0/s", "1e17/s", "99999999h", "[]", "{}", "[1, 2]",
     "{a: b}", "'x: y'", '"\\u0007"', "x" * 200, "http://[", "tcp://h", "/{random:1-99999999999999999999}", "a.py::B"]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_in_any_place_loads_or_is_refused(data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        i = data.draw(st.integers(0, len(lines) - 1))
        head, colon, _ = lines[i].partition(":")
        lines[i] = f"{head}{colon} {data.draw(VALUES)}"
    found = loaded_or_refused("\n".join(lines))
    if isinstance(found, Loaded):
        explain(found.scenario)
        assert Scenario.model_validate(json.loads(json.dumps(found.raw))) == found.scenario
    else:
        assert all(p.line >= 1 for p in found), found


def test_an_earlier_run_becomes_the_reference_of_a_scenario_that_has_none(tmp_path: Path) -> None:
    run_file = tmp_path / "before.soak"
    run_file.touch()
    loaded = compared_with(loads(GOOD, "shop.yaml", tmp_path), run_file)
    assert loaded.scenario.earlier is not None
    assert loaded.scenario.earlier.files == [str(run_file)]
    assert Scenario.model_validate(loaded.raw) == loaded.scenario  # what the run file keeps
    with pytest.raises(SoakError, match="has a reference already"):
        compared_with(loaded, run_file)
