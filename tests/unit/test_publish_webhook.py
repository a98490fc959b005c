from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from soak.core.alerting import AlertTo
from soak.publish.alert import of_finding
from soak.publish.http import RefusedError, UnreachableError, post
from soak.publish.webhook import Webhook, document, key_of, signature
from tests.unit.alerting import listener
from tests.unit.report_making import DRIFT, MEMORY, ODD

TO = AlertTo(webhook="${HOOK}", secret="${SECRET}", report="https://ci.staging/{run}.html", runbook="https://wiki/soak")
ALERT = of_finding(MEMORY, "candidate", "checkout", "checkout-1", "/runs/checkout-1.html", 1_767_225_600.0)


def test_a_message_has_cause_place_rate_time_left_and_next_step_without_opening_another_page() -> None:
    text = str(document(ALERT, TO)["text"])
    assert text.splitlines()[0] == "\U0001f534 ALERT checkout: memory_growth, 1 d 18 h left"
    for part in (
        "Cause: memory_growth", "Where: memory.anon of the candidate", "How fast: 24.1 MiB/h",
        "Time left: 1 d 18 h (1 d 17 h to 1 d 19 h) to the container limit of 1 GiB",
        "Next: Compare two heap snapshots", "Runbook: https://wiki/soak#memory_growth",
        "Report: https://ci.staging/checkout-1.html",
    ):  # fmt: skip
        assert part in text


def test_its_blocks_are_as_slack_wants_them() -> None:
    blocks = json.loads(json.dumps(document(ALERT, TO)["blocks"]))
    assert [b["type"] for b in blocks] == ["header", "section", "section", "section", "context"]
    assert len(blocks[0]["text"]["text"]) <= 150
    assert all(len(f["text"]) <= 2000 for f in blocks[2]["fields"])
    assert len(blocks[2]["fields"]) <= 10


def test_a_name_from_the_target_is_no_markup_and_calls_nobody() -> None:
    odd = of_finding(DRIFT, "candidate", "checkout", "r", "/r.html", 0.0)
    said = json.dumps(document(odd, TO)["blocks"])
    assert ODD not in said
    assert "</script>" not in said
    assert "&lt;/script&gt;" in said
    assert "\\u001b" not in said, "an escape sequence is shown, not sent"


def test_a_message_that_is_over_says_how() -> None:
    over = document(ALERT.over("ended", 1_767_225_700.0, "This is no all-clear."), TO)
    assert "RUN ENDED, NOT RESOLVED" in str(over["text"])
    assert "This is no all-clear." in str(over["text"])


def test_it_is_signed_over_id_time_and_body() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 24).decode()
    with listener(200) as hook:
        Webhook(TO, hook.url, None, secret).send(ALERT, 1_767_225_600.9)
    [got] = hook.posts
    signed = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.raw
    digest = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{digest}"
    assert got.headers["webhook-timestamp"] == "1767225600"
    assert "webhook-signature" in got.headers


def test_the_signature_follows_body_time_and_key() -> None:
    base = signature(b"key", "id", 1, b"body")
    others = {signature(b"key2", "id", 1, b"body"), signature(b"key", "id2", 1, b"body"),
              signature(b"key", "id", 2, b"body"), signature(b"key", "id", 1, b"body2")}  # fmt: skip
    assert base not in others
    assert len(others) == 4
    assert key_of("plain") == b"plain"
    assert key_of("whsec_!") == b"whsec_!"


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410])
def test_what_will_never_be_taken_is_refused(status: int) -> None:
    where = {"Location": "http://127.0.0.1:1/"}
    with listener(status, headers=where) as hook, pytest.raises(RefusedError, match=f"status {status}"):
        post(hook.url, b"{}", {}, None)
    assert len(hook.posts) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_be_taken_later_says_when(status: int) -> None:
    with listener(status, headers={"Retry-After": "7"}) as hook, pytest.raises(UnreachableError) as caught:
        post(hook.url, b"{}", {}, None)
    assert caught.value.after == 7


def test_no_error_tells_the_address() -> None:
    for url in ("http://127.0.0.1:9/s3cr3t", "https://127.0.0.1:9/s3cr3t", "http://[::1", "http://s3cr3t.invalid/"):
        with pytest.raises((RefusedError, UnreachableError)) as caught:
            post(url, b"{}", {"webhook-id": "x"}, "t0ken")
        assert "s3cr3t" not in str(caught.value)


def test_a_token_goes_along_and_a_netrc_does_not(tmp_path, monkeypatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with listener(200) as hook:
        post(hook.url, b"{}", {}, "t0ken")
        post(hook.url, b"{}", {}, None)
    assert [p.headers.get("authorization") for p in hook.posts] == ["Bearer t0ken", None]
