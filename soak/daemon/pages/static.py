"""The files that pages are made with: their own, those of the HTML report, and plotly.js as its package has it.

Nothing is imported for them: the daemon does not render reports, and plotly's package is large. plotly.js would write
style elements of its own. A link of the name that it looks for, with the class `no-inline-styles`, has it rely on a
stylesheet instead (plotly/plotly.js#7109), and the style of its maps is left out where an element has that style's id,
a digest that is another one in each version. So the policy needs no 'unsafe-inline'.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from soak.daemon.pages.answers import SAFE, problem_page

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_OWN_STYLE = re.compile(r'getElementById\("([0-9a-f]{64})"\)')
_KEPT = "public, max-age=3600"
"""A browser asks again once an hour; most of it is plotly.js, and the answer is then that nothing has changed."""


@cache
def _files() -> dict[str, Path]:
    own = Path(str(resources.files("soak.daemon.pages"))) / "static"
    report = Path(str(resources.files("soak"))) / "report"
    found = {path.name: path for path in own.iterdir() if path.suffix in _TYPES}
    found |= {"report.css": report / "page.css", "report.js": report / "page.js"}
    plotly = find_spec("plotly")
    if plotly is not None and plotly.origin is not None:
        found["plotly.js"] = Path(plotly.origin).parent / "package_data" / "plotly.min.js"
    return found


@cache
def own_styles() -> list[str]:
    """The ids of style elements that plotly.js would write unless they are there."""
    script = _files().get("plotly.js")
    return sorted(set(_OWN_STYLE.findall(script.read_text("utf-8")))) if script is not None else []


async def static(request: Request) -> Response:
    """One file."""
    path = _files().get(request.path_params["name"])
    if path is None:
        return problem_page(request, 404, "there is no such file")
    headers = SAFE | {"Cache-Control": _KEPT}
    return FileResponse(path, headers=headers, media_type=_TYPES[path.suffix])
