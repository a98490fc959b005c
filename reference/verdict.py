"""The page of the verdict: the JSON document, from the JSON Schema that is shipped."""

from __future__ import annotations

import json
from importlib import resources

from reference import markdown
from reference.schema import keys


def page() -> str:
    """docs/reference/verdict.md."""
    schema = json.loads((resources.files("soak.report") / "verdict.schema.json").read_text(encoding="utf-8"))
    types = {"cause": "one of the [Causes](causes.md)"}
    sections = []
    for name, model in schema["$defs"].items():
        about = markdown.sentence(model.get("description", ""))
        if "enum" in model:
            body = "One of " + ", ".join(map(markdown.code, model["enum"])) + "."
        elif "properties" in model:
            body = keys(model, types, column="field")
        else:
            body = "A mapping of endpoints to [percentiles](#percentiles)."
        sections.append(f"## {name}\n\n{about}\n\n{body}" if about else f"## {name}\n\n{body}")
    return markdown.page(
        "Verdict",
        "What `soak run --json` prints as the last thing on standard output, and `soak judge RUN --json` again later. "
        "The JSON Schema (`urn:soak:verdict:1`) is shipped as `soak/report/verdict.schema.json`. Values are in base "
        "units: seconds, bytes, ratios, 1/s and counts; percentiles are in milliseconds. Numbers that do not exist are "
        "`null`. What the words mean: [Concepts](../concepts.md).",
        "## The whole\n\n" + keys(schema, types, column="field"),
        *sections,
    )
