"""YAML with marks: places, surprises of YAML 1.1, and files that mean harm."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from soak.core.errors import Problem, ScenarioError
from soak.scenario.document import MAX_DEPTH, MAX_NODES, dotted, parse


def refused(text: str) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        parse(text, "f.yaml")
    return caught.value.problems


def only(text: str) -> Problem:
    problems = refused(text)
    assert len(problems) == 1, problems
    return problems[0]


def test_every_key_and_value_knows_its_place():
    document = parse("a: 1\nlist:\n  - x: 1\n    y: [5, 6]\n  - {z: ü, w: 2}\n", "f.yaml")
    assert document.data == {"a": 1, "list": [{"x": 1, "y": [5, 6]}, {"z": "ü", "w": 2}]}
    assert document.mark(("list", 0, "y", 1)) == (4, 12)
    assert document.mark(("list", 0, "y"), of_key=True) == (4, 5)
    assert document.mark(("list", 1, "w")) == (5, 15)
    assert document.mark(("list", 1, "absent")) == (5, 5), "the nearest that is written"


def test_line_ends_of_windows_do_not_shift_lines():
    assert parse("a: 1\r\nb:\r\n  c: 2\r\n", "f.yaml").mark(("b", "c")) == (3, 6)


def test_an_aliased_value_is_placed_where_it_is_written():
    document = parse("base: &b\n  x: 1\nuse: *b\n", "f.yaml")
    assert document.data["use"] == {"x": 1}
    assert document.mark(("use", "x")) == (2, 6)


def test_merge_keys_give_way_to_own_keys_wherever_they_stand():
    text = "d: &d {x: 1, y: 2}\ne: &e {y: 3, z: 4}\nown: {y: 9, <<: [*d, *e]}\n"
    document = parse(text, "f.yaml")
    assert document.data["own"] == {"x": 1, "y": 9, "z": 4}
    assert document.mark(("own", "y")) == (3, 10)
    assert document.mark(("own", "z")) == (2, 17)
    assert parse("d: &d {y: 1}\ne: &e {y: 2}\nf: {<<: [*d, *e]}\n", "f").data["f"] == {"y": 1}, "the first wins"


def test_the_surprises_of_yaml_1_1_stay_text():
    text = "on: no\nyes: off\nt: 1:30\ndate: 2020-01-01\noctal: 010\nhex: 0x10\nnan: .nan\nunder: 1_000\n"
    assert parse(text, "f.yaml").data == {
        "on": "no", "yes": "off", "t": "1:30", "date": "2020-01-01",
        "octal": "010", "hex": "0x10", "nan": ".nan", "under": "1_000",
    }  # fmt: skip


def test_numbers_booleans_and_null_are_read():
    data = parse("[1, -2, 0, 1.5, .5, 1e3, true, False, ~, null, '', '1']", "f.yaml").data
    assert data == [1, -2, 0, 1.5, 0.5, 1000.0, True, False, None, None, "", "1"]
    assert [type(x) for x in data[:6]] == [int, int, int, float, float, float]


def test_duplicate_keys_are_refused_all_of_them():
    problems = refused("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n")
    assert [(p.line, p.column, p.key) for p in problems] == [(4, 3, "b.c"), (5, 1, "a")]
    assert "line 3" in problems[0].message


@pytest.mark.parametrize("key", ["1", "true", "1.5", "null"])
def test_keys_that_are_not_text_are_refused(key):
    problem = only(f"a:\n  {key}: x\n")
    assert (problem.line, problem.column) == (2, 3)
    assert f'"{key}"' in problem.message


def test_lists_as_keys_are_refused():
    assert "plain word" in only("? [a]\n: 1\n").message


@pytest.mark.parametrize(
    "text", ["a: !!python/object/apply:os.system [x]", "a: !mine 5", "a: !!set {x}", "a: !!int x", "a: !!binary eA=="]
)
def test_tags_are_refused(text):
    problem = only(text)
    assert "tag" in problem.message
    assert (problem.line, problem.column) == (1, 4)


@pytest.mark.parametrize(
    "text, line, column, word",
    [
        ("a: 1\nb: [1, 2\n", 3, 1, "flow sequence"),
        ("a:\n\t- b\n", 2, 1, r"\t"),
        ("a: 1\n b: 2\n", 2, 3, "mapping"),
        ("a: 'x\n", 2, 1, "quoted"),
        ("a: *nope\n", 1, 4, "nope"),
        ("a: 1\n---\nb: 1\n", 2, 1, "another document"),
        ("a: 1\nb: \x07\n", 2, 4, "U+0007"),
        ('a: "\\ud800"\n', 1, 4, "U+D800"),
        ('a: "\\0"\n', 1, 4, "U+0000"),
        ('a: "\\e[31m"\n', 1, 4, "U+001B"),
        ('"\\e[31m": 1\n', 1, 1, "U+001B"),
        ('a: "\\UFFFFFFFF"\n', 1, 7, "not valid YAML"),
    ],
)
def test_what_is_no_yaml_is_refused_at_its_place(text, line, column, word):
    problem = only(text)
    assert (problem.line, problem.column) == (line, column)
    assert word in problem.message


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_nothing_is_no_scenario(text):
    assert "empty" in only(text).message


def laughs(width: int, levels: int) -> str:
    lines = ["a0: &a0 [" + ",".join(["x"] * width) + "]"]
    lines += [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * width)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10_000,
        "{" * 10_000,
        "- " * 10_000,
        "? " * 10_000,
        "\n".join(" " * i + "a:" for i in range(1000)),
        "a: [" + "1," * 200_000 + "]",
        "x" * (2**20 + 1),
        laughs(9, 9),
        laughs(2, 30),
        "a: &x [*x, *x]",
        "a: &x {b: *x}",
        "a: &x {<<: *x}",
        laughs(9, 9).replace("[", "{<<: [").replace("]", "]}").replace("x", "{k: 1}"),
    ],
    ids=lambda text: text[:12],
)
def test_files_that_would_exhaust_the_reader_are_refused(text):
    message = only(text).message
    assert any(word in message for word in ("too deep", "too large", "larger than")), message


def test_honest_sizes_are_read():
    nested = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse(nested, "f.yaml").data is not None
    wide = "\n".join(f"- item {i}" for i in range(MAX_NODES // 2))
    assert len(parse(wide, "f.yaml").data) == MAX_NODES // 2
    assert parse("a: &a [1, 2]\nb: [*a, *a]\n", "f.yaml").data["b"] == [[1, 2], [1, 2]]


@pytest.mark.parametrize("number", ["9" * 19, "9" * 5000, "-" + "9" * 19, "1e400", "1.0e999"])
def test_numbers_beyond_all_measure_are_refused(number):
    problem = only(f"a: {number}")
    assert "number" in problem.message
    assert problem.key == "a"


def test_a_path_is_shown_as_people_write_it():
    assert dotted(("criteria", 1, "growth_below")) == "criteria[1].growth_below"
    assert dotted(()) == ""
    assert dotted(("env", "two\nlines")) == r"env.'two\nlines'", "one problem is one line"


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(-1e6, 1e6, width=32)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


class Quoting(yaml.SafeDumper):
    """Puts all text in quotes, because YAML 1.1 would leave `1e3` bare, which is a number since 1.2."""


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@given(json_like, st.booleans())
def test_what_yaml_writes_is_read_back_the_same(data, flow):
    text = yaml.dump({"root": data}, Dumper=Quoting, default_flow_style=flow, allow_unicode=True)
    assert parse(text, "f.yaml").data == {"root": data}
