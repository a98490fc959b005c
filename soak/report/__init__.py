"""The verdict for people; one file a view."""

from collections.abc import Callable, Mapping

from soak.core.records import Recording
from soak.core.verdict import Verdict
from soak.report import json_view, text

_VIEWS: Mapping[str, Callable[[Recording, Verdict], str]] = {
    "text": text.render,
    "json": json_view.render,
    "html": json_view.render,
}

FORMATS = tuple(_VIEWS)


def render(recording: Recording, verdict: Verdict, view: str) -> str:
    """A run and its verdict in one of FORMATS."""
    return _VIEWS[view](recording, verdict)


__all__ = ["FORMATS", "render"]
