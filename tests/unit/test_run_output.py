"""What a target's output says about its stacks, as the runtimes print it."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soak.run.output import RecursionErrors, overflow_said


@pytest.mark.parametrize(
    "line",
    [
        "Fatal Python error: _Py_CheckRecursiveCall: Cannot recover from stack overflow.",
        "runtime: goroutine stack exceeds 1000000000-byte limit",
        "thread 'main' has overflowed its stack",
        "thread 'worker' (4711) has overflowed its stack",
        "Stack overflow.",
        'Exception in thread "main" java.lang.StackOverflowError',
        "==4711==ERROR: AddressSanitizer: stack-overflow on address 0x7ffc",
        "RangeError: Maximum call stack size exceeded",
        "app.rb:2:in `walk': stack level too deep (SystemStackError)",
    ],
)
def test_runtimes_say_that_a_stack_ran_over(line: str) -> None:
    assert overflow_said(f"serving\n{line}\n\tat Shop.walk(Shop.java:12)\n".encode()) == line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "served 200\nFatal Python error: Segmentation fault\n",
        "answers from stackoverflow.com: Stack overflow. And what then?",
        "*** stack smashing detected ***: terminated",
        "RecursionError: maximum recursion depth exceeded",
    ],
)
def test_other_words_are_not_taken_for_it(text: str) -> None:
    assert overflow_said(text.encode()) is None


def test_a_line_is_cut_and_need_not_be_text() -> None:
    said = overflow_said(b"\xff" * 300 + b"java.lang.StackOverflowError")
    assert said is not None
    assert len(said) == 200


SAID = b"RecursionError: maximum recursion depth exceeded"


@pytest.mark.parametrize(
    "output,count",
    [
        (b"", 0),
        (SAID, 1),
        (SAID + b"\n", 1),
        (SAID + b" while calling a Python object\n", 1),
        (b"ERROR in app\nTraceback ...\n  walk(n - 1)\n" + SAID + b" in comparison\nGET / 500\n" + SAID + b"\n", 2),
        (b"caught " + SAID + b"\n", 0),
        (b"RecursionError: something else\nrecursionerror\n", 0),
        (SAID[:-1] + b"\n" + SAID[:-1], 0),
        (b"\n" * 5 + SAID + b"\r\n" + SAID + b"\r\n", 2),
        (b"x" * 1000 + SAID + b"y" * 1000 + b"\n" + SAID, 1),
    ],
)
def test_recursion_errors_are_counted_by_the_lines_that_begin_with_them(output: bytes, count: int) -> None:
    for size in (1, 2, 7, len(SAID), len(SAID) + 1, 65536):
        errors = RecursionErrors()
        for i in range(0, len(output), size):
            errors.feed(output[i : i + size])
        assert errors.count == count, size


@given(st.lists(st.sampled_from([SAID, b"\n", b"x", SAID[:20], SAID[20:], b"\n" + SAID])), st.data())
def test_it_does_not_matter_where_the_output_is_cut(parts: list[bytes], data: st.DataObject) -> None:
    output = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=6)))
    errors = RecursionErrors()
    for a, b in itertools.pairwise([0, *cuts, len(output)]):
        errors.feed(output[a:b])
    assert errors.count == sum(line.startswith(SAID) for line in output.split(b"\n"))
