"""The allocations of a window as a flame graph: memray's own page, made from what the run file keeps."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from soak.core.errors import SoakError
from soak.runfile import read_artifacts

SHOWN = {"held": ["--leaks"], "peak": [], "temporary": ["--temporary-allocations"]}
"""What was not freed until the window's end, what was there when most was in use, or what was freed at once."""


def write_flamegraph(run_file: Path, window: str | None, shown: str, page: Path) -> str:
    """Write `page` from a window of a run, the candidate's last unless it is named; returns its name.

    Raises SoakError when there is none, when the run file is damaged, or when memray cannot read it.
    """
    kept = read_artifacts(run_file, "memray")
    if not kept:
        raise SoakError(
            f"{run_file}: no allocation window is kept in it: they are taken of Python targets with an agent only "
            "(target.process, or `soak exec`)"
        )
    last = next((n for n in reversed(kept) if n.startswith("candidate")), list(kept)[-1])
    name = window if window is not None else last
    if name not in kept:
        raise SoakError(f"--window {name}: not in this run, which has {', '.join(kept)}")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        capture = Path(folder) / f"{name}.bin"
        try:
            capture.write_bytes(zlib.decompress(kept[name]))
        except zlib.error as error:
            raise SoakError(f"{run_file}: window {name} is damaged: {error}") from None
        options = ["--force", "--no-web", *SHOWN[shown], "--output", str(page.resolve())]
        command = [sys.executable, "-m", "memray", "flamegraph", *options, str(capture)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SoakError(f"memray cannot make a flame graph of {name}: {done.stderr.strip()[-300:]}")
    return name
