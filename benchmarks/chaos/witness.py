"""A load worker that writes down what it was told is safe: `python -m benchmarks.chaos.witness PARENT_PID NOTES`.

It is soak's own worker. Its notes are what "acknowledged" means, told by the one that was told, not by the run file.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from soak.load.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))

from soak.load import worker
from soak.load.plan import Invitation


class Noted(dict[int, Any]):
    """The reports that are not safe yet; each that leaves is noted, in one write that no kill can tear."""

    def __init__(self, name: str, notes: str) -> None:
        super().__init__()
        self._name = name
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def pop(self, key: int, default: Any = None) -> Any:
        """Take out a report that is safe."""
        if key in self:
            os.write(self._notes, f"{self._name} {key}\n".encode())
        return super().pop(key, default)


class Witness(worker.Worker):
    """The worker, with its reports in `Noted`."""

    def __init__(self, invitation: Invitation) -> None:
        super().__init__(invitation)
        self.unsafe = Noted(invitation.name, sys.argv[2])


if __name__ == "__main__":
    worker.Worker = Witness  # type: ignore[misc]
    worker.main()
