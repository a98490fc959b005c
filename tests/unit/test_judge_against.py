"""The candidate against a reference beside it: criteria on ratios, what differs, and when nothing can be said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from soak.core.records import Event, Recording
from soak.core.verdict import Comparison, Verdict
from soak.judge import judge
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import LOOSE, changed, failing, memory, the, timing_out
from tests.unit.test_report_looks import look

REFERENCE = {"url": "http://127.0.0.1:8001", "process": {"command": "old"}}


def run(
    candidate: dict[str, Any] | None = None,
    beside: dict[str, Any] | None = None,
    criteria: list[dict[str, Any]] | None = None,
    events: tuple[Event, ...] = (),
    **scene: Any,
) -> Recording:
    spec = scenario(**({"reference": REFERENCE, "criteria": criteria or LOOSE} | scene))
    return recording(spec, side(spec, seed=1, **candidate or {}), side(spec, seed=2, **beside or {}), events)


def judged(criterion: dict[str, Any], candidate: dict[str, Any] | None = None, **rest: Any) -> Verdict:
    return judge(run(candidate, criteria=[criterion], **rest))


def level(seconds: float) -> dict[str, Any]:
    return {"latency": lambda t: np.full_like(t, seconds)}


def row(verdict: Verdict, metric: str) -> Comparison:
    return next(c for c in verdict.comparison if c.metric == metric)


@pytest.mark.parametrize(
    "metric,candidate",
    [
        ("latency.p50", level(0.0065)),
        ("latency.p99", level(0.0065)),
        ("service.p90", level(0.0065)),
        ("cpu.per_request", {"series": {"process.cpu_seconds": lambda t: 0.25 * t}}),
        ("memory.rss", {"series": memory(lambda t: np.full_like(t, 60.0))}),
        ("memory.idle", {"series": memory(lambda t: np.full_like(t, 60.0))}),
        ("errors.ratio", {"failed_share": lambda t: np.full_like(t, 0.01)}),
    ],
)
def test_a_fifth_more_is_more_than_a_tenth(metric: str, candidate: dict[str, Any]) -> None:
    verdict = judged({"metric": metric, "ratio_below": 1.1}, candidate)
    (result,) = verdict.criteria
    assert result.result == "fail"
    assert result.low is not None
    assert result.low >= 1.1
    assert verdict.exit_code == 1
    assert any(f.severity == "fail" and f.cause.endswith("_regression") for f in verdict.candidate.findings)


@pytest.mark.parametrize(
    "metric", ["latency.p50", "latency.p99", "cpu.per_request", "memory.rss", "memory.idle", "errors.ratio"]
)
def test_two_alike_are_within_a_tenth(metric: str) -> None:
    verdict = judged({"metric": metric, "ratio_below": "110%"})
    (result,) = verdict.criteria
    assert result.result == "pass", result.reason
    assert verdict.verdict == "pass"


def test_a_limit_within_the_interval_is_inconclusive_and_says_how_long_would_settle_it() -> None:
    verdict = judged({"metric": "latency.p99", "ratio_below": 1.22}, level(0.006))
    (result,) = verdict.criteria
    assert result.result == "inconclusive"
    assert result.low is not None
    assert result.high is not None
    assert result.low < 1.22 < result.high
    assert "the limit lies within the interval; run " in result.reason
    assert verdict.exit_code == 3


@pytest.mark.parametrize(
    "shares,limit,result",
    [((0.05, 0.0), 900, "inconclusive"), ((0.0, 0.05), 9e-4, "inconclusive"), ((0.05, 0.05), 1.1, "inconclusive")],
)
def test_what_was_given_up_has_an_open_end(shares: tuple[float, float], limit: float, result: str) -> None:
    """Given up after a second, a request would have taken longer: no limit above is passed, and none below missed."""
    spec = scenario(reference=REFERENCE, criteria=[{"metric": "latency.p99", "ratio_below": limit}])
    sides = [timing_out(side(spec, seed=i), x) if x else side(spec, seed=i) for i, x in enumerate(shares)]
    (found,) = judge(recording(spec, *sides)).criteria
    assert found.result == result
    assert (found.low == 0) == bool(shares[1])
    assert (found.high == np.inf) == bool(shares[0])


def test_no_gain_is_asked_for_but_a_loss_of_throughput_fails() -> None:
    criterion = {"metric": "throughput.rate", "ratio_above": 0.98}
    assert judged(criterion).criteria[0].result == "pass"
    lost = judged(criterion, {"failed_share": lambda t: np.full_like(t, 0.05)})
    assert lost.criteria[0].result == "fail"
    assert the(lost, "throughput_regression").severity == "fail"


def test_both_without_a_failure_is_a_pass() -> None:
    (result,) = judged({"metric": "errors.ratio", "ratio_below": 1.0}).criteria
    assert (result.result, result.value) == ("pass", None)
    assert "none on either side" in result.reason


def test_too_few_requests_are_no_pass() -> None:
    (result,) = judged({"metric": "latency.p9999", "ratio_below": 2}).criteria
    assert result.result == "inconclusive"
    assert "too few" in result.reason


def test_what_slows_both_down_is_not_the_candidates() -> None:
    slower = {"latency": lambda t: 0.005 * (1 + np.clip(t / 100, 0, 1))}
    verdict = judge(run(slower, slower, [{"metric": "latency.p50", "ratio_below": 1.1}]))
    assert verdict.criteria[0].result == "pass"


def test_windows_that_one_side_cannot_be_trusted_in_are_left_out_of_both() -> None:
    """The candidate is ten times slower while the generator of the reference stood still, and only then."""
    spec = scenario(reference=REFERENCE, criteria=[{"metric": "latency.p50", "ratio_below": 1.1}])
    slow = side(spec, seed=1, latency=lambda t: np.where((t > 60) & (t < 63), 0.05, 0.005))
    calm = side(spec, seed=2)
    frozen = tuple(
        type(y)(**{n: getattr(y, n) for n in type(y).__slots__} | {"lag_max": 0.5}) if 60 <= y.start < 63 else y
        for y in calm.tallies
    )
    told = judge(recording(spec, slow, changed(calm, tallies=frozen))).criteria[0]
    assert told.result == "pass"
    assert told.high is not None
    assert told.high < judge(recording(spec, slow, calm)).criteria[0].high  # type: ignore[operator]


def test_a_reference_that_died_is_no_yardstick() -> None:
    died = Event(60.0, "target_exit", "reference", "died", {"code": None, "signal": 11, "signal_name": "SIGSEGV"})
    verdict = judge(run(criteria=[{"metric": "latency.p50", "ratio_below": 9}], events=(died,)))
    assert verdict.criteria[0].result == "inconclusive"
    assert "no yardstick" in verdict.criteria[0].reason
    assert verdict.comparison == ()


def test_a_recording_without_its_reference_fails_closed() -> None:
    made = run(criteria=[{"metric": "latency.p50", "ratio_below": 1.1}])
    alone = changed(made, sides={"candidate": made.sides["candidate"]})
    verdict = judge(alone)
    assert verdict.verdict == "inconclusive"
    assert "nothing of a reference" in verdict.criteria[0].reason


def test_what_nobody_asked_for_is_told_and_fails_nothing() -> None:
    verdict = judge(run(level(0.0075)))
    finding = the(verdict, "latency_regression")
    assert finding.severity == "warning"
    assert "above the reference's" in finding.title
    assert failing(verdict) == []
    assert verdict.verdict == "pass"
    assert row(verdict, "latency.p50").change == "worse"


def test_a_gain_is_told_as_one_and_is_no_finding() -> None:
    verdict = judge(run(level(0.003)))
    assert row(verdict, "latency.p50").change == "better"
    assert not [f for f in verdict.candidate.findings if f.cause.endswith("_regression")]


def test_two_alike_are_told_to_be_the_same() -> None:
    changes = {c.metric: c.change for c in judge(run()).comparison}
    assert changes["latency.p50"] == changes["memory.anon"] == changes["cpu.per_request"] == "same"
    assert "worse" not in changes.values()


def test_one_cause_is_one_finding_with_the_others_as_its_evidence() -> None:
    criteria = [{"metric": f"latency.{q}", "ratio_below": 1.05} for q in ("p50", "p90", "p99")]
    verdict = judge(run(level(0.0075), criteria=criteria))
    finding = the(verdict, "latency_regression")
    assert sum("too: 1" in line for line in finding.evidence) == 2


def test_a_leak_needs_no_second_finding_for_being_larger() -> None:
    verdict = judge(run({"series": memory(lambda t: 40 + 0.4 * t)}))
    assert "memory_growth" in failing(verdict)
    assert not [f for f in verdict.candidate.findings if f.cause == "memory_regression"]


def test_what_is_installed_is_compared_by_its_bytes() -> None:
    sizes = tuple(
        Event(0.0, "artefact", name, "", {"bytes": n, "files": 1})
        for name, n in (("candidate", 120 * MIB), ("reference", 100 * MIB))
    )
    targets = {
        "target": {"url": "http://127.0.0.1:8000", "process": {"command": "server"}, "artefact": "new"},
        "reference": REFERENCE | {"artefact": "old"},
    }
    criteria = [{"metric": "artefact.size", "ratio_below": 1.1}]
    verdict = judge(run(criteria=criteria, events=sizes, **targets))
    assert verdict.criteria[0].value == pytest.approx(1.2)
    assert the(verdict, "size_regression").severity == "fail"


@pytest.mark.parametrize(
    "criterion,scene,said",
    [
        ({"metric": "latency.p99", "ratio_below": 1.1}, {}, "a ratio needs a reference"),
        ({"metric": "latency.p99", "ratio_below": 0}, {"reference": REFERENCE}, "expected more than 0"),
        ({"metric": "latency.p99", "ratio_below": 1.1, "over": "1m"}, {"reference": REFERENCE}, "over: a ratio"),
        ({"metric": "host.cpu", "ratio_below": 1.1}, {"reference": REFERENCE}, "is not compared"),
        ({"metric": "artefact.size", "below": "1 MiB"}, {}, "add artefact to the target"),
        ({"metric": "memory.idle", "growth_below": "1 MiB"}, {}, "measured once a run"),
        ({"metric": "memory.idle", "below": "1 GiB"}, {"phases": {"soak": "60s"}}, "add phases.idle_before"),
        (
            {"metric": "cpu.per_request", "ratio_below": 1.1},
            {"reference": {"url": "http://127.0.0.1:8001"}},
            "watch on both sides",
        ),
    ],
)
def test_what_cannot_be_judged_is_refused(criterion: dict[str, Any], scene: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        scenario(criteria=[criterion], **scene)


@pytest.mark.parametrize(
    "limit,result", [({"below": "60 MiB"}, "pass"), ({"below": "30 MiB"}, "fail"), ({"above": "30 MiB"}, "pass")]
)
def test_memory_at_rest_has_limits_of_its_own_too(limit: dict[str, str], result: str) -> None:
    spec = scenario(criteria=[{"metric": "memory.idle"} | limit])
    (found,) = judge(recording(spec, side(spec))).criteria
    assert found.result == result
    assert found.value == pytest.approx(40 * MIB, rel=0.01)


def test_two_alike_on_a_host_that_wanders_are_not_told_apart() -> None:
    """Thirty pairs, each with a slow wave of its host and noise of its own: nothing may be called worse or better."""
    told = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        wave = np.cumsum(rng.normal(0, 0.02, 400))

        def host(t: np.ndarray, wave: np.ndarray = wave) -> np.ndarray:
            return 0.005 * np.exp(wave[t.astype(int)])

        spec = scenario(reference=REFERENCE, criteria=LOOSE)
        made = recording(spec, side(spec, seed=2 * seed + 1, latency=host), side(spec, seed=2 * seed + 2, latency=host))
        told += any(c.change in ("worse", "better") for c in judge(made).comparison)
    assert told <= 1


def looked(side_name: str, at: float, more: float) -> Event:
    """A close look: `find` allocates `more` bytes and takes more of the CPU, by as much in the candidate."""
    made = look(at, 200 * 1024.0 + more)
    whole = dict(made.data["allocations"])  # type: ignore[call-overload]
    heavy = 0.6 if side_name == "candidate" else 0.2
    functions = [
        {"function": name, "file": f"/srv/{side_name}/shop.py", "line": 7, "within": own, "own": own, "recursion": 0}
        for name, own in (("find", heavy), ("answer", 0.2))
    ]
    data = dict(made.data) | {
        "hot": {"samples": 400, "functions": functions},
        "allocations": whole | {"bytes": whole["bytes"] + more},
    }
    return Event(made.t, made.kind, side_name, made.text, data)


def test_where_the_code_differs_is_evidence() -> None:
    events = tuple(
        looked(name, at, 2_000 * 1024.0 if name == "candidate" else 0.0)
        for at in (25, 120)
        for name in ("candidate", "reference")
    )
    criteria = [
        {"metric": "allocations.bytes_per_request", "ratio_below": 1.1},
        {"metric": "cpu.per_request", "ratio_below": 1.1},
    ]
    dearer = {"series": {"process.cpu_seconds": lambda t: 0.3 * t}}
    verdict = judge(run(dearer, criteria=criteria, events=events))
    allocating = the(verdict, "allocation_regression").evidence
    assert "srv/shop.py:12 (keep) allocates 10 KiB a request more than in the reference" in allocating
    cpu = the(verdict, "cpu_regression").evidence
    # 60 % of 3 ms, against 20 % of 2 ms
    assert any(x.startswith("candidate/shop.py:7 (find) takes 1.4 ms of CPU a request more") for x in cpu)
