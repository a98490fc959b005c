"""The JSON Schema of a scenario, for editors that complete and check while one types."""

from __future__ import annotations

from typing import Any

from soak.core.scenario import Scenario


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the YAML form of a scenario."""
    schema = Scenario.model_json_schema(by_alias=True, mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "soak scenario",
        "description": "What a soak does and what it is judged by.",
    }
