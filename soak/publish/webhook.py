"""Alerts to a webhook: a message that Slack and its likes show, and that programs can read.

It is signed as https://www.standardwebhooks.com says, whose libraries check it: HMAC-SHA256 over id, time and body.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from soak.core.alerting import AlertTo
from soak.publish.alert import Alert
from soak.publish.http import post

_PREFIX = "whsec_"
_HEADER_CHARS, _TEXT_CHARS, _FIELDS = 150, 2000, 10
"""What Slack takes of a header, of a text of a section (less than it may), and of fields."""
_SIGNS = {"firing": "\U0001f534", "resolved": "\U0001f7e2", "ended": "\U0001f7e0"}


class Webhook:
    """Whoever listens at `url`."""

    def __init__(self, to: AlertTo, url: str, token: str | None, secret: str | None) -> None:
        self._to = to
        self._url = url
        self._token = token
        self._secret = key_of(secret) if secret is not None else None

    renew_s: float | None = None
    """A message is told once."""

    def send(self, alert: Alert, now: float) -> None:
        """Tell of an alert at `now` (s since 1970), with the same id each time; raises what `post` raises.

        One that comes back after it was over is another message, so that when it began is part of the id.
        """
        body = json.dumps(document(alert, self._to)).encode()
        number = f"{alert.run}:{alert.fingerprint}:{int(alert.started)}:{alert.status}"
        headers = {"webhook-id": number, "webhook-timestamp": str(int(now))}
        if self._secret is not None:
            headers["webhook-signature"] = signature(self._secret, number, int(now), body)
        post(self._url, body, headers, self._token)

    def renew(self, alerts: Sequence[Alert], now: float) -> None:
        """Nothing: who was told once knows it."""


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: the Base64 after `whsec_`, or the text as it is."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


def signature(key: bytes, number: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of a message with that id, sent at that time (s since 1970)."""
    signed = f"{number}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def document(alert: Alert, to: AlertTo) -> dict[str, object]:
    """The message: `text` and `blocks` for people, `metadata` (which Slack keeps beside a message) for programs."""
    runbook, report = alert.links(to)
    links = [("Runbook", runbook), ("Report", report)]
    shown = [(name, text) for name, text in alert.facts if name not in ("Evidence", "Reason")]
    prose = [text for name, text in alert.facts if name in ("Evidence", "Reason")]
    body = [alert.title, *([alert.note] if alert.note else []), *prose]
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(_sign(alert), _HEADER_CHARS)}},
        {"type": "section", "text": _prose("\n".join(map(_escaped, body)))},
        {"type": "section", "fields": [_prose(f"*{k}*\n{_escaped(v)}") for k, v in shown[:_FIELDS]]},
        {"type": "section", "text": _prose(f"*Next*\n{_escaped(alert.advice)}")},
        {"type": "context", "elements": [_prose(" · ".join(_link(name, place) for name, place in links))]},
    ]
    lines = [_sign(alert), *body, *(f"{k}: {v}" for k, v in shown), f"Next: {alert.advice}"]
    lines += [f"{name}: {place}" for name, place in links]
    return {
        "text": _escaped("\n".join(lines)),
        "blocks": blocks,
        "metadata": {
            "event_type": "soak_alert",
            "event_payload": {
                "status": alert.status,
                "alertname": alert.name,
                "labels": dict(alert.labels),
                "title": alert.title,
                "facts": _joined(alert.facts),
                "next_step": alert.advice,
                "note": alert.note,
                "starts_at": _moment(alert.started),
                "ends_at": _moment(alert.ended) if alert.ended is not None else None,
                "runbook": runbook,
                "report": report,
            },
        },
    }


def _sign(alert: Alert) -> str:
    return f"{_SIGNS[alert.status]} {alert.subject}"


def _joined(facts: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Facts by their names; those of one name, one a line."""
    names = dict.fromkeys(name for name, _ in facts)
    return {name: "\n".join(text for other, text in facts if other == name) for name in names}


def _link(name: str, place: str) -> str:
    return f"<{place}|{name}>" if place.startswith(("http://", "https://")) else f"{name}: `{_escaped(place)}`"


def _prose(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": _cut(text, _TEXT_CHARS)}


def _escaped(text: str) -> str:
    """What Slack would read as a link or a call of somebody, as plain text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
