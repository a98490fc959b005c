"""Feeds, traces and bodies are tried before a run, and the fault is told at the key that names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.errors import Problem, ScenarioError
from soak.scenario import loads, refuse_unset

HEAD = """\
name: shop
target: {url: "http://127.0.0.1:1"}
phases: {soak: 10s}
criteria: [{metric: errors.ratio, below: 1%}]
load:
"""
FEED = """\
  rate: 1/s
  feeds:
    who: {csv: users.csv}
  requests: [{get: "/{who.name}/{who.mail}"}]
"""


def problems(load: str, folder: Path) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        loads(HEAD + load, "f.yaml", folder)
    return caught.value.problems


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "No such file"),
        ("name,mail\nann\n", "line 2: expected 2 values"),
        ("name\nann\n", "row 1 has no 'mail'; it has name"),
        ("name,mail\n", "no rows"),
    ],
)
def test_a_feed_that_cannot_be_used(tmp_path, content, words):
    if content is not None:
        (tmp_path / "users.csv").write_text(content)
    [problem] = problems(FEED, tmp_path)
    assert (problem.key, problem.line) == ("load.feeds.who", 8)
    assert words in problem.message


def test_a_trace_that_cannot_be_used(tmp_path):
    (tmp_path / "t").write_text("1\n0\n")
    [problem] = problems("  pattern: {kind: trace, file: t}\n  requests: [{get: /}]\n", tmp_path)
    assert (problem.key, problem.line) == ("load.pattern.file", 6)
    assert "line 2" in problem.message


def test_a_body_that_is_not_there(tmp_path):
    text = "  rate: 1/s\n  requests:\n    - {post: /, body: {file: gone.bin}}\n"
    [problem] = problems(text, tmp_path)
    assert (problem.key, problem.line) == ("load.requests[0].body", 8)


def test_all_faults_of_placeholders_are_told_at_once_each_at_its_place(tmp_path):
    text = """\
  rate: 1/s
  journeys:
    - name: v
      steps:
        - {get: "/{a}"}
        - {think: 1s}
        - {post: "/{b}", form: {x: "{c}"}}
"""
    found = problems(text, tmp_path)
    assert [(p.key, p.line) for p in found] == [
        ("load.journeys[0].steps[0].get", 10),
        ("load.journeys[0].steps[2].post", 12),
        ("load.journeys[0].steps[2].form", 12),
    ]


def test_files_of_tls_are_looked_for(tmp_path):
    text = HEAD.replace('"http://127.0.0.1:1"', '"https://127.0.0.1:1", tls: {ca: ca.pem}')
    with pytest.raises(ScenarioError) as caught:
        loads(text + "  rate: 1/s\n  requests: [{get: /}]\n", "f.yaml", tmp_path)
    assert caught.value.problems[0].key == "target.tls.ca"


def test_a_secret_that_is_not_set_is_named_before_the_run(tmp_path, monkeypatch):
    monkeypatch.delenv("SOAK_TEST_TOKEN", raising=False)
    text = HEAD + '  rate: 1/s\n  auth: {bearer: "${SOAK_TEST_TOKEN}"}\n  requests: [{get: /}]\n'
    scenario = loads(text, "f.yaml", tmp_path).scenario
    with pytest.raises(ScenarioError, match="SOAK_TEST_TOKEN is not set"):
        refuse_unset(scenario, "f.yaml")
    monkeypatch.setenv("SOAK_TEST_TOKEN", "x")
    refuse_unset(scenario, "f.yaml")


def test_a_password_of_a_door_is_asked_for_before_a_run(tmp_path, monkeypatch):
    text = HEAD.replace('127.0.0.1:1"}', '127.0.0.1:1", scrape: {redis: "h:1", password: "${SOAK_TEST_PASSWORD}"}}')
    scenario = loads(text + "  rate: 1/s\n  requests: [{get: /}]\n", "f.yaml", tmp_path).scenario
    monkeypatch.delenv("SOAK_TEST_PASSWORD", raising=False)
    with pytest.raises(ScenarioError, match="SOAK_TEST_PASSWORD is not set"):
        refuse_unset(scenario, "f.yaml")
    monkeypatch.setenv("SOAK_TEST_PASSWORD", "x")
    refuse_unset(scenario, "f.yaml")
