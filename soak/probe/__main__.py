"""`soak observe` by itself: it stays beside a service for months, so it holds no more in memory than it needs.

argument: the settings of the observer as JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from soak.core.errors import exit_code
from soak.probe.observer import Watched
from soak.probe.serving import Settings, observe


def main(line: str) -> None:
    """Observe until it is ended."""
    given = json.loads(line)
    paths = {key: Path(given.pop(key)) for key in ("token_file", "tls_cert", "tls_key") if given.get(key) is not None}
    settings = Settings(**given | paths | {"watched": Watched(**given["watched"])})
    observe(settings, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1])))
