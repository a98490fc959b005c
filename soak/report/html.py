"""The verdict as one page that needs no network: tables, and charts to look into.

Everything is inside: style, script, plotly.js and the data. A Content-Security-Policy lets nothing else
run or load: the page's own two scripts are named by their hashes, so that even markup that slipped
through the escaping could not act. Text from outside is escaped by Jinja; data in the script by `_script_json`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import plotly.offline
from markupsafe import Markup, escape

from soak.core import units
from soak.core.comparison import RunsCompared
from soak.core.records import Event, Recording
from soak.core.verdict import Verdict
from soak.report import facts, phrases, tables
from soak.report.chart import Chart
from soak.report.charts import charts, endpoints
from soak.report.criteria import criterion_rows

_EVERYWHERE = (
    "crash",
    "stack_exhaustion",
    "oom_kill",
    "hang",
    "restart",
    "no_recovery",
    "noisy_host",
    "generator_saturated",
)
"""Causes that explain any chart, and so mark each."""
_DRAWN = (
    "target_exit",
    "restart",
    "oom_kill",
    "worker_lost",
    "generator_error",
    "interrupted",
    "stopped_early",
    "torn",
)
_QUIET = ("phase", "schedule")
_MOST_EVENTS = 200
_ELSEWHERE = ("scenario_text", "earlier_runs")
"""Provenance that is shown in another place, or is numbers to compare with."""
_SEVERITY_WORDS = {"fail": "Fails the run", "warning": "Warning", "info": "For information"}

_ICONS = {
    "pass": '<path d="M5 12.5l4.5 4.5L19 7.5"/>',
    "fail": '<path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/>',
    "inconclusive": '<path d="M9 9a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2.2M12 17.4v.2"/>',
    "invalid": '<path d="M12 6v7.5M12 17.2v.2"/>',
    "warning": '<path d="M12 6v7.5M12 17.2v.2"/>',
    "info": '<path d="M12 11v6.5M12 6.8v.2"/>',
}


def render(recording: Recording, verdict: Verdict) -> str:
    """The page."""
    drawn = charts(recording)
    js, style = _asset("page.js"), _asset("page.css")
    plotly_js = _plotly() if drawn else ""
    return (
        _templates()
        .get_template("page.html")
        .render(
            csp=_policy(js, *([plotly_js] if drawn else [])),
            css=Markup(style),
            js=Markup(js),
            plotly=Markup(plotly_js),
            data=Markup(_script_json(_data(recording, verdict, drawn))),
            **_shown(recording, verdict, drawn),
        )
    )


def part(recording: Recording, verdict: Verdict, *, going_on: bool) -> dict[str, Any]:
    """What is between the banner and the foot, for a page that has the style and the scripts: `html` and chart `data`.

    Of a run that is going on it is what is known so far.
    """
    drawn = charts(recording)
    shown = _shown(recording, verdict, drawn)
    if going_on:
        shown |= _so_far(recording, verdict)
    return {
        "word": facts.word(verdict),
        "verdict": verdict.verdict,
        "html": "".join(_templates().get_template(name).render(**shown) for name in ("sections.html", "view.html")),
        "data": _data(recording, verdict, drawn),
    }


def _so_far(recording: Recording, verdict: Verdict) -> dict[str, Any]:
    """What is said otherwise of a run that goes on: it has not ended too early, and nothing is to be done of that."""
    soaked, planned = units.duration(round(verdict.soak_s)), units.duration(recording.scenario.phases.soak)
    if verdict.verdict in ("fail", "invalid"):
        return {"going_on": True, "headline": f"So far: {facts.headline(verdict)}"}
    headline = f"So far nothing fails: {soaked} of {planned} are soaked."
    return {"going_on": True, "headline": headline, "next_step": "", "reasons": []}


def compared_part(found: RunsCompared) -> str:
    """Runs against runs, as what `part` gives of one run."""
    rows = [
        (tables.comparison_row(c), units.percent(seen - 1) if seen is not None and math.isfinite(seen) else "")
        for c, seen in zip(found.comparison, found.visible, strict=True)
    ]
    headline = found.headline.removeprefix(f"{phrases.WORDS[found.verdict]}:").strip()
    return _templates().get_template("compared.html").render(found=found, rows=rows, headline=headline)


def _shown(recording: Recording, verdict: Verdict, drawn: list[Chart]) -> dict[str, Any]:
    found = facts.findings(verdict)
    start, end = recording.soak_span or (0.0, recording.duration)
    events = [e for e in recording.events if e.kind not in _QUIET]
    names = endpoints(recording)
    return {
        "going_on": False,
        "verdict": verdict,
        "scenario": verdict.scenario,
        "word": facts.word(verdict),
        "headline": facts.headline(verdict),
        "next_step": facts.next_step(verdict),
        "reasons": facts.further_reasons(verdict),
        "summary": facts.summary(recording, verdict),
        "phases": facts.phases(recording),
        "findings": found,
        "severity_words": _SEVERITY_WORDS,
        "beside": verdict.reference is not None,
        "criteria": criterion_rows(recording, verdict),
        "comparison": tables.comparison_rows(verdict),
        "latency": list(tables.latency_rows(verdict)),
        "failures": tables.failure_rows(recording),
        "quantiles": tables.QUANTILE_LABELS,
        "resources": list(tables.resource_rows(recording)),
        "hot": tables.hot_rows(recording),
        "sites": tables.site_rows(recording),
        "measurement": [
            (name, side, facts.account(side), facts.instrument(recording, name, side))
            for name, side in facts.sides(verdict).items()
        ],
        "events": [(_moment(recording, e), e) for e in events[:_MOST_EVENTS]],
        "more_events": max(0, len(events) - _MOST_EVENTS),
        "provenance": _provenance(recording),
        "scenario_text": recording.provenance.get("scenario_text"),
        "charts": [(chart, chart.summary(start, end)) for chart in drawn],
        "endpoints": names,
        "picked": _picked(found, names),
    }


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # control characters are made visible wherever text goes onto the page
        finalize=lambda value: value if isinstance(value, Markup) else phrases.clean("" if value is None else value),
    )
    environment.globals.update(advised=_advised, icon=_icon, block=_block, phrases=phrases)
    return environment


def _advised(text: str) -> Markup:
    """Advice, with what it has in backticks as code."""
    plain, *rest = phrases.clean(text).split("`")
    found = Markup("") + plain
    for i, part in enumerate(rest):
        found += Markup("<code>{}</code>").format(part) if i % 2 == 0 else part
    return found


@cache
def _asset(name: str) -> str:
    return resources.files("soak.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    script: str = plotly.offline.get_plotlyjs()
    if "</script" in script.lower() or "<!--" in script:
        script = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return script.replace("\r\n", "\n")


def _policy(*scripts: str) -> str:
    """What the page may do: run its own scripts, style itself, show images it made. Nothing from outside."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # plotly.js sets styles as it draws, which a hash cannot name
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _icon(kind: str) -> Markup:
    return Markup(
        '<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2.4" '
        'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="12" cy="12" r="10.5" '
        f'stroke-width="1.8"/>{_ICONS[kind]}</svg>'
    )


def _block(text: object) -> Markup:
    return escape(phrases.clean_block(text))


def _moment(recording: Recording, event: Event) -> str:
    clock = phrases.wall_clock(recording.wall(event.t))
    return f"{units.duration(round(max(event.t, 0.0)))} ({clock[11:19]})"


def _provenance(recording: Recording) -> list[tuple[str, str]]:
    rows = []
    for key, value in recording.provenance.items():
        if key in _ELSEWHERE or value in (None, "", {}):
            continue
        if isinstance(value, dict):
            shown = ", ".join(f"{k} {v}" for k, v in value.items() if v is not None)
        else:
            shown = str(value)
        rows.append((str(key).replace("_", " "), shown))
    return rows


def _picked(found: list[facts.NumberedFinding], names: list[str]) -> str:
    """The endpoint whose latency is shown at first: the one that the gravest latency finding is about."""
    rooms = ("latency", "service")
    about = (f.finding.endpoint for f in found if f.finding.metric.partition(".")[0] in rooms)
    return next((name for name in about if name in names), "")


def _marks(chart: Chart, found: list[facts.NumberedFinding]) -> list[int]:
    """Numbers of the findings that belong on a chart."""
    return [
        f.number for f in found if f.finding.cause in _EVERYWHERE or f.finding.metric.partition(".")[0] in chart.rooms
    ]


def _data(recording: Recording, verdict: Verdict, drawn: list[Chart]) -> dict[str, Any]:
    found = facts.findings(verdict)
    return {
        "started": recording.started,
        "gaps": [[gap.end, gap.away] for gap in recording.gaps],
        "duration": max(recording.duration, 1.0),
        "sides": list(recording.sides),
        "endpoints": endpoints(recording),
        "phases": [
            {
                "name": p.name.replace("_", "-"),
                "start": p.start,
                "end": p.end if p.end is not None else recording.duration,
            }
            for p in recording.phases
        ],
        "findings": [
            {
                "number": f.number,
                "side": f.side,
                "cause": f.finding.cause,
                "severity": f.finding.severity,
                "endpoint": f.finding.endpoint,
                "start": f.finding.start,
                "end": f.finding.end,
            }
            for f in found
        ],
        "events": [e.t for e in recording.events if e.kind in _DRAWN][:_MOST_EVENTS],
        "charts": [chart.data(_marks(chart, found)) for chart in drawn],
    }


def _script_json(value: object) -> str:
    """JSON that can stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
