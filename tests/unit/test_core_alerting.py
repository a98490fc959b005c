from __future__ import annotations

import pytest
from pydantic import ValidationError

from soak.core.alerting import AlertTo
from soak.core.errors import ScenarioError
from soak.scenario import explain, load, refuse_unset


@pytest.mark.parametrize(
    "given, said",
    [
        ({}, "either alertmanager or webhook"),
        ({"alertmanager": "http://a", "webhook": "${W}"}, "either alertmanager or webhook"),
        ({"webhook": "https://hooks.slack.com/services/T0/B0/X"}, "webhook: expected"),
        ({"webhook": "${W}", "secret": "abc"}, "secret: expected"),
        ({"alertmanager": "http://a", "token": "abc"}, "token: expected"),
        ({"alertmanager": "http://a", "secret": "${S}"}, "only a webhook is signed"),
        ({"webhook": "${W}", "labels": {"team": "x"}}, "only an Alertmanager"),
        ({"alertmanager": "http://a", "labels": {"cause": "x"}}, "labels: 'cause'"),
        ({"alertmanager": "http://a", "labels": {"a-b": "x"}}, "labels: 'a-b'"),
        ({"alertmanager": "ftp://a"}, "alertmanager: expected http"),
        ({"alertmanager": "http://me:pw@a"}, "without a user"),
        ({"alertmanager": "http://a/?x=1"}, "without query"),
        ({"webhook": "${W}", "report": "nowhere"}, "report: expected http"),
    ],
)
def test_what_cannot_be_told_is_refused(given, said) -> None:
    with pytest.raises(ValidationError, match=said.replace("$", r"\$")):
        AlertTo.model_validate(given)


def test_a_receiver_is_called_by_what_the_scenario_says() -> None:
    assert AlertTo(webhook="${W}").name == "webhook ${W}"
    assert AlertTo(alertmanager="${A}", token="${T}").variables == {"alertmanager": "A", "token": "T"}


SCENARIO = """
name: shop
target: {url: "http://127.0.0.1:8000"}
load: {rate: 1/s, requests: [{get: /}]}
phases: {soak: 60s}
criteria: [{metric: errors.ratio, below: 1%}]
alerts: [{webhook: "${HOOK_X}", secret: "${SECRET_X}"}]
"""


def test_soak_check_says_who_is_told(tmp_path) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    assert "are told to: webhook ${HOOK_X}." in explain(load(tmp_path / "s.yaml").scenario)


def test_what_is_not_in_the_environment_is_named_before_the_run(tmp_path, monkeypatch) -> None:
    (tmp_path / "s.yaml").write_text(SCENARIO)
    loaded = load(tmp_path / "s.yaml")
    with pytest.raises(ScenarioError, match=r"HOOK_X is not set\n.*SECRET_X is not set"):
        refuse_unset(loaded.scenario, "s.yaml")
    monkeypatch.setenv("SECRET_X", "k")
    monkeypatch.setenv("HOOK_X", "not an address s3cr3t")
    with pytest.raises(ScenarioError, match="HOOK_X: expected http") as caught:
        refuse_unset(loaded.scenario, "s.yaml")
    assert "s3cr3t" not in str(caught.value)
    monkeypatch.setenv("HOOK_X", "http://127.0.0.1:1/x")
    refuse_unset(loaded.scenario, "s.yaml")
