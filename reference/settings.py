"""The page of the settings of `soak serve`, from their model."""

from __future__ import annotations

from reference import markdown
from reference.schema import keys
from soak.core import units
from soak.daemon.config import Settings


def page() -> str:
    """docs/reference/settings.md."""
    schema = Settings.model_json_schema()
    usual = Settings()  # quantities are numbers inside, and text with a unit in a file
    schema["properties"]["min_free"]["default"] = units.size(usual.min_free)
    schema["properties"]["requests"]["default"] = f"{usual.requests:g}/s"
    sections = [
        f"## {name}\n\n{markdown.sentence(model.get('description', ''))}\n\n{keys(model)}"
        for name, model in schema.get("$defs", {}).items()
    ]
    return markdown.page(
        "Settings of the daemon",
        "Keys of the TOML file of `soak serve --config FILE`. A flag of the same name goes first; paths are relative "
        "to the file. How they are used: [Many soaks](../daemon.md).",
        "## The whole\n\n" + keys(schema, {"min_free": "size"}),
        *sections,
    )
