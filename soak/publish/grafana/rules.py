"""The alert rules that Grafana evaluates by itself, for a team whose alerts come from there.

They are not those of a Prometheus: Grafana's templates cannot ask for more, so what is to be told of a finding is in
the labels of the series that fires, or the value of a query beside it that has the very same labels. What stood when
nobody told any more of a run (its daemon is away) goes on standing: a series that is gone is no all-clear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from soak.publish.grafana.client import Json

_RUN = "job, instance, scenario"
_FINDING = f"{_RUN}, side, cause, metric, endpoint"
_INFO = 'soak_finding_info{severity="fail"}'


def _held(series: str) -> str:
    """A series, and for an hour what it was when nobody tells of its run any more."""
    return f"({series} or (last_over_time({series}[1h]) unless on ({_RUN}) soak_run_state))"


_RATE = _held("soak_finding_rate")
_FOUND = f"max by ({_FINDING}, location, advice) {_held(_INFO)}"
_STANDING = (
    f"(({_FOUND} * on ({_FINDING}) group_left (unit) group by ({_FINDING}, unit) {_RATE}) or on ({_FINDING}) {_FOUND})"
)
"""The findings that fail a run, each with the unit of its rate if it has one."""
_HOW_FAST = f"0 * {_STANDING} + on ({_FINDING}) group_left () max by ({_FINDING}) {_RATE}"
_LEFT = (
    f"clamp_min(soak_finding_eta_seconds - on ({_RUN}) group_left () "
    f'((time() - soak_judged_timestamp_seconds) * on ({_RUN}) soak_run_state{{state="running"}}), 0)'
)
"""Seconds to the limit from now on; one that is overdue is near, not far."""
_WITH_LEFT = f"({_STANDING} * on ({_FINDING}) group_left () {_LEFT})"
_SOON_S = 6 * 3600
_HEARTBEAT = "soak_daemon_heartbeat_timestamp_seconds"
_TIME_LEFT = (
    "{{ if ge $values.A.Value 0.0 }}{{ humanizeDuration $values.A.Value }}"
    "{{ else }}no limit is known to be near{{ end }}"
)
_WHERE = "{{ $labels.metric }}{{ if $labels.endpoint }} of {{ $labels.endpoint }}{{ end }} of the {{ $labels.side }}"

_RATE_TOLD = (
    "{{ if $labels.unit }}{{ if match `^bytes` $labels.unit }}{{ humanize1024 $values.B.Value }}"
    "{{ else }}{{ humanize $values.B.Value }}{{ end }} {{ $labels.unit }}{{ else }}no rate is known{{ end }}"
)
_PLACE = "{{ if $labels.location }}{{ $labels.location }}{{ else }}not known{{ end }}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule: it fires for each series that `expr` gives, whatever its value; `$values.A.Value` is that value."""

    name: str
    expr: str
    wait: str
    """How long it must have been so, as Grafana writes times (`2m`)."""
    severity: str
    summary: str
    next_step: str
    more: tuple[tuple[str, str], ...] = ()
    """Further annotations."""
    beside: str | None = None
    """What `$values.B.Value` is, if anything: series with the very labels of those of `expr`."""


ALERTS = (
    Alert(
        "SoakFinding",
        f"{_WITH_LEFT} or ({_STANDING} * 0 - 1)",
        "2m", "warning",
        "{{ $labels.scenario }}: {{ $labels.cause }} in " + _WHERE,
        "{{ $labels.advice }}",
        (("how_fast", _RATE_TOLD), ("time_left", _TIME_LEFT), ("place", _PLACE)),
        _HOW_FAST,
    ),
    Alert(
        "SoakTimeLeft",
        f"{_WITH_LEFT} < {_SOON_S}",
        "2m", "critical",
        "{{ $labels.scenario }}: {{ humanizeDuration $values.A.Value }} left until {{ $labels.cause }} in " + _WHERE
        + " reaches its limit",
        "{{ $labels.advice }} Restart it in time if that cannot be mended now.",
        (("how_fast", _RATE_TOLD), ("time_left", _TIME_LEFT), ("place", _PLACE)),
        _HOW_FAST,
    ),
    Alert(
        "SoakStackHeadroom",
        f"min by ({_RUN}, side) (soak_stack_headroom_ratio) < 0.2",
        "1m", "critical",
        "{{ $labels.scenario }}: {{ humanizePercentage $values.A.Value }} of a stack is left in the {{ $labels.side }}",
        "At 0 the process dies. Look for recursion on data that grows, and for large buffers on the stack.",
    ),
    Alert(
        "SoakCriterionFails",
        f'max by ({_RUN}, criterion, endpoint) (soak_criterion_state{{result="fail"}}) == 1',
        "5m", "warning",
        "{{ $labels.scenario }} does not keep to: {{ $labels.criterion }}"
        "{{ if $labels.endpoint }} ({{ $labels.endpoint }}){{ end }}",
        "The findings of the run say why; `soak report` has the evidence.",
    ),
    Alert(
        "SoakInvalid",
        f'(max by ({_RUN}) (soak_run_verdict{{result="invalid"}}) == 1) or '
        f"(max by ({_RUN}) (soak_intervals_invalid / (soak_intervals > 0)) > 0.05)",
        "2m", "warning",
        "{{ $labels.scenario }}: the measurement cannot be trusted",
        "Nothing is said of the target. Give the generator cores of its own, or fewer arrivals; see `soak doctor`.",
    ),
    Alert(
        "SoakRunLost",
        f'(max by ({_RUN}) (soak_run_state{{state="lost"}}) == 1) or '
        f'(max by ({_RUN}) (last_over_time(soak_run_state{{state="running"}}[1h])) == 1 '
        f"unless on ({_RUN}) soak_run_state)",
        "2m", "warning",
        "{{ $labels.scenario }}: the run went silent before it had ended; that nothing fires for it says nothing",
        "See on {{ $labels.instance }} whether soak still runs (`soak runs`). `soak run --resume RUN` goes on with a "
        "run that was killed; the daemon's log says what ended it.",
    ),
    Alert(
        "SoakDaemonSilent",
        f"(time() - {_HEARTBEAT} > 120) or "
        f"max by (job, instance) (last_over_time({_HEARTBEAT}[6h]) unless {_HEARTBEAT})",
        "2m", "critical",
        "The soak daemon at {{ $labels.instance }} is silent",
        "Look whether `soak serve` runs and answers at /readyz. Runs that go on outlive it, but nothing is told of "
        "them meanwhile.",
    ),
)  # fmt: skip


def rules(folder: str, data_source: str, receiver: str | None) -> list[Json]:
    """All of them as Grafana takes them; a receiver is a contact point that they are told to directly."""
    return [_rule(alert, folder, data_source, receiver) for alert in ALERTS]


def _rule(alert: Alert, folder: str, data_source: str, receiver: str | None) -> Json:
    any_value = {"type": "math", "expression": "is_number($A) || is_nan($A) || is_inf($A)"}
    above = {"evaluator": {"type": "gt", "params": [0]}}
    rule: Json = {
        "uid": re.sub(r"(?<!^)(?=[A-Z])", "-", alert.name).lower(),  # SoakTimeLeft is soak-time-left
        "orgID": 1,  # Grafana takes that of the token
        "folderUID": folder,
        "ruleGroup": "soak",
        "title": alert.name,
        "condition": "fires",
        "data": [
            *(
                _node(ref, data_source, {"expr": expr, "instant": True, "range": False}, since_s=600)
                for ref, expr in (("A", alert.expr), ("B", alert.beside))
                if expr is not None
            ),
            _node("any", "__expr__", any_value),
            _node("fires", "__expr__", {"type": "threshold", "expression": "any", "conditions": [above]}),
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.wait,
        "labels": {"severity": alert.severity, "source": "soak"},
        "annotations": {"summary": alert.summary, "next_step": alert.next_step, **dict(alert.more)},
    }
    if receiver is not None:
        rule["notification_settings"] = {"receiver": receiver}
    return rule


def _node(ref: str, source: str, model: Json, since_s: int = 0) -> Json:
    window = {"from": since_s, "to": 0}
    return {"refId": ref, "datasourceUid": source, "relativeTimeRange": window, "model": {"refId": ref, **model}}
