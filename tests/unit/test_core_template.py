from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.core.template import Placeholder, escape, outline, parse, placeholders


@pytest.mark.parametrize(
    "text, parts",
    [
        ("/items", ("/items",)),
        ("", ()),
        ("/a/{random:1-5}", ("/a/", Placeholder("random", low=1, high=5))),
        ("{uuid}", (Placeholder("uuid"),)),
        ("{user.first name}!", (Placeholder("name", "user", "first name"), "!")),
        ("{token}", (Placeholder("name", "token"),)),
        ("Bearer ${API_TOKEN}", ("Bearer ", Placeholder("env", "API_TOKEN"))),
        ("{{token}} {{}}", ("{token}", " ", "{}")),
        ('{"a": {"b": 1}}', ('{"a": {"b": 1}}',)),
        ('{"a": {"b": {n}}}', ('{"a": {"b": ', Placeholder("name", "n"), "}}")),
        ("{not a name} { } {1}", ("{not a name} { } {1}",)),
    ],
)
def test_texts_and_their_parts(text, parts):
    assert parse(text) == parts


@pytest.mark.parametrize("text", ["{random:5-1}", "{random:}", "{pick:1-2}", "{random:1-" + "9" * 5000 + "}"])
def test_a_placeholder_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match="LOW up to HIGH"):
        parse(text)


plain = st.text("ab \"'", max_size=4)
scalars = st.none() | st.integers() | st.booleans() | plain


@given(st.recursive(scalars, lambda x: st.lists(x, max_size=3) | st.dictionaries(plain, x, max_size=3)))
def test_json_is_text(value):
    text = json.dumps(value)
    assert "".join(str(p) for p in parse(text)) == text


def test_placeholders_are_found_in_nested_data():
    found = placeholders({"a": ["{x}", 1, {"{y.z}": None}], "b": "{uuid}"})
    assert [(p.kind, p.name, p.column) for p in found] == [("name", "x", None), ("name", "y", "z"), ("uuid", "", None)]


def test_an_outline_hides_what_is_drawn_and_what_is_secret():
    assert outline("/i/{random:1-9}?k=${KEY}&u={user.id}") == "/i/{random}?k={KEY}&u={user}"


@given(
    st.text("a1{}$:.-{}", max_size=14) | st.sampled_from(["{a}", "${A}", "{{a}}", "{random:1-2}", "{a.b}", "x{uuid}"])
)
def test_an_escaped_text_means_itself(text):
    assert "".join(str(part) for part in parse(escape(text))) == text
