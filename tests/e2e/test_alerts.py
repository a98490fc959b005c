"""A leak is told while it is soaked: by an Alertmanager that delivers it, and straight to a webhook, signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import sqlite3

import pytest

from tests.e2e.harness import shipped, soak
from tests.e2e.towers import alertmanager, alerts_of
from tests.unit.alerting import listener, until

# what is looked at while it runs is looked at more seldom on a busy machine
pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.quiet, pytest.mark.timeout(280)]

RECEIVERS = """
alerts:
  - {{alertmanager: "{manager}", labels: {{team: shop}}}}
  - {{webhook: "${{SOAK_TEST_HOOK}}", secret: "${{SOAK_TEST_SECRET}}"}}
  - {{webhook: "${{SOAK_TEST_REFUSES}}"}}
"""
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()


def test_a_leak_is_told_while_it_is_soaked_and_the_end_is_no_all_clear(tmp_path, monkeypatch) -> None:
    with (
        listener(200) as behind, listener(503, 200) as hook, listener(404) as refuses,
        alertmanager(tmp_path, behind) as manager,
    ):  # fmt: skip
        monkeypatch.setenv("SOAK_TEST_HOOK", hook.url)
        monkeypatch.setenv("SOAK_TEST_SECRET", SECRET)
        monkeypatch.setenv("SOAK_TEST_REFUSES", refuses.url)
        path = shipped(tmp_path, "leak", soak="110s")
        path.write_text(path.read_text() + RECEIVERS.format(manager=manager))
        done = soak(tmp_path, "run", str(path), "--json")
        assert done.code == 1, done.show()
        until(lambda: any(a["annotations"]["summary"].startswith("RUN ENDED") for a in alerts_of(behind)))
        until(lambda: any(a["labels"]["alertname"] == "SoakRunEnded" for a in alerts_of(behind)))

    first = [a for a in alerts_of(behind) if a["labels"]["alertname"] == "SoakFinding"]
    assert first[0]["status"] == "firing", "it was told while the run went on"
    told = first[0]["annotations"]
    assert told["cause"] in ("object_leak", "memory_growth")
    assert "GiB/h" in told["rate"]
    assert "the host's memory" in told["time_left"] or "limit" in told["time_left"]
    assert told["next_step"]
    last = [a for a in first if a["status"] == "resolved"][-1]
    assert last["annotations"]["summary"].startswith("RUN ENDED, NOT RESOLVED")
    ended = [a for a in alerts_of(behind) if a["labels"]["alertname"] == "SoakRunEnded"]
    assert [a["status"] for a in ended] == ["firing"], "what stands says that the run failed"
    assert all(a["labels"]["team"] == "shop" for a in alerts_of(behind))

    assert hook.posts[0].headers["webhook-id"] == hook.posts[1].headers["webhook-id"], "503, so it came again"
    for post in hook.posts:
        signed = f"{post.headers['webhook-id']}.{post.headers['webhook-timestamp']}.".encode() + post.raw
        digest = base64.b64encode(hmac.new(b"0123456789abcdef01234567", signed, hashlib.sha256).digest()).decode()
        assert post.headers["webhook-signature"] == f"v1,{digest}"
    payloads = [p.body["metadata"]["event_payload"] for p in hook.posts[1:]]
    firing = [p["labels"]["fingerprint"] for p in payloads if p["status"] == "firing"]
    assert len(firing) == len(set(firing)), "once a finding"
    assert [p["status"] for p in payloads if p["labels"].get("cause") == "object_leak"][-1] == "ended"

    with sqlite3.connect(done.run_file) as db:
        kinds = [kind for (kind,) in db.execute("SELECT kind FROM event WHERE kind LIKE 'alert%'")]
    db.close()
    assert {"alert_sent", "alert_lost"} <= set(kinds)
    assert any("could not be delivered: webhook ${SOAK_TEST_REFUSES}" in n for n in done.verdict["notes"])
    secrets = ("s3cr3t", SECRET)
    beside = [p for p in (tmp_path / "runs").iterdir() if p.is_file()]
    assert beside
    for file in beside:
        assert not any(s.encode() in file.read_bytes() for s in secrets), file
    assert not any(s in done.out + done.err for s in secrets)
