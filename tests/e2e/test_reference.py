"""Against a reference, with real servers: a regression of known size is named, and two alike are not told apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from soak import runfile
from soak.report.compared import schema
from tests.e2e.harness import Outcome, free_port, measured, scenario, soak

pytestmark = [pytest.mark.e2e, pytest.mark.quiet, pytest.mark.timeout(600)]
HEAVIER = Path(__file__).with_name("heavier.py")


def server(rounds: int = 0, mebibytes: int = 0, artefact: str = "") -> str:
    port = free_port()
    more = f", artefact: {artefact}" if artefact else ""
    command = f"{{python}} {HEAVIER} {port} {rounds} {mebibytes}"
    return f'{{url: "http://127.0.0.1:{port}", process: {{command: "{command}"}}{more}}}'


def written(folder: Path, target: str, reference: str, criteria: str, soak_s: int, name: str = "shop") -> Path:
    text = f"""\
name: {name}
target: {target}
reference: {reference}
load:
  rate: 100/s
  connections: 30
  requests: [{{name: browse, get: "/items/{{random:1-5000}}"}}]
phases: {{idle_before: 3s, warmup: 3s, soak: {soak_s}s}}
probe: {{allocations: false}}
criteria:
{criteria}
"""
    return scenario(folder, text)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """A candidate that costs more CPU and memory, and is installed with more bytes, beside one that does not."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "new").write_bytes(bytes(130_000))
    (folder / "old").write_bytes(bytes(100_000))
    criteria = """\
  - {metric: cpu.per_request, ratio_below: 1.15}
  - {metric: memory.idle, ratio_below: 1.1}
  - {metric: artefact.size, ratio_below: 1.1}
  - {metric: errors.ratio, ratio_below: 1}
  - {metric: throughput.rate, ratio_above: 0.9}
  - {metric: latency.p50, ratio_below: 20}"""
    file = written(folder, server(20_000, 16, "new"), server(artefact="old"), criteria, 40)
    return measured(folder, "run", str(file))


def results(outcome: Outcome) -> dict[str, str]:
    return {c["metric"]: c["result"] for c in outcome.verdict["criteria"]}


def test_what_costs_more_fails_by_its_own_name(beside: Outcome) -> None:
    assert beside.code == 1, beside.show()
    found = results(beside)
    assert found["cpu.per_request"] == found["memory.idle"] == found["artefact.size"] == "fail", beside.show()
    assert {"cpu_regression", "memory_regression", "size_regression"} <= beside.causes()


def test_what_costs_no_more_passes_beside_it(beside: Outcome) -> None:
    found = results(beside)
    assert found["errors.ratio"] == found["throughput.rate"] == found["latency.p50"] == "pass", beside.show()


def test_the_comparison_has_both_values_and_an_interval(beside: Outcome) -> None:
    rows = {c["metric"]: c for c in beside.verdict["comparison"]}
    cpu, size = rows["cpu.per_request"], rows["artefact.size"]
    assert cpu["candidate"] > cpu["reference"]
    assert 1.15 <= cpu["low"] <= cpu["ratio"] <= cpu["high"]
    assert cpu["change"] == "worse"
    assert (size["candidate"], size["reference"], size["ratio"]) == (130_000, 100_000, pytest.approx(1.3))


def test_both_sides_get_the_same_arrivals_and_each_account_balances(beside: Outcome) -> None:
    ours, theirs = beside.verdict["validity"], beside.verdict["reference"]["validity"]
    assert ours["balanced"]
    assert theirs["balanced"]
    assert ours["scheduled"] == theirs["scheduled"] > 3_000


def test_the_run_file_says_the_same_later(beside: Outcome) -> None:
    again = soak(beside.folder, "judge", "latest", "--json")
    assert again.code == beside.code
    assert json.loads(again.out)["comparison"] == beside.verdict["comparison"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Two pairs of runs of one that costs more, and one that does not."""
    folder = tmp_path_factory.mktemp("pairs")
    criteria = "  - {metric: memory.idle, ratio_below: 1.1}\n  - {metric: errors.ratio, below: 50%}"
    file = written(folder, server(0, 16), server(), criteria, 12)
    return soak(folder, "compare", str(file), "--pairs", "2", "--json", timeout=400)


@pytest.mark.long
def test_pairs_of_runs_find_what_is_larger_than_their_noise(pairs: Outcome) -> None:
    assert pairs.code == 1, pairs.show()
    found = json.loads(pairs.out)
    jsonschema.Draft202012Validator(schema()).validate(found)
    assert len(found["candidate"]) == len(found["reference"]) == 2
    (criterion,) = found["criteria"]
    assert (criterion["metric"], criterion["result"]) == ("memory.idle", "fail")
    assert len(list((pairs.folder / "runs").glob("*.soak"))) == 4


@pytest.mark.long
def test_two_run_files_are_compared(pairs: Outcome) -> None:
    new, old = (sorted((pairs.folder / "runs").glob(f"*-{side}-*.soak"))[0] for side in ("candidate", "reference"))
    found = soak(pairs.folder, "compare", str(new), str(old), "--json")
    assert found.code == 1, found.show()
    told = json.loads(found.out)
    assert next(c for c in told["comparison"] if c["metric"] == "memory.idle")["change"] == "worse"
    assert any("is assumed" in note for note in told["notes"])


@pytest.mark.long
def test_earlier_runs_are_a_reference_and_are_not_needed_again(pairs: Outcome, tmp_path: Path) -> None:
    old = sorted((pairs.folder / "runs").glob("*-reference-*.soak"))
    for path in old:
        shutil.copy(path, tmp_path)
    names = ", ".join(path.name for path in old)
    criteria = "  - {metric: memory.idle, ratio_below: 1.1}\n  - {metric: errors.ratio, ratio_below: 1}"
    file = written(tmp_path, server(0, 16), f"{{run: [{names}]}}", criteria, 12)
    outcome = measured(tmp_path, "run", str(file))
    assert outcome.code == 1, outcome.show()
    assert outcome.causes() == {"memory_regression"}
    for path in tmp_path.glob("*-reference-*.soak"):
        path.unlink()
    again = soak(tmp_path, "judge", str(outcome.run_file), "--json")
    assert json.loads(again.out)["comparison"] == outcome.verdict["comparison"]
    assert "earlier_runs" in runfile.read(outcome.run_file).provenance


@pytest.mark.long
def test_runs_under_another_load_are_refused_before_anything_starts(pairs: Outcome, tmp_path: Path) -> None:
    old = sorted((pairs.folder / "runs").glob("*-reference-*.soak"))[0]
    criteria = "  - {metric: memory.idle, ratio_below: 1.1}"
    file = written(tmp_path, server(), f"{{run: {old}}}", criteria, 12)
    file.write_text(file.read_text().replace("rate: 100/s", "rate: 90/s"))
    outcome = soak(tmp_path, "run", str(file))
    assert outcome.code == 2
    assert "another load" in outcome.err
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*.soak"))
