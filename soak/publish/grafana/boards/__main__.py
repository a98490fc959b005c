"""`make dashboards`: writes the dashboards anew, a file each, into the folder that is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from soak.publish.grafana.boards import boards


def main(folder: Path) -> None:
    """Write them."""
    folder.mkdir(exist_ok=True)
    for model in boards():
        (folder / f"{model['uid']}.json").write_text(text(model), encoding="utf-8")


def text(model: dict[str, object]) -> str:
    """A dashboard as it stands in its file."""
    return json.dumps(model, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
