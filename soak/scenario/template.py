"""The commented scenario that `soak init` writes."""

from __future__ import annotations

from importlib import resources


def template() -> str:
    """A valid scenario that explains every key in its comments."""
    return resources.files("soak.scenario").joinpath("template.yaml").read_text(encoding="utf-8")
