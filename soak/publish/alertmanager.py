"""Alerts to an Alertmanager, API v2 (https://prometheus.io/docs/alerting/latest/alerts_api/).

An alert is what its labels are. It is sent again every minute with an end some way ahead, so that an Alertmanager that
lost it has it again, and one that hears nothing more of a run that was killed lets go of it, though not at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from soak.core.alerting import AlertTo
from soak.publish.alert import Alert
from soak.publish.http import post

RENEW_S = 60.0
LEASE_S = 900.0
"""A network that is away for less resolves nothing."""


class Alertmanager:
    """One Alertmanager, at `url`, which `token` opens if it wants one."""

    def __init__(self, to: AlertTo, url: str, token: str | None) -> None:
        self._to = to
        self._url = url.rstrip("/") + "/api/v2/alerts"
        self._token = token

    renew_s: float | None = RENEW_S

    def send(self, alert: Alert, now: float) -> None:
        """Tell what an alert is now (s since 1970). Raises RefusedError or UnreachableError."""
        self.renew([alert], now)

    def renew(self, alerts: Sequence[Alert], now: float) -> None:
        """Tell of all alerts at once. Raises RefusedError or UnreachableError."""
        body = json.dumps([document(alert, self._to, now) for alert in alerts]).encode()
        post(self._url, body, {}, self._token)


def document(alert: Alert, to: AlertTo, now: float) -> dict[str, object]:
    """One alert of a request; what an on-call engineer reads stands in the annotations."""
    end = alert.ended if alert.ended is not None else alert.until if alert.until is not None else now + LEASE_S
    runbook, report = alert.links(to)
    facts = [f"{name}: {text}" for name, text in alert.facts]
    annotations = {
        "summary": f"{alert.subject}: {alert.title}",
        "description": "\n".join([alert.note, *facts, f"Next: {alert.advice}"] if alert.note else
                                 [*facts, f"Next: {alert.advice}"]),
        "next_step": alert.advice,
        **{_NAMES[name]: text for name, text in alert.facts if name in _NAMES},
        "run": alert.run,
        "runbook_url" if to.runbook is not None else "runbook": runbook,
        "report": report,
    }  # fmt: skip
    return {
        "labels": {**to.labels, **alert.labels, "alertname": alert.name},
        "annotations": annotations,
        "startsAt": _moment(alert.started),
        "endsAt": _moment(end),
        # a link of Alertmanager's own page, so an address or nothing
        "generatorURL": report if to.report is not None else "",
    }


_NAMES = {"Cause": "cause", "Where": "where", "How fast": "rate", "Time left": "time_left", "Cost": "cost"}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
