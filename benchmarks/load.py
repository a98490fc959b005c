"""The benchmark of the load side: `python -m benchmarks.load [PART ...] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.outcome import add_options, leave
from benchmarks.processes import MissingError
from benchmarks.rows import Row

PARTS = ("truth", "queueing", "cost", "memory", "size", "account")


def main() -> int:
    """Run the parts asked for, or all; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all of them if none")
    parser.add_argument("--quick", action="store_true", help="about two minutes, with wider noise")
    add_options(parser)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="soak-bench-") as folder:
        for part in asked.parts or PARTS:
            begun = time.monotonic()
            print(f"{part} ...", flush=True)
            try:
                rows += importlib.import_module(f"benchmarks.{part}").measure(Path(folder) / part, asked.quick)
            except MissingError as error:
                rows.append(Row(part, str(error), "-"))
            print(f"  {time.monotonic() - begun:.0f} s", flush=True)
    return leave(rows, asked, "load")


if __name__ == "__main__":
    sys.exit(main())
