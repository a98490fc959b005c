"""The run file: one SQLite file a run, the only seam between measuring and judging."""

from soak.runfile.catalogue import entries, folder, new_path, resolve
from soak.runfile.live import LiveReader
from soak.runfile.read import read, read_artifacts, read_meta, read_recent, read_standing
from soak.runfile.rollup import window_length
from soak.runfile.schema import STANDING, SUFFIX
from soak.runfile.write import RunWriter

__all__ = [
    "STANDING",
    "SUFFIX",
    "LiveReader",
    "RunWriter",
    "entries",
    "folder",
    "new_path",
    "read",
    "read_artifacts",
    "read_meta",
    "read_recent",
    "read_standing",
    "resolve",
    "window_length",
]
