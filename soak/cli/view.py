"""What the daemon's pages show of runs, made in a process of its own: its CPU time (s), and a line of JSON.

    python -m soak.cli.view run FILE        {"word", "verdict", "html", "data"}: a run that has ended
    python -m soak.cli.view going-on FILE   the same of a run that goes on, as it is now
    python -m soak.cli.view compare NEW OLD {"html"}

No verb: people have `soak report` and `soak compare`. Where it cannot be: a message on standard error, exit code 2.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

from soak import runfile
from soak.core.errors import SoakError, exit_code
from soak.judge import compare_runs, judge
from soak.report.html import compared_part, part
from soak.run import known_noise, summary_of


def main(words: list[str]) -> None:
    """Print what is asked for."""
    match words:
        case ["run" | "going-on" as how, file]:
            recording = runfile.read(Path(file))
            shown = part(recording, judge(recording), going_on=how == "going-on")
        case ["compare", new, old]:
            shown = _compared(Path(new), Path(old))
        case _:
            raise SoakError("expected `run FILE`, `going-on FILE` or `compare NEW OLD`")
    text = json.dumps(shown, allow_nan=False, separators=(",", ":"))
    sys.stdout.write(f"{process_time():.3f}\n{text}")


def _compared(new: Path, old: Path) -> dict[str, Any]:
    ours, theirs = summary_of(new), summary_of(old)
    name = runfile.read_meta(new)["scenario"]["name"]
    return {"html": compared_part(compare_runs(ours, theirs, known_noise(name, ours.load, new.parent)))}


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
