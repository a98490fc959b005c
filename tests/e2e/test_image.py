"""The Dockerfile's own steps, replayed in a clean folder: what the image would hold can do a run's work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.quiet, pytest.mark.timeout(600)]


def steps(stage: str, folder: Path) -> list[str]:
    """The RUN commands of a stage, with its folders below `folder` and its arguments at their defaults."""
    text = re.sub(r"\\\n", " ", stage)
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    found = []
    for line in re.findall(r"^RUN (.+)$", text, re.MULTILINE):
        for name, value in arguments.items():
            line = line.replace(f"${{{name}}}", value)
        found.append(line.replace("/opt/soak", str(folder / "opt/soak")))
    return found


def test_what_the_image_builds_can_be_installed_and_does_its_work(tmp_path: Path) -> None:
    source, home = tmp_path / "src", tmp_path / "home"
    source.mkdir()
    home.mkdir()
    _, build, final = re.split(r"^FROM .*$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for names in re.findall(r"^COPY (?!--from)(.+) \./?\S*$", build, re.MULTILINE):
        for name in (n.removeprefix("./") for n in names.split()):
            made = source / name
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, made, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, made)
    clean = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "HTTP", "NO_PROXY", "SSL_", "REQUESTS_"))}
    clean |= {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for step in steps(build, tmp_path):
        done = subprocess.run(["sh", "-ec", step], cwd=source, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, f"{step}\n{done.stdout}{done.stderr}"

    (environment,) = re.findall(r"^ENV PATH=/opt/soak/bin:\$PATH (.+)$", final, re.MULTILINE)
    assert "SOAK_RUNS=/var/lib/soak/runs" in environment
    inside = clean | {"PATH": f"{tmp_path / 'opt/soak/bin'}:/usr/bin:/bin", "SOAK_RUNS": str(home / "runs")}
    scenario = ROOT / "scenarios" / "healthy.yaml"
    short = home / "healthy.yaml"
    short.write_text(re.sub(r"warmup: \w+, soak: \w+", "warmup: 1s, soak: 5s", scenario.read_text()))
    assert short.read_text() != scenario.read_text()
    # nothing of the repository is in reach: no package data may be missing
    ran = subprocess.run(["soak", "run", str(short), "--json"], cwd=home, env=inside, capture_output=True, text=True)
    assert ran.returncode in (0, 3), ran.stderr
    assert '"schema": "soak.verdict/1"' in ran.stdout
    assert list((home / "runs").glob("*.html"))
