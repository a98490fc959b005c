"""What is installed, in bytes: the size of a file, or of all files in a folder."""

from __future__ import annotations

import os
from pathlib import Path

from soak.core.errors import TargetError


def size_of(path: Path) -> tuple[int, int]:
    """Bytes and number of files. A file with several names counts once; links inside a folder are not followed.

    Bytes are the lengths of the files, not the blocks they take: those differ from one file system to the next. Raises
    TargetError when something cannot be read: half a size is none.
    """
    seen: set[tuple[int, int]] = set()
    total = 0

    def fail(error: OSError) -> None:
        raise TargetError(f"artefact: {error.filename}: {error.strerror}") from None

    try:
        files = [path] if not path.is_dir() else [Path(f) / n for f, _, ns in os.walk(path, onerror=fail) for n in ns]
        for file in files:
            found = file.stat() if file == path else file.lstat()
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_size
    except OSError as error:
        fail(error)
    return total, len(seen)
