"""The one way in: a recording and its verdict, rendered in one of the formats."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from soak.core.errors import SoakError
from soak.core.records import Recording
from soak.core.verdict import Verdict

_VIEWS: Mapping[str, str] = {
    "text": "soak.report.text",
    "json": "soak.report.json_view",
    "html": "soak.report.html",
    "junit": "soak.report.junit",
    "markdown": "soak.report.markdown",
}

FORMATS: tuple[str, ...] = tuple(_VIEWS)
"""Every format that `render` knows."""


def render(recording: Recording, verdict: Verdict, format: str) -> str:
    """The report in `format`, one of FORMATS, as text without a newline at its end.

    A pure function: the same recording and verdict give the same report, whenever it is made. Raises
    SoakError for a format that does not exist.
    """
    module = _VIEWS.get(format)
    if module is None:
        raise SoakError(f"unknown report format {format!r}; there are {', '.join(FORMATS)}")
    # a view is imported when it is wanted: the page brings plotly along, which a terminal has no use for
    view = import_module(module)
    text: str = view.render(recording, verdict)
    return text
