"""Where a benchmark leaves what it found: printed, as JSON, and in the page of docs/ that is about it."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.rows import Row, table


def add_options(parser: argparse.ArgumentParser) -> None:
    """--json FILE and --docs."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    parser.add_argument("--docs", action="store_true", help="put what is printed into its page of docs/ too")


def leave(
    rows: Sequence[Row], given: argparse.Namespace, name: str, page: str = "performance.md", below: str = ""
) -> int:
    """Print the table and what is `below` it, and write them where `given` asks; 0 when no bar is missed, else 1."""
    text = f"{machine()}:\n\n{table(rows)}" + (f"\n\n{below}" if below else "")
    print(f"\n{text}")
    if given.json:
        document = {"machine": machine(), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if given.docs:
        put(ROOT / "docs" / page, name, text)
    return int(any(row.met is False for row in rows))


def put(page: Path, name: str, text: str) -> None:
    """Write `text` between `<!-- name -->` and `<!-- /name -->`. Raises ValueError on a page that has not both."""
    old = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    before, found, rest = old.partition(begin)
    _, also_found, after = rest.partition(end)
    if not (found and also_found):
        raise ValueError(f"{page} has no place for {name}: {begin.strip()} ... {end.strip()}")
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")


def machine() -> str:
    """Where the figures come from."""
    model = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    name = model[0].partition(": ")[2] if model else platform.machine()
    return f"{len(model)} x {name}, Linux {platform.release()}, Python {platform.python_version()}"
