"""`python -m soak.publish`: makes a page for each line of JSON on standard input, until that ends.

The daemon's child: reading run files takes memory and time that a supervisor has no use for. A line is
`{"accept": ..., "runs": [...], "own": [[name, labels, value], ...]}`, its answer a line `{"type": ..., "bytes": n}` and
as many bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, BinaryIO

from soak.publish.exporter import Exporter, Shown, encode


def answer(exporter: Exporter, line: bytes, out: BinaryIO) -> None:
    """Answer one line."""
    asked = json.loads(line)
    page = exporter.page([_shown(run) for run in asked["runs"]])
    for name, labels, value in asked["own"]:
        page.add(name, labels, value)
    body, kind = encode(page, asked["accept"])
    out.write(json.dumps({"type": kind, "bytes": len(body)}).encode() + b"\n" + body)
    out.flush()


def _shown(run: dict[str, Any]) -> Shown:
    paths = {key: Path(run[key]) if run[key] is not None else None for key in ("path", "document")}
    return Shown(**(run | paths))


if __name__ == "__main__":
    exporter = Exporter()
    for line in sys.stdin.buffer:
        answer(exporter, line, sys.stdout.buffer)
