"""`soak` under a wall clock that somebody sets: `python -m benchmarks.chaos.stepped SECONDS_FILE soak-arguments...`.

The machine's own clock is left alone: only what this process reads moves, by as many seconds as the file says.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from soak.cli import main

if __name__ == "__main__":
    steps, real = Path(sys.argv.pop(1)), time.time

    def stepped() -> float:
        """The time of day (s since the epoch), set by as much as the file says."""
        return real() + float(steps.read_text() or 0.0)

    time.time = stepped
    main()
