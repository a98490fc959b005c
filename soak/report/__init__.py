"""The verdict for people and for their tools: text, JSON, HTML, JUnit and Markdown, one file a view."""

from soak.report.checkup import render_checkup
from soak.report.compared import render_compared
from soak.report.flamegraph import SHOWN, write_flamegraph
from soak.report.render import FORMATS, render
from soak.report.series import render_series, series_json

__all__ = [
    "FORMATS",
    "SHOWN",
    "render",
    "render_checkup",
    "render_compared",
    "render_series",
    "series_json",
    "write_flamegraph",
]
