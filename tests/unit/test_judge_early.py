from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Event, Phase, Recording
from soak.core.scenario import Scenario
from soak.core.verdict import Verdict
from soak.judge import Certain, Look, judge, judge_live, planned
from soak.judge.stats.spending import left, level, spent
from tests.making import MIB, recording, scenario, side
from tests.unit.judging import LOOSE, changed, memory

STARTS, SOAK = 15.0, 120.0


def made(rule: str | None, criteria: list[dict[str, Any]] | None = None, **shapes: Any) -> tuple[Scenario, Recording]:
    spec = scenario(criteria=criteria or LOOSE, **({"stop_early": rule} if rule else {}))
    return spec, recording(spec, side(spec, **shapes))


def cut(whole: Recording, at: float, events: tuple[Event, ...] = (), **fields: Any) -> Recording:
    """The run as it would be at `at` s, in the midst of its soak."""
    phases = tuple(Phase(p.name, p.start, None if p.name == "soak" else p.end) for p in whole.phases[:3])
    return changed(whole, phases=phases, duration=at, finished=False, events=events, **fields)


def look(number: int, whole: Recording) -> tuple[Verdict, Certain | None]:
    chosen = next(x for x in planned(STARTS, SOAK, 1.0) if x.number == number)
    return judge_live(cut(whole, chosen.upto + 5), chosen)


def stopped(whole: Recording, sure: Certain, at: float) -> Recording:
    """The finished file of a run that was ended for what was certain."""
    data: dict[str, object] = {"rule": sure.rule, "reasons": list(sure.reasons), "saved": 60.0}
    if sure.look is not None:
        data |= {"look": sure.look.number, "upto": sure.look.upto}
    phases = tuple(Phase(p.name, p.start, at if p.name == "soak" else p.end) for p in whole.phases[:3])
    event = Event(at, "stopped_early", None, "certain", data)
    return changed(whole, phases=phases, events=(*whole.events, event))


LEAK = memory(lambda t: 50 + 0.2 * t)


def test_looks_are_tenths_of_the_soak_from_the_third_on_and_end_with_whole_windows() -> None:
    looks = planned(15.0, 3600.0, 20.0)
    assert [x.number for x in looks] == [3, 4, 5, 6, 7, 8, 9]
    assert all(x.upto % 20 == 0 and 0 <= 15 + 360 * x.number - x.upto < 20 for x in looks)
    assert sum(x.level for x in looks) == pytest.approx(spent(0.9))


def test_a_leak_is_certain_long_before_the_end() -> None:
    _, whole = made("fail", series=LEAK)
    verdict, sure = look(4, whole)
    assert sure is not None
    assert (sure.rule, sure.look.number if sure.look else None) == ("fail", 4)
    assert sure.reasons[0] == verdict.candidate.findings[0].title


def test_growth_that_is_found_must_be_beyond_what_one_of_so_many_series_may_do() -> None:
    looks = [look(4, made("fail", series=memory(lambda t: 50 + 0.2 * t, sd=sd))[1]) for sd in (0.5, 10.0)]
    assert [[f.cause for f in verdict.candidate.findings] for verdict, _ in looks] == [["memory_growth"]] * 2
    assert [sure is not None for _, sure in looks] == [True, False]


@pytest.mark.parametrize("rule", [None, "pass"])
def test_nothing_ends_a_run_that_was_not_asked_for(rule: str | None) -> None:
    _, whole = made(rule, series=LEAK)
    assert all(look(k, whole)[1] is None for k in range(3, 10))


def test_a_hint_between_two_looks_ends_nothing_however_clear_the_growth() -> None:
    _, whole = made("both", series=LEAK)
    verdict, sure = judge_live(cut(whole, 80.0), None)
    assert [f.cause for f in verdict.candidate.findings] == ["memory_growth"]
    assert sure is None


def test_a_run_that_was_ended_early_keeps_its_verdict_and_says_what_was_saved() -> None:
    _, whole = made("fail", series=LEAK)
    _, sure = look(4, whole)
    assert sure is not None
    verdict = judge(stopped(whole, sure, 70.0))
    assert verdict.verdict == "fail"
    assert verdict.stopped_early is not None
    assert (verdict.stopped_early.look, verdict.stopped_early.saved_s) == (4, 60.0)
    assert verdict.stopped_early.at_s == pytest.approx(48)
    assert verdict.stopped_early.level == pytest.approx(level(4))
    assert verdict.reasons == sure.reasons


def test_a_pass_may_come_from_half_of_the_soak_on_and_is_no_interruption() -> None:
    _, whole = made("pass", sigma=0.1)
    assert [look(k, whole)[1] for k in (3, 4)] == [None, None]
    verdict, sure = look(6, whole)
    assert sure is not None
    assert sure.rule == "pass"
    assert verdict.candidate.findings == ()
    ended = judge(stopped(whole, sure, 94.0))
    assert (ended.verdict, ended.exit_code, ended.interrupted) == ("pass", 0, False)
    assert any("not seen is what the last 48 s could have shown" in note for note in ended.notes)


def test_a_pass_is_not_certain_while_noise_could_hide_what_matters() -> None:
    rng = np.random.default_rng(2)
    noisy = {"memory.anon": lambda t: 40 * MIB + rng.normal(0, 8 * MIB, len(t))}
    assert look(5, made("pass", series=noisy)[1])[1] is None


def test_an_early_pass_that_the_file_does_not_carry_fails_closed() -> None:
    _, whole = made("pass", series=LEAK)
    never = Certain("pass", ("all was well",), Look(5, 75.0, level(5)))
    assert judge(stopped(whole, never, 80.0)).verdict == "fail"
    _, calm = made("fail")
    wrong = Certain("fail", ("it leaks",), Look(5, 75.0, level(5)))
    verdict = judge(stopped(calm, wrong, 80.0))
    assert verdict.verdict == "inconclusive"
    assert "ended early" in verdict.headline


def test_a_shortened_run_without_that_event_is_still_incomplete() -> None:
    _, whole = made("pass")
    phases = tuple(Phase(p.name, p.start, 80.0 if p.name == "soak" else p.end) for p in whole.phases[:3])
    assert judge(changed(whole, phases=phases)).verdict == "inconclusive"


def test_hard_evidence_ends_a_run_at_once() -> None:
    _, whole = made("fail")
    event = Event(30.0, "oom_kill", "candidate", "killed for want of memory", {"count": 1})
    _, sure = judge_live(cut(whole, 32.0, (event,)), None)
    assert sure is not None
    assert (sure.rule, sure.look) == ("fail", None)
    kept = judge(stopped(changed(whole, events=(event,)), sure, 33.0))
    assert kept.verdict == "fail"
    assert kept.stopped_early is not None
    assert kept.stopped_early.look is None


@pytest.mark.parametrize(
    "share,lost",
    [pytest.param(0.9, True, id="more than the whole soak may have"), pytest.param(0.03, False, id="may be diluted")],
)
def test_a_criterion_of_errors_is_lost_when_no_further_request_could_mend_it(share: float, lost: bool) -> None:
    _, whole = made("fail", [{"metric": "errors.ratio", "below": "2%"}], failed_share=lambda t: np.full_like(t, share))
    verdict, sure = judge_live(cut(whole, 30.0), None)
    assert verdict.criteria[0].result == "fail"
    assert (sure is not None) == lost


def test_a_percentile_over_the_whole_soak_may_recover_and_one_over_windows_may_not() -> None:
    slow = {"latency": lambda t: np.where(t < 30, 0.2, 0.005)}
    _, whole = made("fail", [{"metric": "latency.p50", "below": "50ms"}], **slow)
    assert judge_live(cut(whole, 40.0), None)[1] is None
    _, whole = made("fail", [{"metric": "latency.p50", "below": "50ms", "over": "10s"}], **slow)
    _, sure = judge_live(cut(whole, 40.0), None)
    assert sure is not None


REFERENCE = {"url": "http://127.0.0.1:8001", "process": {"command": "old"}}


def pair(criterion: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any], rule: str = "both") -> Recording:
    spec = scenario(criteria=[criterion], reference=REFERENCE, stop_early=rule)
    return recording(spec, side(spec, seed=1, **ours), side(spec, seed=2, **theirs))


@pytest.mark.parametrize("metric", ["memory.anon", "latency.p50"])
def test_a_ratio_is_no_absolute_limit_and_ends_nothing_between_two_looks(metric: str) -> None:
    ours = {"series": memory(lambda t: np.where(t < 40, 60.0, 50.0), sd=0.02), "latency": lambda t: 3 - 1.5 * (t > 45)}
    theirs = {"series": memory(lambda t: np.full_like(t, 50.0), sd=0.02), "latency": lambda t: np.full_like(t, 1.5)}
    whole = pair({"metric": metric, "ratio_below": 1.1}, ours | {"sigma": 0.1}, theirs | {"sigma": 0.1}, "fail")
    hints = [judge_live(cut(whole, at), None) for at in (30.0, 38.0, 44.0)]
    assert "fail" in {verdict.criteria[0].result for verdict, _ in hints}
    assert [sure for _, sure in hints] == [None] * 3
    assert judge(whole).verdict != "fail"


def test_a_ratio_beyond_its_limit_ends_the_run_at_a_look() -> None:
    twice = {"latency": lambda t: np.full_like(t, 0.01)}
    _, sure = look(3, pair({"metric": "latency.p50", "ratio_below": 1.1}, twice, {}))
    assert sure is not None
    assert (sure.rule, sure.look.number if sure.look else None) == ("fail", 3)
    assert [reason.startswith("latency.p50 ratio below 1.1") for reason in sure.reasons] == [True]


def test_what_is_measured_once_ends_the_run_at_once() -> None:
    larger = {"series": memory(lambda t: np.full_like(t, 80.0), sd=0.02)}
    theirs = {"series": memory(lambda t: np.full_like(t, 40.0), sd=0.02)}
    _, sure = judge_live(cut(pair({"metric": "memory.idle", "ratio_below": 1.1}, larger, theirs), 20.0), None)
    assert sure is not None
    assert (sure.rule, sure.look) == ("fail", None)


@pytest.mark.parametrize("metric", ["latency.p99", "errors.ratio", "memory.anon", "throughput.rate"])
def test_intervals_of_ratios_are_those_of_the_level_of_the_look(metric: str) -> None:
    shapes = {"failed_share": lambda t: np.full_like(t, 0.02)}
    kind = "ratio_above" if metric == "throughput.rate" else "ratio_below"
    whole = pair({"metric": metric, kind: 0.5 if kind == "ratio_above" else 2}, shapes, shapes)
    widths = []
    for chosen in (look(3, whole)[0], judge_live(cut(whole, 51.0), None)[0]):
        low, high = chosen.criteria[0].low, chosen.criteria[0].high
        assert low is not None
        assert high is not None
        widths.append(high - low)
    assert widths[0] > 1.3 * widths[1]


PATTERN = {"kind": "steps", "steps": [{"rate": "5/s", "for": "55s"}, {"rate": "200/s", "for": "75s"}]}


@pytest.mark.parametrize("load", [{"pattern": PATTERN}, {"users": 20}])
def test_a_share_is_not_lost_where_nobody_knows_how_many_requests_still_come(load: dict[str, Any]) -> None:
    criteria = [{"metric": "errors.ratio", "below": "2%"}]
    spec = scenario(criteria=criteria, stop_early="fail", load={**load, "requests": [{"name": "browse", "get": "/"}]})
    made = side(scenario(criteria=criteria), failed_share=lambda t: np.full_like(t, 0.9))
    verdict, sure = judge_live(cut(recording(spec, made), 40.0), None)
    assert verdict.criteria[0].result == "fail"
    assert sure is None


@pytest.mark.parametrize("idle_after,ends", [("5s", False), ("0s", True)])
def test_what_idle_after_may_find_given_back_ends_nothing(idle_after: str, ends: bool) -> None:
    phases = {"idle_before": "5s", "warmup": "10s", "soak": "120s", "idle_after": idle_after}
    spec = scenario(criteria=LOOSE, stop_early="fail", phases=phases)
    opened = {"process.connections": lambda t: 10 + np.maximum(0, t - 15)}
    verdict, sure = look(6, recording(spec, side(spec, series=opened)))
    assert [f.cause for f in verdict.candidate.findings] == ["connection_leak"]
    assert (sure is not None) == ends


def test_the_end_has_what_the_looks_leave_of_five_per_cent() -> None:
    noisy = memory(lambda t: 50 + 0.05 * t, sd=1.0)
    criteria = [{"metric": "memory.anon", "growth_below": "1 GiB"}]
    widths = []
    for rule in (None, "fail"):
        found = judge(made(rule, criteria, series=noisy)[1]).criteria[0]
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert left() == pytest.approx(0.0112, abs=1e-4)
    assert 1.2 < widths[1] / widths[0] < 1.6  # as Student's quantiles at 1.1 % and 5 %


def test_an_invalid_measurement_makes_nothing_certain() -> None:
    for shapes in ({"series": LEAK}, {"sigma": 0.1}):
        _, whole = made("both", lag_max=1.0, **shapes)
        assert all(look(k, whole)[1] is None for k in (5, 9))


def test_a_watch_with_a_hole_makes_no_pass_certain() -> None:
    holed = memory(lambda t: np.where((t > 78) & (t < 100), np.nan, 50.0))
    assert look(6, made("pass", sigma=0.1, series=memory(lambda t: np.full_like(t, 50.0)))[1])[1] is not None
    assert look(6, made("pass", sigma=0.1, series=holed)[1])[1] is None


def test_healthy_runs_are_not_ended_with_a_fail() -> None:
    for seed in range(6):
        _, whole = made("fail", seed=seed, series=memory(lambda t: 60 + 0 * t, seed, sd=1.0))
        assert [look(k, whole)[1] for k in range(3, 10)] == [None] * 7
