"""What `soak grafana push` leaves in a Grafana: once, again, after a change, and where something is not its own."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from soak.cli import main
from soak.publish.grafana.boards import boards
from soak.publish.grafana.client import RefusedError
from soak.publish.grafana.push import apply, plan
from soak.publish.grafana.resources import Dashboard
from tests.grafana_standin import TOKEN, VIEWER, StandIn, Trouble
from tests.unit.grafana_making import There, standin, there

__all__ = ["standin", "there"]

BOARDS = ["soak-oncall", "soak-run", "soak-reference", "soak-fleet"]
HOOK = "https://hooks.example/services/T0/very-secret"


def push(url: str, *options: str, token: str = TOKEN, **env: str) -> Result:
    environment = {"SOAK_GRAFANA_TOKEN": token, "SOAK_GRAFANA_WEBHOOK": None, "SOAK_GRAFANA_URL": None, **env}
    return CliRunner().invoke(main, ["grafana", "push", "--url", url, *options], env=environment)


def test_everything_is_there_afterwards_and_again_nothing_is_written(there: There) -> None:
    options = ["--prometheus", "http://prometheus:9090", "--alerts", "--webhook", HOOK]
    first = push(there.url, *options, token=there.token)
    assert first.exit_code == 0, first.output
    grafana = there.client()
    for uid in BOARDS:
        found = grafana.get(f"/dashboards/uid/{uid}")
        assert found["meta"]["folderUid"] == "soak"
        chosen = found["dashboard"]["templating"]["list"][0]
        assert (chosen["name"], chosen["current"]["value"]) == ("datasource", "soak-prometheus")
    assert grafana.get("/datasources/uid/soak-prometheus")["url"] == "http://prometheus:9090"
    rule = grafana.get("/v1/provisioning/alert-rules/soak-time-left")
    assert (rule["folderUID"], rule["for"]) == ("soak", "2m")
    assert rule["annotations"]["next_step"].startswith("{{ $labels.advice }}")
    assert rule["notification_settings"]["receiver"] == "soak"
    assert [p["type"] for p in grafana.get("/v1/provisioning/contact-points", {"name": "soak"})] == ["webhook"]
    versions = {uid: grafana.get(f"/dashboards/uid/{uid}")["dashboard"]["version"] for uid in BOARDS}
    again = push(there.url, *options, token=there.token)
    assert "0 of 14 written" in again.stdout
    assert versions == {uid: grafana.get(f"/dashboards/uid/{uid}")["dashboard"]["version"] for uid in BOARDS}


def test_alerts_ask_a_data_source_that_is_there_already(standin: StandIn) -> None:
    assert push(standin.url, "--data-source", "mine", "--alerts").exit_code == 0
    assert standin.rules["soak-finding"]["data"][0]["datasourceUid"] == "mine"
    assert "notification_settings" not in standin.rules["soak-finding"]
    assert standin.sources == {}
    assert standin.points == {}


def test_a_dry_run_writes_nothing_and_shows_what_differs(standin: StandIn) -> None:
    dry = push(standin.url, "--dry-run")
    assert dry.exit_code == 0
    assert "create  dashboard soak-run" in dry.stdout
    assert "5 of 5 would be written" in dry.stdout
    assert {method for method, _ in standin.seen} == {"GET"}
    push(standin.url)
    standin.dashboards["soak-run"]["dashboard"]["title"] = "by hand"
    dry = push(standin.url, "--dry-run")
    assert '-    "title": "by hand",' in dry.stdout
    assert '+    "title": "soak: one run",' in dry.stdout
    assert standin.dashboards["soak-run"]["dashboard"]["title"] == "by hand"


def test_a_change_is_saved_over_the_version_that_was_seen_and_stays_in_its_folder(standin: StandIn) -> None:
    push(standin.url)
    saved = standin.dashboards["soak-run"]
    saved["dashboard"]["title"], saved["dashboard"]["version"] = "by hand", 7
    number = saved["dashboard"]["id"]
    done = push(standin.url, "--json")
    changes = {step["resource"]: step["change"] for step in json.loads(done.stdout)["steps"]}
    assert changes == {"folder soak": "same"} | {
        f"dashboard {uid}": "update" if uid == "soak-run" else "same" for uid in BOARDS
    }
    saved = standin.dashboards["soak-run"]
    assert (saved["dashboard"]["title"], saved["dashboard"]["version"]) == ("soak: one run", 8)
    assert (saved["dashboard"]["id"], saved["meta"]["folderUid"]) == (number, "soak")


def test_what_a_file_provisions_stops_everything_before_anything_is_written(standin: StandIn) -> None:
    standin.provision("soak-fleet", "theirs")
    done = push(standin.url)
    assert done.exit_code == 2
    assert "dashboard soak-fleet belongs to a file" in done.stderr
    assert "(soak-fleet.json)" in done.stderr
    assert {method for method, _ in standin.seen} == {"GET"}


def test_a_provisioned_data_source_and_rule_are_left_alone_too(standin: StandIn) -> None:
    standin.sources["soak-prometheus"] = {"uid": "soak-prometheus", "name": "soak", "readOnly": True}
    done = push(standin.url, "--prometheus", "http://prometheus:9090")
    assert done.exit_code == 2
    assert "leave --prometheus away" in done.stderr
    push(standin.url, "--data-source", "soak-prometheus", "--alerts")
    standin.rules["soak-finding"]["provenance"] = "file"
    done = push(standin.url, "--data-source", "soak-prometheus", "--alerts")
    assert done.exit_code == 2
    assert "alert rule soak-finding belongs to a file" in done.stderr


def test_a_title_that_is_taken_is_told_as_such(standin: StandIn) -> None:
    push(standin.url)
    taken = standin.dashboards.pop("soak-run")
    taken["dashboard"]["uid"] = "another"
    standin.dashboards["another"] = taken
    done = push(standin.url)
    assert done.exit_code == 2
    assert "status 412: A dashboard with the same name already exists. Something else in that folder" in done.stderr


def test_a_save_in_between_is_never_overwritten(standin: StandIn) -> None:
    grafana = There(standin.url, TOKEN).client()
    push(standin.url)
    board = Dashboard(boards()[0] | {"title": "new"}, "soak", "test")
    steps = plan(grafana, [board])
    standin.dashboards["soak-oncall"]["dashboard"] |= {"title": "theirs", "version": 9}
    with pytest.raises(RefusedError, match="Somebody saved it in between"):
        apply(grafana, steps)
    assert standin.dashboards["soak-oncall"]["dashboard"]["title"] == "theirs"


def test_after_a_lost_answer_pushing_again_does_the_rest(standin: StandIn) -> None:
    standin.troubles = [Trouble(0, done=True, method="POST")]
    lost = push(standin.url)
    assert lost.exit_code == 2
    assert "cannot be reached" in lost.stderr
    assert (list(standin.folders), standin.dashboards) == (["soak"], {})
    again = push(standin.url)
    assert "same    folder soak" in again.stdout
    assert "4 of 5 written" in again.stdout


def test_a_token_that_may_only_look_changes_nothing_and_says_so(standin: StandIn) -> None:
    done = push(standin.url, token=VIEWER)
    assert done.exit_code == 2
    assert "status 403" in done.stderr
    assert standin.folders == {}


def test_the_webhook_is_a_secret_that_is_never_shown(standin: StandIn) -> None:
    options = ["--data-source", "x", "--alerts", "--dry-run"]
    created = push(standin.url, *options, SOAK_GRAFANA_WEBHOOK=HOOK)
    push(standin.url, *options[:-1], SOAK_GRAFANA_WEBHOOK=HOOK)
    changed = push(standin.url, *options, SOAK_GRAFANA_WEBHOOK=HOOK + "-new")
    asked = push(standin.url, *options, "--json", SOAK_GRAFANA_WEBHOOK=HOOK + "-new")
    assert standin.points["soak-webhook"]["settings"]["url"] == HOOK
    assert "hooks.example/..." in changed.stdout
    for told in (created, changed, asked):
        assert "very-secret" not in told.output


@pytest.mark.parametrize(
    "options, words",
    [
        (["--alerts"], "--alerts needs to know the data source"),
        (["--prometheus", "http://p", "--data-source", "x"], "either --prometheus or --data-source"),
        (["--prometheus", "http://p", "--scrape-interval", "soon"], "--scrape-interval"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str], words: str) -> None:
    done = push("http://127.0.0.1:1", *options)
    assert done.exit_code == 2
    assert words in done.stderr
