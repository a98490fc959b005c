"""deploy/ and the Dockerfile: everything that can be known of them without a Docker engine or a cluster."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from soak.daemon.config import settings
from soak.scenario import load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text())
BIN = Path(sys.executable).parent
KUBERNETES = "1.30.0"
MOST_EXPOSED = 3.0
"""Of `systemd-analyze security`, 0 to 10: below 4 it says OK."""


def needed(tool: str) -> str:
    found = str(BIN / tool) if (BIN / tool).exists() else shutil.which(tool)
    if found is None:
        pytest.skip(f"needs {tool}")
    return found


def passes(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_dockerfile_has_nothing_that_its_linter_minds() -> None:
    passes(needed("hadolint"), ROOT / "Dockerfile")


def test_the_image_is_told_only_what_it_is_built_of() -> None:
    """Whatever COPY names is let in by .dockerignore, and nothing else is."""
    copied = set()
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        copied |= {source.removeprefix("./") for source in sources.split()}
    lines = (ROOT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_compose_is_valid_and_every_file_it_mounts_is_there() -> None:
    passes(needed("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose" / "compose.yaml")
    mounted = [
        source
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
        if (source := re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).split(":")[0]).startswith(".")
    ]
    assert len(mounted) >= 6
    missing = [source for source in mounted if not (DEPLOY / "compose" / source).exists()]
    assert not missing
    named = {
        volume.split(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
        if volume[0] not in ".$"
    }
    assert named == set(COMPOSE["volumes"])


def test_compose_opens_doors_on_loopback_only_and_gives_no_rights() -> None:
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert not service.get("privileged"), name
    for name in ("soak", "tokens"):
        assert COMPOSE["services"][name]["read_only"] is True
        assert COMPOSE["services"][name]["cap_drop"] == ["ALL"]


def test_what_compose_hands_to_prometheus_and_alertmanager_is_taken_by_them() -> None:
    folder = DEPLOY / "compose"
    passes(needed("promtool"), "check", "config", "--syntax-only", folder / "prometheus.yml")
    passes(needed("amtool"), "check-config", folder / "alertmanager.yml")


def test_grafanas_data_source_is_the_one_that_dashboards_name() -> None:
    (source,) = yaml.safe_load((DEPLOY / "compose/grafana/provisioning/datasources/soak.yaml").read_text())[
        "datasources"
    ]
    assert (source["uid"], source["url"]) == ("prometheus", "http://prometheus:9090")


@pytest.mark.parametrize("name", ["compose/serve.toml", "kubernetes/example/serve.toml"])
def test_the_daemons_settings_are_taken_by_the_daemon(name: str) -> None:
    told = settings(DEPLOY / name, {})
    assert told.address == ("0.0.0.0", 9646)
    assert told.no_tls


def manifests() -> list[dict[str, Any]]:
    rendered = subprocess.run(
        [needed("kubectl"), "kustomize", str(DEPLOY / "kubernetes" / "example")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


def test_the_manifests_render_and_hold_to_the_schemas_of_kubernetes(tmp_path: Path) -> None:
    found = manifests()
    kinds = {one["kind"] for one in found}
    assert {"StatefulSet", "Deployment", "Service", "NetworkPolicy", "ServiceMonitor", "ConfigMap"} <= kinds
    # a ServiceMonitor is the Prometheus Operator's own kind: Kubernetes has no schema of it
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(one for one in found if one["kind"] != "ServiceMonitor"))
    passes(needed("kubernetes-validate"), "--strict", "-k", KUBERNETES, file)


def test_every_container_of_soak_is_locked_down_and_every_name_leads_somewhere() -> None:
    found = manifests()
    maps = {one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"}
    pods = [one["spec"]["template"]["spec"] for one in found if one["kind"] in ("StatefulSet", "Deployment")]
    containers = [(pod, c) for pod in pods for c in [*pod["containers"], *pod.get("initContainers", [])]]
    ours = [(pod, c) for pod, c in containers if "soak" in c["image"]]
    assert len(ours) == 4
    for pod, container in ours:
        context = pod.get("securityContext", {}) | container["securityContext"]
        assert context["readOnlyRootFilesystem"]
        assert not context["allowPrivilegeEscalation"]
        assert context["capabilities"]["drop"] == ["ALL"]
        assert container["image"].startswith("registry.example/soak:")
        if container["name"] == "soak-observer":
            assert pod["shareProcessNamespace"]
        else:
            assert context["runAsNonRoot"]
    for pod in pods:
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
    services = [one["spec"]["selector"] for one in found if one["kind"] == "Service"]
    labels = [one["spec"]["template"]["metadata"]["labels"] for one in found if "template" in one.get("spec", {})]
    assert all(any(selector.items() <= has.items() for has in labels) for selector in services)


def test_the_dashboards_are_in_a_config_map_that_grafana_looks_for() -> None:
    (found,) = [one for one in manifests() if one["metadata"]["name"] == "soak-dashboards"]
    assert found["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert set(found["data"]) == {file.name for file in (ROOT / "dashboards").glob("*.json")}
    assert all(json.loads(text)["uid"] for text in found["data"].values())


def test_the_scenario_of_the_example_can_be_soaked() -> None:
    file = DEPLOY / "kubernetes" / "example" / "shop.scenario.yaml"
    target = load(file).scenario.target
    assert target.observer is not None
    allowed = tomllib.loads((file.parent / "serve.toml").read_text())["allow_hosts"]
    assert target.url.split("//")[1] in allowed


@pytest.mark.parametrize("unit", ["soak.service", "soak-observer.service"])
def test_the_units_are_understood_by_systemd_and_hardened(unit: str, tmp_path: Path) -> None:
    analyze = needed("systemd-analyze")
    text = (DEPLOY / "systemd" / unit).read_text()
    installed = tmp_path / unit
    installed.write_text(text.replace("/opt/soak/bin/soak", sys.executable))  # it looks whether the program is there
    told = passes(analyze, "verify", installed)
    assert unit not in told, told
    rated = passes(analyze, "security", "--offline=true", installed)
    (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", rated)
    assert float(exposure) < MOST_EXPOSED, rated


def test_whatever_runs_soak_knows_its_verbs_and_options() -> None:
    """Every command line in deploy/ is one that the front door takes."""
    lines = [c["args"] for _, c in _ours() if c["args"][0] in ("serve", "worker", "observe")]
    lines += [COMPOSE["services"]["soak"]["command"]]
    for text in ("soak.service", "soak-observer.service"):
        (line,) = re.findall(r"^ExecStart=\S+/soak (.+)$", (DEPLOY / "systemd" / text).read_text(), re.MULTILINE)
        lines.append(line.split())
    assert len(lines) == 6
    for verb, *options in lines:
        shown = passes(sys.executable, "-m", "soak.cli", verb, "--help")
        for option in (o.split("=")[0] for o in options if o.startswith("--")):
            assert option in shown, f"soak {verb} {option}"


def _ours() -> list[tuple[str, dict[str, Any]]]:
    return [
        (one["metadata"]["name"], c)
        for one in manifests()
        if one["kind"] in ("StatefulSet", "Deployment")
        for c in one["spec"]["template"]["spec"]["containers"]
        if "soak" in c["image"]
    ]
