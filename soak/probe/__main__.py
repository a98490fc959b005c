"""`soak observe` by itself: it stays beside a service for months, so it holds no more in memory than it needs.

argument: the settings of the observer as JSON
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from soak.core.errors import SoakError
from soak.probe.observer import Watched
from soak.probe.serving import Settings, observe


def main(line: str) -> int:
    """Observe until it is ended; the exit code."""
    given = json.loads(line)
    paths = {key: Path(given.pop(key)) for key in ("token_file", "tls_cert", "tls_key") if given.get(key) is not None}
    settings = Settings(**given | paths | {"watched": Watched(**given["watched"])})
    try:
        observe(settings, lambda text: print(text, file=sys.stderr, flush=True))  # noqa: T201
    except SoakError as error:
        print(f"soak: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        pass  # before it had begun
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
