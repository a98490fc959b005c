"""Every shipped story ends with its true answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import Outcome, beside_each_other, measured, shipped, soak

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
long = pytest.mark.long
Soaks = Callable[[str], Outcome]
# how long the phases of each shipped scenario are here
SOAKS: dict[str, dict[str, str]] = {
    "healthy": {"soak": "80s"},
    "leak": {"soak": "60s"},
    "recursion": {"soak": "60s"},
    "quadratic": {"soak": "90s"},
    "crash": {},
    "stall": {"soak": "80s"},
    "cache_fill": {"soak": "80s"},
    "gc_sawtooth": {"soak": "80s"},
    "fragmentation": {"soak": "60s"},
}


@pytest.fixture(scope="module")
def shipped_soaks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Soaks]:
    """Gives the outcome of a shipped scenario, or of the demo, by name."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("demo", *SOAKS)}  # pytest makes them in one thread only

    def run(name: str) -> Outcome:
        folder = folders[name]
        if name == "demo":
            return soak(folder, "demo")
        return measured(folder, "run", str(shipped(folder, name, **SOAKS[name])))

    with beside_each_other(request, folders, run) as soaks:
        yield soaks


@pytest.mark.parametrize(
    "name,causes",
    [
        ("leak", {"object_leak"}),
        pytest.param("fragmentation", {"fragmentation"}, marks=long),
        pytest.param("recursion", {"stack_growth"}, marks=long),
        ("crash", {"crash"}),
    ],
)
def test_a_sick_server_fails_with_its_cause(shipped_soaks: Soaks, name: str, causes: set[str]) -> None:
    outcome = shipped_soaks(name)
    assert outcome.code == 1, outcome.show()
    assert outcome.verdict["verdict"] == "fail"
    assert causes <= outcome.causes(), outcome.show()


@long
@pytest.mark.parametrize("name", ["quadratic"])
def test_work_that_grows_with_data_fails_by_what_it_costs(shipped_soaks: Soaks, name: str) -> None:
    outcome = shipped_soaks(name)
    assert outcome.code == 1, outcome.show()
    assert "superlinear_cost" in outcome.causes(), outcome.show()
    assert not outcome.causes() & {"latency_drift", "cpu_drift"}, outcome.show()  # one root


@pytest.mark.parametrize(
    "name", ["healthy", *(pytest.param(name, marks=long) for name in ("cache_fill", "gc_sawtooth", "stall"))]
)
def test_a_server_that_only_looks_scary_never_fails(shipped_soaks: Soaks, name: str) -> None:
    outcome = shipped_soaks(name)
    assert outcome.code in (0, 3, 4), outcome.show()  # 4: this machine is too busy to measure on
    assert outcome.causes() == set(), outcome.show()


@long
@pytest.mark.parametrize("name", ["stall"])
def test_a_stall_shows_in_p999_without_any_claim_of_drift(shipped_soaks: Soaks, name: str) -> None:
    verdict = shipped_soaks(name).verdict
    assert all(e["p999_ms"] > 500 for e in verdict["latency"].values() if e["count"] > 2_000)
    assert not {f["cause"] for f in verdict["findings"]} & {"latency_drift", "latency_step"}


@pytest.mark.parametrize(
    "name", ["healthy", "leak", "crash", *(pytest.param(name, marks=long) for name in ("stall", "quadratic"))]
)
def test_every_arrival_is_accounted_for(shipped_soaks: Soaks, name: str) -> None:
    account = shipped_soaks(name).verdict["validity"]
    assert account["scheduled"] > 500
    parts = account["done"] + account["failed"] + account["unserved"] + account["lost"]
    assert parts == account["scheduled"]
    assert account["balanced"]


@pytest.mark.parametrize("name", ["demo"])
def test_the_demo_shows_what_it_promises(shipped_soaks: Soaks, name: str) -> None:
    outcome = shipped_soaks(name)
    assert outcome.code == 0, outcome.show()
    assert "object_leak" in outcome.out
    assert "reference" in outcome.out
    assert "The demo showed what it promised" in outcome.out
    report = next(line for line in outcome.out.splitlines() if line.startswith("report: ")).removeprefix("report: ")
    assert (outcome.folder / report).is_file()


def test_a_crash_names_its_signal_and_ends_the_soak(shipped_soaks: Soaks) -> None:
    outcome = shipped_soaks("crash")
    (finding,) = [f for f in outcome.verdict["findings"] if f["cause"] == "crash"]
    assert "SIGSEGV" in finding["title"] + " ".join(finding["evidence"])
    assert outcome.verdict["soak_s"] < 110


def test_a_leak_has_a_rate_an_interval_a_time_left_and_advice(shipped_soaks: Soaks) -> None:
    finding = next(f for f in shipped_soaks("leak").verdict["findings"] if f["cause"] == "object_leak")
    assert finding["low"] < finding["rate"] < finding["high"]
    assert finding["eta_s"] > 0
    assert finding["advice"]
    assert finding["location"].endswith("(touch)")
    assert "sickness.py" in finding["location"]
    assert finding["evidence"]


def test_a_run_file_gives_the_same_verdict_a_second_time(shipped_soaks: Soaks) -> None:
    first = shipped_soaks("leak")
    again = soak(first.folder, "judge", "latest", "--json")
    assert again.code == first.code
    assert again.verdict == first.verdict


@pytest.mark.parametrize("view", ["text", "json", "html", "junit", "markdown"])
def test_every_report_can_be_made_again(shipped_soaks: Soaks, view: str) -> None:
    first = shipped_soaks("leak")
    made = soak(first.folder, "report", str(first.run_file), "--format", view)
    assert made.code == 0, made.show()
    assert "object_leak" in made.out or "objects are kept" in made.out.lower()


def test_the_list_names_the_run_and_its_verdict(shipped_soaks: Soaks) -> None:
    first = shipped_soaks("leak")
    listed = soak(first.folder, "runs")
    assert first.run_file.stem in listed.out
    assert "fail" in listed.out
