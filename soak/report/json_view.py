"""The verdict as JSON: `soak.verdict/1`, described by verdict.schema.json beside this file."""

from __future__ import annotations

import json

from soak.core.records import Recording
from soak.core.verdict import Verdict


def render(recording: Recording, verdict: Verdict) -> str:  # noqa: ARG001
    """The document, indented; pure ASCII, so that no terminal or pipe can spoil a name in it."""
    return json.dumps(verdict.to_json(), indent=2, allow_nan=False)
