from __future__ import annotations

import json
from dataclasses import replace
from time import monotonic

from soak.core.alerting import AlertTo
from soak.core.records import Event
from soak.publish import courier as couriers
from soak.publish.alert import Alert, of_finding
from soak.publish.alertmanager import Alertmanager
from soak.publish.courier import Courier
from soak.publish.webhook import Webhook
from tests.unit.alerting import Listener, listener, until
from tests.unit.report_making import DRIFT, MEMORY

TO = AlertTo(webhook="${HOOK}")
ALERT = of_finding(MEMORY, "candidate", "checkout", "r", "/r.html", 1_767_225_600.0)
OTHER = of_finding(DRIFT, "candidate", "checkout", "r", "/r.html", 1_767_225_600.0)


def to(hook: Listener) -> Courier:
    return Courier("hook", Webhook(TO, hook.url, None, None))


def leave(courier: Courier, seconds: float) -> list[couriers.Told]:
    courier.leave(monotonic() + seconds)
    courier.join()
    return courier.told()


def test_a_receiver_that_is_away_is_tried_again_in_order() -> None:
    with listener(503, 503, 200) as hook:
        courier = to(hook)
        courier.post(ALERT)
        courier.post(OTHER)
        until(lambda: len(hook.posts) == 4)
        told = leave(courier, 30)
    ids = [p.headers["webhook-id"] for p in hook.posts]
    assert ids[0] == ids[1] == ids[2] != ids[3], "the same message again has the same id"
    assert [(t.kind, t.tries) for t in told] == [("alert_sent", 3), ("alert_sent", 1)]


def test_a_refusal_is_not_tried_again_and_holds_up_nothing() -> None:
    with listener(404, 200) as hook:
        courier = to(hook)
        courier.post(ALERT)
        courier.post(OTHER)
        until(lambda: len(hook.posts) == 2)
        told = leave(courier, 30)
    assert [t.kind for t in told] == ["alert_lost", "alert_sent"]
    assert "status 404" in told[0].text


def test_what_was_not_delivered_in_time_is_told_as_lost() -> None:
    with listener(500) as hook:
        courier = to(hook)
        courier.post(ALERT)
        until(lambda: hook.posts)
        told = leave(courier, 1.5)
    assert told[-1].kind == "alert_lost"
    assert "status 500" in told[-1].text
    assert "s3cr3t" not in told[-1].text


def test_leaving_does_not_wait_out_a_long_pause() -> None:
    with listener(503, 200, headers={"Retry-After": "250"}) as hook:
        courier = to(hook)
        courier.post(ALERT)
        until(lambda: hook.posts)
        told = leave(courier, 60)
    assert [t.kind for t in told] == ["alert_sent"]


def test_more_than_can_wait_is_lost_not_kept(monkeypatch) -> None:
    monkeypatch.setattr(couriers, "MOST", 2)
    with listener(503) as hook:
        courier = to(hook)
        for _ in range(3):
            courier.post(ALERT)
        assert [t.kind for t in courier.told()] == ["alert_lost"]
        leave(courier, 0)


def test_an_alertmanager_is_told_again_while_an_alert_goes_on(monkeypatch) -> None:
    monkeypatch.setattr(Alertmanager, "renew_s", 0.1)
    with listener(200) as manager:
        courier = Courier("manager", Alertmanager(AlertTo(alertmanager=manager.url), manager.url, None))
        courier.post(ALERT)
        until(lambda: len(manager.posts) > 3)
        courier.post(ALERT.over("resolved", 1_767_225_700.0, "gone"))
        until(lambda: manager.posts[-1].body[0]["endsAt"] == "2026-01-01T00:01:40.000Z")
        count = len(manager.posts)
        told = leave(courier, 5)
        assert len(manager.posts) == count, "what is over is not told again"
    assert manager.posts[0].path == "/hook/s3cr3t/api/v2/alerts"
    assert [t.kind for t in told] == ["alert_sent", "alert_sent"]


def test_what_an_earlier_life_of_the_run_told_is_renewed_at_once_and_not_told_again() -> None:
    with listener() as there:
        courier = Courier("am", Alertmanager(AlertTo(alertmanager=there.url), there.url, None))
        courier.hold(ALERT)
        until(lambda: there.posts)
        told = leave(courier, 5)
    assert [a["labels"]["fingerprint"] for a in there.posts[0].body] == [ALERT.fingerprint]
    assert told == []


def test_what_goes_on_is_known_by_the_events_of_a_run() -> None:
    def event(receiver: str, alert: Alert) -> Event:
        told = couriers.Told("alert_sent", receiver, alert, 1)
        return Event(0.0, told.kind, None, told.text, json.loads(json.dumps(told.data)))

    over, again = ALERT.over("resolved", ALERT.started + 60, ""), replace(ALERT, started=ALERT.started + 120)
    assert couriers.known([event("a", ALERT), event("b", ALERT), event("a", over)]) == [(ALERT, {"b"})]
    assert couriers.known([event("a", ALERT), event("a", over), event("a", again)]) == [(again, {"a"})]
    lost = Event(0.0, "alert_lost", None, "", {"receiver": "a", "fingerprint": ALERT.fingerprint})
    assert couriers.known([event("a", ALERT), lost]) == [(ALERT, {"a"})], "the receiver has not heard of its end"
