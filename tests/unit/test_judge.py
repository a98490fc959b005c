"""From a recording of known truth to its verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Event, Recording, Series, SideRecording
from soak.core.verdict import Finding, Verdict
from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side

GROWTH = {"metric": "memory.rss", "growth_below": "5%"}
CALM = [
    {"metric": "errors.ratio", "below": "1%"},
    {"metric": "latency.p99", "below": "50ms"},
    GROWTH,
    {"metric": "stack.headroom", "above": "50%"},
]


def wobble(seed: int = 7, sd: float = 0.1) -> Shape:
    rng = np.random.default_rng(seed)
    return lambda t: rng.normal(0, sd * MIB, len(t))


def memory(shape: Shape, seed: int = 7) -> dict[str, Shape]:
    noise = wobble(seed)
    return {name: (lambda t: shape(t) + noise(t)) for name in ("memory.rss", "memory.anon")}


def judged(criteria: list[dict[str, Any]] | None = None, events: tuple[Event, ...] = (), **changes: Any) -> Verdict:
    spec = scenario(criteria=criteria or CALM)
    return judge(recording(spec, side(spec, **changes), events=events))


def found(verdict: Verdict, severity: str = "fail") -> list[str]:
    return [f.cause for f in verdict.candidate.findings if f.severity == severity]


def the(verdict: Verdict, cause: str) -> Finding:
    (finding,) = [f for f in verdict.candidate.findings if f.cause == cause]
    return finding


def test_a_healthy_run_passes_and_says_what_it_could_have_seen() -> None:
    verdict = judged()
    assert (verdict.verdict, verdict.exit_code) == ("pass", 0)
    assert found(verdict) == []
    growth = next(c for c in verdict.criteria if c.metric == "memory.rss")
    assert "would have been seen" in growth.reason
    assert verdict.candidate.latency["browse"].count == 12_000


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda t: 50 * MIB + 10 * MIB * ((t / 12) % 1), id="garbage collection sawtooth"),
        pytest.param(lambda t: 50 * MIB + 8 * MIB * (t > 20), id="one early jump"),
        pytest.param(lambda t: 58 * MIB - 8 * MIB * np.exp(-t / 15), id="warm-up"),
        pytest.param(lambda t: 80 * MIB - 30 * MIB * np.exp(-t / 25), id="cache fill"),
        pytest.param(lambda t: 58 * MIB - 4 * MIB * t / 140, id="shrinking"),
    ],
)
def test_memory_that_only_looks_scary_never_fails(shape: Shape) -> None:
    for seed in range(5):
        verdict = judged(criteria=CALM[:2], series=memory(shape, seed))
        assert found(verdict) == [], verdict.headline
        assert verdict.verdict != "fail"


def test_a_leak_fails_with_rate_interval_time_left_and_advice() -> None:
    verdict = judged(series=memory(lambda t: 50 * MIB + 0.2 * MIB * t))
    assert (verdict.verdict, verdict.exit_code) == ("fail", 1)
    leak = the(verdict, "memory_growth")
    truth = 0.2 * MIB * 3600
    assert leak.rate == pytest.approx(truth, rel=0.05)
    assert leak.low is not None
    assert leak.high is not None
    assert leak.low < truth < leak.high
    assert leak.eta_s == pytest.approx(8e9 / (0.2 * MIB), rel=0.05)
    assert leak.advice
    assert any("cannot be told apart" in line for line in leak.evidence)
    assert any("2.05 KiB for each request" in line for line in leak.evidence)
    assert verdict.headline.startswith("FAIL: memory grows by 720 MiB/h")


def test_a_filling_cache_is_information() -> None:
    verdict = judged(criteria=CALM[:2], series=memory(lambda t: 90 * MIB - 40 * MIB * np.exp(-t / 20)))
    assert "cache_fill" in found(verdict, "info")
    assert verdict.verdict == "pass"


def test_growth_within_the_users_own_limit_is_tolerated() -> None:
    shape = memory(lambda t: 50 * MIB + 0.05 * MIB * t)
    assert found(judged(criteria=CALM[:2], series=shape)) == ["memory_growth"]
    verdict = judged(criteria=[*CALM[:2], {"metric": "memory.rss", "growth_below": "1 GiB/h"}], series=shape)
    assert found(verdict, "warning") == ["memory_growth"]
    assert verdict.verdict == "pass"


def test_growth_beyond_the_users_own_limit_has_a_cause_and_a_time_left_however_little_it_is() -> None:
    shape = memory(lambda t: 150 * MIB + 0.015 * MIB * t)  # 1.4 % over the soak
    assert found(judged(criteria=CALM[:2], series=shape)) == []
    verdict = judged(criteria=[*CALM[:2], {"metric": "memory.rss", "growth_below": "0.5%"}], series=shape)
    leak = the(verdict, "memory_growth")
    assert leak.severity == "fail"
    assert leak.rate == pytest.approx(0.015 * MIB * 3600, rel=0.15)
    assert leak.eta_s is not None
    assert verdict.headline.startswith("FAIL: memory grows by")
    once = memory(lambda t: 150 * MIB + 2 * MIB * (t > 60))
    assert found(judged(criteria=[*CALM[:2], {"metric": "memory.rss", "growth_below": "0.5%"}], series=once)) == []


def test_latency_and_cpu_beyond_the_users_own_limit_have_findings_too() -> None:
    slower = {"latency": lambda t: 0.02 * (1 + 0.1 * t / 140), "sigma": 0.05}
    dearer = {"series": {"process.cpu_seconds": lambda t: 0.2 * t * (1 + 0.0006 * t)}}
    for metric, limit, changes, cause in (
        ("latency.p50", "4%", slower, "latency_drift"),
        ("cpu.per_request", "4%", dearer, "cpu_drift"),
    ):
        assert found(judged(criteria=CALM[:2], **changes)) == []
        asked = [*CALM[:2], {"metric": metric, "growth_below": limit}]
        assert found(judged(criteria=asked, **changes)) == [cause]


def test_a_rising_stack_is_stack_growth_and_one_early_jump_is_not() -> None:
    def steps(t: np.ndarray) -> np.ndarray:
        return 132 * 1024.0 + np.floor(t / 3) * 40 * 1024

    verdict = judged(series={"stack.high_water": steps})
    assert "stack_growth" in found(verdict)
    assert the(verdict, "stack_growth").eta_s is not None
    calm = judged(series={"stack.high_water": lambda t: 132 * 1024.0 + 900 * 1024 * (t > 30)})
    assert found(calm) == []


def test_memory_that_is_only_the_stack_is_not_a_leak_too() -> None:
    def deep(t: np.ndarray) -> np.ndarray:
        return 132 * 1024.0 + np.floor(t) * 30 * 1024

    verdict = judged(
        criteria=CALM[:2],
        series={"stack.high_water": deep, **memory(lambda t: 50 * MIB + deep(t))},
    )
    assert found(verdict) == ["stack_growth"]


@pytest.mark.parametrize(
    "metric,cause",
    [("process.fds", "fd_leak"), ("process.threads", "thread_leak"), ("process.connections", "connection_leak")],
)
def test_what_is_opened_and_never_closed_has_its_name(metric: str, cause: str) -> None:
    verdict = judged(series={metric: lambda t: np.floor(20 + t / 2)})
    assert found(verdict) == [cause]


def test_latency_that_grows_with_the_requests_done_has_an_exponent() -> None:
    verdict = judged(latency=lambda t: 0.005 * (1 + t / 120))
    drift = the(verdict, "superlinear_cost")
    assert verdict.verdict == "fail"
    assert drift.endpoint == "browse"
    assert drift.rate is not None
    assert drift.rate > 0


def test_latency_that_steps_up_is_a_step() -> None:
    verdict = judged(latency=lambda t: np.where(t > 80, 0.012, 0.005))
    step = the(verdict, "latency_step")
    assert step.start == pytest.approx(80, abs=8)


def test_a_periodic_stall_is_shown_and_not_called_drift() -> None:
    verdict = judged(criteria=CALM[:1], latency=lambda t: np.where(t % 10 < 1, 0.6, 0.005))
    assert found(verdict) == []
    p999 = verdict.candidate.latency["browse"].p999_ms
    assert p999 is not None
    assert p999 > 500


def test_drift_below_what_the_generator_can_tell_is_not_claimed() -> None:
    assert found(judged(latency=lambda t: 0.0004 * (1 + t / 240))) == []


def test_rising_failures_are_error_drift_and_do_not_better_a_percentile() -> None:
    verdict = judged(criteria=CALM[1:2], failed_share=lambda t: np.where(t > 70, 0.05, 0.0))
    assert "error_drift" in found(verdict)
    assert verdict.candidate.latency["browse"].failed > 100


def exit_event(signal: int | None, name: str, code: int | None = None) -> Event:
    text = f"the candidate was ended by {name}" if name else f"the candidate exited with code {code}"
    return Event(70.0, "target_exit", "candidate", text, {"code": code, "signal": signal, "signal_name": name})


@pytest.mark.parametrize("event", [exit_event(11, "SIGSEGV"), exit_event(None, "", 0), exit_event(None, "", 3)])
def test_a_target_that_ends_fails_the_run_whatever_else(event: Event) -> None:
    verdict = judged(events=(event,), until=70.0)
    assert verdict.verdict == "fail"
    assert "crash" in found(verdict)
    assert event.text in verdict.headline


def test_an_out_of_memory_kill_fails_even_an_invalid_run() -> None:
    event = Event(50.0, "oom_kill", "candidate", "killed for want of memory", {"count": 1})
    verdict = judged(events=(event,), lag_max=2.0)
    assert verdict.verdict == "fail"
    assert "oom_kill" in found(verdict)


def test_a_late_generator_makes_the_run_invalid_never_green() -> None:
    verdict = judged(lag_max=1.0)
    assert (verdict.verdict, verdict.exit_code) == ("invalid", 4)
    assert verdict.candidate.validity.invalid_intervals == 120
    assert "frozen" in verdict.reasons[0]


def changed(made: SideRecording, **fields: Any) -> SideRecording:
    values = {name: getattr(made, name) for name in SideRecording.__slots__}
    return SideRecording(**(values | fields))


def test_an_account_that_does_not_balance_is_invalid() -> None:
    spec = scenario(criteria=CALM)
    made = side(spec)
    assert made.scheduled is not None
    verdict = judge(recording(spec, changed(made, scheduled=made.scheduled + 7)))
    assert verdict.verdict == "invalid"
    assert "does not balance" in verdict.reasons[0]


@pytest.mark.parametrize("gap, result", [(40.0, "invalid"), (3.0, "pass")])
def test_a_lost_worker_costs_the_intervals_until_the_rate_was_split_anew(gap: float, result: str) -> None:
    lost = {"worker": "worker-1", "from": 35.0, "to": 35.0 + gap}
    event = Event(50.0, "worker_lost", "candidate", "worker-1 was lost (its process ended)", lost)
    verdict = judged(events=(event,))
    assert verdict.verdict == result
    assert gap <= verdict.candidate.validity.invalid_intervals <= gap + 1
    assert any("worker-1 was lost" in note for note in verdict.notes)  # said in any case
    if result == "invalid":
        assert "a worker was cut off or gone" in verdict.headline


def test_only_intervals_in_which_a_worker_had_a_share_are_missed_of_it() -> None:
    spec = scenario(criteria=CALM)
    made = side(spec)

    def run(until: float) -> Verdict:
        shares = [(0.0, {"worker-0": 0, "worker-1": 1}), (until, {"worker-0": 0})]
        splits = tuple(Event(5.0, "split", "candidate", "", {"at": at, "shares": workers}) for at, workers in shares)
        return judge(recording(spec, made, events=splits))

    assert run(5.0).verdict == "pass"  # gone before the soak began
    assert run(50.0).verdict == "invalid"
    assert "not reported" in run(50.0).reasons[0]


def test_intervals_that_nobody_reported_are_invalid() -> None:
    spec = scenario(criteria=CALM)
    made = side(spec)
    thinned = tuple(y for y in made.tallies if not 60 <= y.start < 80)
    verdict = judge(recording(spec, changed(made, tallies=thinned, scheduled=sum(y.scheduled for y in thinned))))
    assert verdict.verdict == "invalid"
    assert "not reported" in verdict.reasons[0]


def test_missing_data_is_no_pass() -> None:
    spec = scenario(criteria=[GROWTH])
    made = side(spec)
    verdict = judge(recording(spec, changed(made, series={})))
    assert verdict.verdict == "inconclusive"
    assert "memory.rss was not seen" in verdict.headline
    assert any("no data is no pass" in reason for reason in verdict.reasons)


def test_a_run_that_was_cut_off_or_interrupted_does_not_pass() -> None:
    spec = scenario(criteria=CALM)
    assert judge(recording(spec, finished=False)).verdict == "inconclusive"
    stopped = judge(recording(spec, events=(Event(100.0, "interrupted", None, ""),)))
    assert (stopped.verdict, stopped.exit_code, stopped.interrupted) == ("inconclusive", 130, True)


def test_a_run_without_a_soak_phase_says_so() -> None:
    spec = scenario(criteria=CALM)
    whole = recording(spec)
    fields = {name: getattr(whole, name) for name in Recording.__slots__}
    early = Recording(**(fields | {"phases": whole.phases[:1], "finished": False, "duration": 4.0}))
    verdict = judge(early)
    assert verdict.verdict == "inconclusive"
    assert "not reached" in verdict.headline


def test_inconclusive_says_how_much_longer_to_run() -> None:
    rng = np.random.default_rng(3)
    shape = memory(lambda t: 50 * MIB + rng.normal(0, 3 * MIB, len(t)))
    verdict = judged(criteria=[{"metric": "memory.rss", "growth_below": "1 MiB/h"}], series=shape)
    assert verdict.verdict == "inconclusive"
    assert "more to settle it" in verdict.criteria[0].reason or "longer run" in verdict.criteria[0].reason


def test_criteria_over_windows_are_judged_on_the_worst_one() -> None:
    windowed = [{"metric": "latency.p99", "below": "50ms", "over": "20s"}]
    spiky: Shape = lambda t: np.where((t > 60) & (t < 75), 0.2, 0.005)  # noqa: E731
    verdict = judged(criteria=windowed, latency=spiky)
    assert verdict.criteria[0].result == "fail"
    assert "of 6 windows" in verdict.criteria[0].reason
    assert judged(criteria=windowed).criteria[0].result == "pass"


@pytest.mark.parametrize(
    "criterion,result",
    [
        ({"metric": "latency.p99", "below": "5ms"}, "fail"),
        ({"metric": "latency.p50", "endpoint": "browse", "below": "6ms"}, "pass"),
        ({"metric": "latency.p9999", "below": "1s"}, "inconclusive"),
        ({"metric": "throughput.rate", "above": "90/s"}, "pass"),
        ({"metric": "throughput.rate", "above": "190/s"}, "fail"),
        ({"metric": "memory.rss", "below": "60 MiB"}, "pass"),
        ({"metric": "memory.rss", "below": "40 MiB"}, "fail"),
        ({"metric": "stack.headroom", "above": "99%"}, "fail"),
        ({"metric": "process.cpu", "below": "50%"}, "pass"),
        ({"metric": "cpu.per_request", "below": "1ms"}, "fail"),
        ({"metric": "generator.loop_lag_max", "below": "100ms"}, "pass"),
    ],
)
def test_each_kind_of_limit(criterion: dict[str, Any], result: str) -> None:
    assert judged(criteria=[criterion]).criteria[0].result == result


def test_a_sick_reference_is_a_note_and_does_not_fail_the_candidate() -> None:
    spec = scenario(criteria=CALM, reference={"url": "http://127.0.0.1:8001", "process": {"command": "old"}})
    sick = side(spec, series=memory(lambda t: 50 * MIB + 0.2 * MIB * t))
    verdict = judge(recording(spec, side(spec), sick))
    assert verdict.verdict == "pass"
    assert verdict.reference is not None
    assert [f.cause for f in verdict.reference.findings] == ["memory_growth"]
    assert any("reference is not healthy" in note for note in verdict.notes)


def test_healthy_runs_are_not_called_sick() -> None:
    alarms = []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        walk = np.cumsum(rng.normal(0, 0.01 * MIB, 400))
        spec = scenario(criteria=CALM)
        made = side(spec, seed=seed, series=memory(lambda t, w=walk: 50 * MIB + w[: len(t)], seed))  # type: ignore[misc]
        alarms += found(judge(recording(spec, made)))
    assert alarms == []


def busy(shape: Shape) -> Recording:
    """A run whose latency grows while the rest of the host does as `shape` says (share of all cores)."""
    spec = scenario(criteria=[{"metric": "latency.p99", "growth_below": "20%"}])
    whole = recording(spec, side(spec, latency=lambda t: 0.005 * (1 + t / 120)))
    cpu = whole.host["host.cpu"]
    fields = {name: getattr(whole, name) for name in Recording.__slots__}
    host = {**whole.host, "host.cpu": Series(cpu.t, shape(cpu.t))}
    return Recording(**(fields | {"host": host, "provenance": {"cores": 2}}))


def test_a_noisy_neighbour_is_named_instead_of_the_target() -> None:
    quiet = judge(busy(lambda t: np.full_like(t, 0.3)))
    assert (quiet.verdict, found(quiet)) == ("fail", ["superlinear_cost"])
    noisy = judge(busy(lambda t: 0.3 + 0.5 * (t > 70)))
    assert noisy.verdict == "inconclusive"
    assert found(noisy) == []
    assert "noisy_host" in found(noisy, "info")
    assert "quiet host" in noisy.criteria[0].reason
