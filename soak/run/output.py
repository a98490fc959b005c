"""What a target's own output says about its stacks."""

from __future__ import annotations

import re

_OVERFLOWED = re.compile(
    rb"^.*(?:"
    rb"Fatal Python error: .*stack overflow"  # CPython, Python/ceval.c
    rb"|goroutine stack exceeds"  # Go, runtime/stack.go
    rb"|has overflowed its stack"  # Rust, library/std/src/sys: stack_overflow
    rb"|^Stack overflow\.|StackOverflowException"  # .NET
    rb"|java\.lang\.StackOverflowError"
    rb"|AddressSanitizer: stack-overflow"
    rb"|RangeError: Maximum call stack size exceeded"  # V8
    rb"|\(SystemStackError\)"  # Ruby
    rb").*$",
    re.MULTILINE,
)
_LINE_CHARS = 200
_RECURSION = b"\nRecursionError: maximum recursion depth exceeded"  # Python/ceval.c, as traceback prints it


class RecursionErrors:
    """Counts the lines of an output by which Python tells of a RecursionError, as the output comes.

    Only the line that ends a traceback is one, so it has to begin with the name of the error: a log that quotes it in
    the middle of a line would count every error twice.
    """

    def __init__(self) -> None:
        self.count = 0
        self._rest = b"\n"

    def feed(self, chunk: bytes) -> None:
        """The next part of the output, wherever it was cut."""
        text = self._rest + chunk
        self.count += text.count(_RECURSION)
        self._rest = text[1 - len(_RECURSION) :]  # one byte too short for what was counted already


def overflow_said(output: bytes) -> str | None:
    """The last line by which a runtime says that a stack of its ran over; None when there is none."""
    found = [m[0] for m in _OVERFLOWED.finditer(output)]
    return found[-1].strip().decode(errors="replace")[:_LINE_CHARS] if found else None
