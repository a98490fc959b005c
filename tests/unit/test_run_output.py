"""What a target's output says about its stacks, as the runtimes print it."""

from __future__ import annotations

import pytest

from soak.run.output import overflow_said


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
