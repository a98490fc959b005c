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


def overflow_said(output: bytes) -> str | None:
    """The last line by which a runtime says that a stack of its ran over; None when there is none."""
    found = [m[0] for m in _OVERFLOWED.finditer(output)]
    return found[-1].strip().decode(errors="replace")[:_LINE_CHARS] if found else None
