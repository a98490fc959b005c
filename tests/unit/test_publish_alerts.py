from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest

from soak.core.records import Event
from soak.core.scenario import Scenario
from soak.core.verdict import Finding, Verdict
from soak.judge.advice import ADVICE
from soak.publish import Alerts
from soak.publish.alert import RUNBOOK, fingerprint, of_run
from tests.unit.alerting import Listener, listener, until
from tests.unit.report_making import MEMORY, verdict

ROOT = Path(__file__).parents[2]
NO_CAUSES = ("run_fail", "run_invalid", "run_inconclusive", "run_lost", "daemon_silent")
ENVIRON = {"SECRET": "k"}


def alerts(hook: Listener, tmp_path: Path, events: list[Event] | None = None) -> Alerts:
    told = Scenario.model_validate(
        {
            "name": "checkout",
            "target": {"url": "http://127.0.0.1:8000"},
            "load": {"rate": "1/s", "requests": [{"get": "/"}]},
            "phases": {"soak": "60s"},
            "criteria": [{"metric": "errors.ratio", "below": "1%"}],
            "alerts": [{"webhook": "${HOOK}", "secret": "${SECRET}"}],
        }
    )
    return Alerts(told, tmp_path / "r.soak", ("hang",), ENVIRON | {"HOOK": hook.url}, events or [])


def found(*findings: Finding, result: str = "fail", soaked: float = 0.0) -> Verdict:
    base = verdict()
    side = replace(base.candidate, findings=findings)
    return replace(base, candidate=side, reference=None, verdict=result, soak_s=soaked)  # type: ignore[arg-type]


def looks(told: Alerts, *findings: Finding, start: float = 10.0, count: int = 3) -> None:
    for i in range(count):
        told.look(found(*findings, soaked=start + 15 * i))


def messages(hook: Listener) -> list[tuple[str, str, str]]:
    payloads = [p.body["metadata"]["event_payload"] for p in hook.posts]
    return [(p["status"], p["labels"].get("cause", p["alertname"]), p["note"]) for p in payloads]


def test_once_a_finding_and_the_end_says_that_it_is_still_there(tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY, count=6)
        told.end(found(MEMORY))
    assert [m[:2] for m in messages(hook)] == [
        ("firing", "memory_growth"), ("ended", "memory_growth"), ("firing", "SoakRunEnded"),
    ]  # fmt: skip
    assert "no all-clear" in messages(hook)[1][2]


def killed(told: Alerts, hook: Listener) -> list[Event]:
    """A run that was killed after its first alert: what its file has of it."""
    looks(told, MEMORY)
    until(lambda: hook.posts)
    found = []
    until(lambda: found.extend(told.told()) or found)
    told.close()
    return [Event(0.0, t.kind, None, t.text, json.loads(json.dumps(t.data))) for t in found]


def test_a_run_that_is_resumed_tells_nothing_again_and_says_how_it_ended(tmp_path) -> None:
    with listener(200) as hook:
        events = killed(alerts(hook, tmp_path), hook)
        told = alerts(hook, tmp_path, events)
        looks(told, MEMORY, start=60.0, count=4)
        told.end(found(MEMORY))
    assert [m[:2] for m in messages(hook)] == [
        ("firing", "memory_growth"), ("ended", "memory_growth"), ("firing", "SoakRunEnded"),
    ]  # fmt: skip
    started = [p.body["metadata"]["event_payload"]["starts_at"] for p in hook.posts]
    assert started[0] == started[1]


def test_what_is_not_there_any_more_is_resolved_by_the_run_that_is_resumed(tmp_path) -> None:
    with listener(200) as hook:
        events = killed(alerts(hook, tmp_path), hook)
        told = alerts(hook, tmp_path, events)
        looks(told, start=60.0, count=4)
        told.end(found(result="pass"))
    assert [m[0] for m in messages(hook)] == ["firing", "resolved"]


def test_what_was_over_before_a_run_was_resumed_is_told_anew(tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        over = told.end(found(MEMORY, result="inconclusive"))
        events = [Event(0.0, t.kind, None, t.text, json.loads(json.dumps(t.data))) for t in over]
        time.sleep(1.1)  # an id has the second in which it began
        again = alerts(hook, tmp_path, events)
        looks(again, MEMORY, start=60.0)
        again.close(30.0)
    ids = [p.headers["webhook-id"] for p in hook.posts if p.body["metadata"]["event_payload"]["status"] == "firing"]
    assert len(ids) == len(set(ids)) == 3, "whoever drops what he had before must not drop it"


def test_one_that_went_away_is_resolved_while_the_run_goes_on(tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        looks(told, start=55.0)
        told.end(found(result="pass"))
    assert [m[:2] for m in messages(hook)] == [("firing", "memory_growth"), ("resolved", "memory_growth")]


def test_a_pass_resolves_what_the_whole_run_does_not_show(tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        told.end(found(result="pass"))
    assert [m[0] for m in messages(hook)] == ["firing", "resolved"]


def test_a_run_that_failed_for_another_reason_resolves_nothing(tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        told.end(found(replace(MEMORY, cause="crash", metric="target")))
    assert ("ended", "memory_growth") in [m[:2] for m in messages(hook)]
    assert not any(status == "resolved" for status, _, _ in messages(hook))


@pytest.mark.parametrize("result", ["inconclusive", "invalid"])
def test_a_run_that_settled_nothing_resolves_nothing(result, tmp_path) -> None:
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        told.end(found(result=result))
    assert [m[:2] for m in messages(hook)] == [
        ("firing", "memory_growth"), ("ended", "memory_growth"), ("firing", "SoakRunEnded"),
    ]  # fmt: skip
    assert "not known" in messages(hook)[1][2]


def test_a_cause_that_is_known_better_later_is_no_all_clear(tmp_path) -> None:
    leak = replace(MEMORY, cause="object_leak")
    with listener(200) as hook:
        told = alerts(hook, tmp_path)
        looks(told, MEMORY)
        looks(told, leak, start=55.0)
        told.end(found(leak))
    assert [m[:2] for m in messages(hook)[:3]] == [
        ("firing", "memory_growth"), ("firing", "object_leak"), ("resolved", "memory_growth"),
    ]  # fmt: skip
    assert messages(hook)[2][2].startswith("It goes on, as object_leak")


def test_what_only_the_verdict_finds_is_told_at_the_end(tmp_path) -> None:
    with listener(200) as hook:
        alerts(hook, tmp_path).end(found(MEMORY))
    assert [m[:2] for m in messages(hook)] == [("ended", "memory_growth"), ("firing", "SoakRunEnded")]


def test_what_is_not_delivered_is_told(tmp_path) -> None:
    with listener(410) as hook:
        told = alerts(hook, tmp_path).end(found(MEMORY))
    assert [t.kind for t in told] == ["alert_lost", "alert_lost"]
    assert all(t.receiver == "webhook ${HOOK}" and "s3cr3t" not in t.text for t in told)


def test_a_fingerprint_is_of_scenario_cause_metric_endpoint_and_side() -> None:
    base = ("shop", "latency_drift", "latency.p99", "buy", "candidate")
    others = {fingerprint(*base[:i], "x", *base[i + 1 :]) for i in range(5)}
    assert len(others | {fingerprint(*base)}) == 6
    assert fingerprint(*base) == fingerprint(*base)


def test_the_run_alert_lapses_after_an_hour_and_says_what_to_do() -> None:
    run = of_run(found(MEMORY), "/r.html", 100.0)
    assert run.until == 3700.0
    assert run.advice == MEMORY.advice


def test_every_cause_has_its_place_in_the_runbook() -> None:
    anchors = re.findall(r"^### ([a-z_]+)$", (ROOT / RUNBOOK).read_text(), re.M)
    assert sorted(anchors) == sorted([*ADVICE, *NO_CAUSES])


def test_the_end_of_a_run_tells_of_its_most_urgent_finding_all_that_is_needed() -> None:
    told = of_run(found(MEMORY), "/r.html", 0.0)
    facts = dict(told.facts)
    assert {"Cause", "Where", "How fast", "Time left", "Run"} <= facts.keys()
    assert told.advice == MEMORY.advice
    assert re.fullmatch(r"ALERT checkout: the soak ended, FAIL: memory_growth, .+ left", told.subject)
    assert not any(text in told.title for name, text in told.facts if name == "Reason"), "once is enough"
