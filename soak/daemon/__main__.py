"""`soak serve` by itself: it runs for months, so it holds no more in memory than it needs.

argument: what it was told, as JSON: {"config": FILE or null, "flags": {...}, "add_token", "role", "remove_token"}
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from soak.core.errors import SoakError, exit_code
from soak.daemon.config import Settings, settings
from soak.daemon.log import log_to_stderr
from soak.daemon.serve import serve
from soak.daemon.state import State
from soak.daemon.tokens import make_token

_LAST = "that was the last token: a daemon on loopback is now open to whoever is on this machine, any other to nobody"


def main(line: str) -> None:
    """Serve until it is ended, or do what is asked for tokens."""
    given: dict[str, Any] = json.loads(line)

    def read() -> Settings:
        return settings(Path(given["config"]) if given["config"] else None, given["flags"])

    told = read()
    if given["add_token"] is not None:
        with State(told.state) as state:
            token = make_token(state, given["add_token"], given["role"], time.time())
            _note(state, "add token", f"{given['add_token']}, role {given['role']}")
        print(token)  # noqa: T201
    elif given["remove_token"] is not None:
        with State(told.state) as state:
            if not state.remove_token(given["remove_token"]):
                raise SoakError(f"--remove-token: there is no token {given['remove_token']!r}")
            _note(state, "remove token", given["remove_token"])
            if not state.tokens():
                print(f"soak: {_LAST}", file=sys.stderr)  # noqa: T201
    else:
        log_to_stderr(told.log)
        serve(told, read)


def _note(state: State, action: str, detail: str) -> None:
    """Whoever can write the state did it: the machine knows them by their user."""
    state.note(time.time(), f"uid {os.getuid()}", "", action, None, detail)


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1])))
