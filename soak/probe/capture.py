"""`python -m soak.probe.capture FILE`: what a memray capture holds, as JSON on standard output.

It runs as a process of its own, at low priority: a capture of some millions of allocations takes seconds to read, and
a run must go on meanwhile. Beside the file it leaves FILE.z, the same packed.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from soak.core.inspection import is_own, is_packaged

_SITES = 20
_FRAMES = 12
_CHUNK = 1 << 20
_DISPATCHERS = {
    "/asyncio/events.py": ("_run",),
    "/asyncio/base_events.py": ("run_forever", "run_until_complete"),
    "/asyncio/runners.py": ("run",),
    "/socketserver.py": ("serve_forever",),
}
"""What calls whatever is due: whoever is above it on the stack has nothing to do with that."""

Frame = tuple[str, str, int]
"""Function, file, line."""


def summary(path: Path) -> dict[str, Any]:
    """Totals, and call sites by bytes, by count and by what was still held at the end of the capture.

    A site is the innermost frame; of what was held, the one that answers for it, beside the innermost as `leaf`.
    """
    from memray import FileReader
    from memray._memray import compute_statistics  # what `memray stats` is made of

    found = compute_statistics(str(path), report_progress=False, num_largest=_SITES)
    reader = FileReader(str(path), report_progress=False)
    held = reader.get_leaked_allocation_records(merge_threads=True)
    return {
        "count": found.total_num_allocations,
        "bytes": found.total_memory_allocated,
        "by_bytes": [_site(*at, size=size) for at, size in found.top_locations_by_size],
        "by_count": [_site(*at, count=count) for at, count in found.top_locations_by_count],
        "held": _held(held),
    }


def _held(records: Iterable[Any]) -> list[dict[str, Any]]:
    """What was allocated in the window and not freed in it, by the frame that answers for it."""
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0, 0])
    for record in records:
        stack = record.stack_trace(_FRAMES)
        if not stack:
            continue
        at = sums[whose(stack), stack[0]]
        at[0] += record.size
        at[1] += record.n_allocations
    most = sorted(sums.items(), key=lambda item: item[1][0], reverse=True)[:_SITES]
    return [_site(*own, size=size, count=count) | {"leaf": _site(*leaf)} for (own, leaf), (size, count) in most]


def whose(stack: Sequence[Frame]) -> Frame:
    """The frame that answers for an allocation, of a stack with the innermost first.

    The innermost own one. Yet whoever started an event loop or a server, or a module that runs to its end, asked for
    none of what these do: then a package answers, by its innermost frame, else the innermost of all.
    """
    for i, (function, file, _) in enumerate(stack):
        if _dispatches(function, file):
            break
        if is_own(file) and (function != "<module>" or i == 0):
            return stack[i]
    return next((frame for frame in stack if is_packaged(frame[1])), stack[0])


def _dispatches(function: str, file: str) -> bool:
    return any(file.endswith(end) and function in functions for end, functions in _DISPATCHERS.items())


def _site(function: str, file: str, line: int, **numbers: int) -> dict[str, Any]:
    return {"function": function, "file": file, "line": line, **numbers}


def pack(path: Path) -> None:
    """Write FILE.z, in pieces."""
    packer = zlib.compressobj(6)
    with path.open("rb") as source, path.with_name(path.name + ".z").open("wb") as target:
        while piece := source.read(_CHUNK):
            target.write(packer.compress(piece))
        target.write(packer.flush())


def main() -> None:
    """Print the summary of the capture that the command line names."""
    os.nice(10)
    path = Path(sys.argv[1])
    print(json.dumps(summary(path)))  # noqa: T201
    pack(path)


if __name__ == "__main__":
    main()
