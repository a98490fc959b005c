"""`python -m reference`: write every page that is made anew."""

from __future__ import annotations

import sys
from pathlib import Path

from reference.pages import PAGES

DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Write what changed, and say so on standard error."""
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
