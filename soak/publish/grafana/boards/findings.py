"""What several dashboards show: findings with their next step, criteria, the state of runs."""

from __future__ import annotations

from soak.publish.grafana.boards.panels import (
    BAD,
    GOOD,
    TO_RUN,
    UNSURE,
    WARN,
    Panel,
    Row,
    column,
    named,
    of_run,
    row_of_run,
    stat,
    table,
)

RUN = "job, instance, scenario"
_FINDING = f"{RUN}, side, cause, metric, endpoint"

RUNNING = f'max by ({RUN}) (soak_run_state{{$of,state="running"}})'
TIME_LEFT = (
    f"clamp_min(soak_finding_eta_seconds{{$of}} - on ({RUN}) group_left () "
    f"((time() - soak_judged_timestamp_seconds{{$of}}) * on ({RUN}) {RUNNING}), 0)"
)
"""Seconds to the limit from now: while the run goes on, the time since it was judged has passed of it."""

NO_LIMIT = -1
VERDICTS = {"pass": ("pass", GOOD), "fail": ("FAIL", BAD), "inconclusive": ("inconclusive", WARN),
            "invalid": ("INVALID", UNSURE)}  # fmt: skip
SEVERITIES = {"fail": ("FAIL", BAD), "warning": ("warning", WARN), "info": ("info", "blue")}
SOON = ((None, BAD), (6 * 3600.0, WARN), (48 * 3600.0, GOOD))
"""Colours of a time left."""
_COLORED = {"type": "color-background", "mode": "basic"}


def findings() -> Panel:
    """Each finding in a line: what, where, how fast, the time left, what to do."""
    info = f"max by ({_FINDING}, severity, location, advice) (soak_finding_info{{$of}})"
    left = f"({info} * on ({_FINDING}) group_left () {TIME_LEFT}) or ({info} * 0 - {-NO_LIMIT})"
    rate = f"max by ({_FINDING}, unit) (soak_finding_rate{{$of}})"
    columns = [
        ("severity", "Severity"), ("scenario", "Scenario"), ("cause", "Cause"), ("Value #A", "Time left"),
        ("advice", "Next step"), ("location", "Place in the code"), ("side", "Side"), ("metric", "Metric"),
        ("endpoint", "Endpoint"), ("Value #B", "Rate"), ("unit", "Rate in"),
    ]  # fmt: skip
    no_limit = [{"type": "value", "options": {str(NO_LIMIT): {"text": "no limit known", "color": "text", "index": 0}}}]
    overrides = (
        column("Severity", width=90, cell=_COLORED, mappings=named(SEVERITIES)),
        column("Scenario", links=TO_RUN),
        column("Cause", width=150),
        column("Time left", width=130, unit="s", mappings=no_limit, cell={"type": "color-text"}, steps=SOON),
        column("Next step", width=520),
        column("Side", width=90),
        column("Rate", width=100),
    )
    return of_run(
        table(
            "What is wrong, and what to do",
            "Findings of the judge, as of its last look. Time left is to the nearest limit, at the trend so far. "
            "After the end of a run they stay until its next run begins (from the daemon).",
            columns, left, rate, place="full", height=10, overrides=overrides,
        )
    )  # fmt: skip


def criteria() -> Panel:
    """How each criterion stands."""
    by = f"{RUN}, criterion, endpoint"
    columns = [
        ("result", "Result"), ("scenario", "Scenario"), ("criterion", "Criterion"), ("endpoint", "Endpoint"),
        ("Value #B", "Value"), ("Value #C", "Limit"), ("unit", "Unit"),
    ]  # fmt: skip
    return of_run(
        table(
            "Criteria",
            "What the scenario asks for, and how it stands as of the last look. Values in base units.",
            columns,
            f"max by ({by}, result) (soak_criterion_state{{$of}} == 1)",
            f"max by ({by}, unit) (soak_criterion_value{{$of}})",
            f"max by ({by}, unit) (soak_criterion_limit{{$of}})",
            place="full",
            height=7,
            overrides=(column("Result", width=110, cell=_COLORED, mappings=named(VERDICTS)),),
        )
    )


def verdicts() -> Panel:
    """The verdict of each run that has ended, in a sentence."""
    headline = f"max by ({RUN}, headline) (soak_run_headline_info{{$of}})"
    result = f"max by ({RUN}, result) (soak_run_verdict{{$of}} == 1)"
    return of_run(
        table(
            "Verdicts",
            "What the last run of each scenario came to. A scenario whose run goes on has none.",
            [("result", "Verdict"), ("scenario", "Scenario"), ("headline", "In a sentence")],
            f"{headline} * on ({RUN}) group_left (result) {result}",
            place="full",
            height=6,
            overrides=(
                column("Verdict", width=120, cell=_COLORED, mappings=named(VERDICTS)),
                column("Scenario", width=220, links=TO_RUN),
            ),
        )
    )


def glance() -> Row:
    """The numbers that one looks at first."""
    none_is_good = ((None, GOOD), (1.0, BAD))
    panels = (
        stat(
            "Failing findings", "Findings that fail a run. The table below says what to do.",
            'sum(soak_findings{$of,severity="fail"})', "none", steps=none_is_good,
        ),
        stat(
            "Least time left", "Until the first limit (memory, stack, descriptors, ...), at the trend so far. "
            "Empty when nothing grows towards a limit.",
            f"min({TIME_LEFT})", "s", steps=SOON,
        ),
        stat(
            "Criteria that fail", "Of all that the scenarios ask for, as of the last look.",
            'sum(soak_criterion_state{$of,result="fail"})', "none", steps=none_is_good,
        ),
        stat(
            "Spoiled measurement", "The share of intervals that the generator's own trouble spoiled, in the worst run. "
            "Too many make a run invalid.",
            "max(soak_intervals_invalid{$of} / clamp_min(soak_intervals{$of}, 1))", "percentunit",
            steps=((None, GOOD), (0.01, WARN), (0.05, BAD)),
        ),
        stat(
            "Runs going", "Soaks that are under way.", 'sum(soak_run_state{$of,state="running"})', "none",
            steps=((None, "blue"),),
        ),
        stat(
            "Runs lost", "Nobody writes their file any more, and they have no verdict: look at the daemon's log, or go "
            "on with `soak run --resume RUN`.",
            'sum(soak_run_state{$of,state="lost"})', "none", steps=none_is_good,
        ),
    )  # fmt: skip
    return row_of_run("At a glance", panels)
