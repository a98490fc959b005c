"""The benchmark of the load side: `python -m benchmarks.load [PART ...] [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.processes import MissingError
from benchmarks.rows import Row, table

PARTS = ("truth", "queueing", "cost", "memory", "size", "account")


def main() -> int:
    """Run the parts asked for, or all; 0 when every bar is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all of them if none")
    parser.add_argument("--quick", action="store_true", help="about two minutes, with wider noise")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON too")
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
    print(f"\n{machine()}\n\n{table(rows)}")
    if asked.json:
        document = {"machine": machine(), "quick": asked.quick, "rows": [asdict(row) for row in rows]}
        asked.json.write_text(json.dumps(document, indent=1) + "\n")
    return int(any(row.met is False for row in rows))


def machine() -> str:
    """Where the figures come from."""
    model = [x for x in Path("/proc/cpuinfo").read_text().splitlines() if x.startswith("model name")]
    name = model[0].partition(": ")[2] if model else platform.machine()
    return f"{len(model)} x {name}, Linux {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
