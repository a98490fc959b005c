"""One run as it is now: what is told while it goes on, when it is silent, and when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from soak.core.histogram import Histogram
from soak.core.records import Event, Phase, Recording
from soak.judge import judge
from soak.publish.collect import WINDOW_S, About, Standing, present, tell_end, tell_present, tell_run, tell_standing
from soak.publish.measured import MOST_ENDPOINTS, Measured, Stretch
from soak.publish.names import ALL, MORE, QUANTILES
from soak.publish.page import Page
from tests import making

ABOUT = About("made", "made-1", 0.0)


def going(**changes: object) -> Recording:
    """A run in its soak phase, 90 s into it."""
    spec = making.scenario(**changes)
    side = making.side(spec, until=90.0, series={"memory.limit": lambda t: np.full_like(t, 100 * making.MIB)})
    whole = making.recording(spec, side, finished=False)
    phases = (Phase("idle_before", 0, 5), Phase("warmup", 5, 15), Phase("soak", 15, None))
    return replace(whole, phases=phases, duration=91.0)


def told(recording: Recording, silent: float = 1.0) -> Page:
    page = Page()
    tell_present(page, ABOUT, recording, recording.wall(recording.duration) + silent)
    return page


def test_quantiles_are_those_of_the_merged_last_minute() -> None:
    recording = going()
    page, stretch = told(recording), present(recording)
    assert stretch.end - stretch.start == WINDOW_S
    side = recording.sides["candidate"]
    parts = [w for o in ("ok", "timeout") for w in side.merged("latency", o, "browse", stretch.start, stretch.end)]  # type: ignore[arg-type]
    whole = Histogram.merge(w.histogram for w in parts)
    found = page.samples("soak_latency_seconds")
    for label, q in QUANTILES.items():
        assert found["made", "candidate", "browse", label] == whole.percentile(q)
        assert found["made", "candidate", ALL, label] == whole.percentile(q)
    assert page.samples("soak_window_requests")["made", "candidate", "browse"] == whole.total


def test_the_window_begins_with_the_load() -> None:
    recording = going()
    early = replace(recording.sides["candidate"], tallies=recording.sides["candidate"].tallies[:20])
    stretch = present(replace(recording, sides={"candidate": early}, duration=26.0))
    assert (stretch.start, stretch.end) == (5.0, 24.0)


def test_counters_have_all_of_the_run_so_far_and_never_fall() -> None:
    recording = going()
    before = 0.0
    for until in (40.0, 60.0, 80.0):
        page = Page()
        Measured(recording).tell(page, Stretch(until - 10, until, until, 0.0))
        done = page.samples("soak_arrivals")["made", "candidate", "done"]
        assert done == page.samples("soak_requests")["made", "candidate", "browse", "ok"]
        assert done == pytest.approx(100 * (until - 5), abs=100)
        assert done > before
        before = done


def test_a_failed_request_is_counted_and_makes_no_quantile_better() -> None:
    spec = making.scenario()
    side = making.side(spec, failed_share=lambda t: np.full_like(t, 0.2))
    page = Page()
    Measured(making.recording(spec, side)).tell(page, Stretch(20.0, 80.0, 80.0, 0.0))
    assert page.samples("soak_errors_ratio")["made", "candidate", "browse"] == pytest.approx(0.2, abs=0.03)
    assert page.samples("soak_requests")["made", "candidate", "browse", "failed"] > 0


def test_endpoints_beyond_the_limit_are_counted_together_and_told() -> None:
    recording = going()
    side = recording.sides["candidate"]
    many = {(f"e{i:03}", o, c): w for i in range(MOST_ENDPOINTS + 7) for (_, o, c), w in side.windows.items()}
    page = told(replace(recording, sides={"candidate": replace(side, windows=many)}))
    shown = {labels[2] for labels in page.samples("soak_requests")}
    assert len(shown) == MOST_ENDPOINTS + 1
    assert MORE in shown
    assert page.samples("soak_left_out")["made", "endpoints"] == 7
    one = page.samples("soak_requests")["made", "candidate", "e000", "ok"]
    assert page.samples("soak_requests")["made", "candidate", MORE, "ok"] == 7 * one


def test_the_endpoints_that_are_shown_stay_the_same_when_their_first_windows_are_rolled_up() -> None:
    names = [f"e{i:03}" for i in reversed(range(MOST_ENDPOINTS + 7))]
    recording = going(load={"rate": "10/s", "requests": [{"name": name, "get": "/"} for name in names]})
    side = recording.sides["candidate"]

    def shown(first: Callable[[int], float]) -> set[str]:
        many = {
            (name, o, c): [replace(w, start=first(i)) for w in ws[:1]]
            for i, name in enumerate(names)
            for (_, o, c), ws in side.windows.items()
        }
        page = told(replace(recording, sides={"candidate": replace(side, windows=many)}))
        return {labels[2] for labels in page.samples("soak_requests")}

    assert shown(lambda i: 15.0 + i % 5) == shown(lambda _: 15.0) == {*names[:MOST_ENDPOINTS], MORE}


def test_the_target_is_told_with_its_limits_and_its_headroom() -> None:
    page = told(going())
    side = ("made", "candidate")
    assert page.samples("soak_memory_rss_bytes")[side] == pytest.approx(50 * making.MIB, rel=0.01)
    assert page.samples("soak_memory_limit_bytes")[side] == 100 * making.MIB
    assert page.samples("soak_stack_headroom_ratio")[side] == pytest.approx(1 - 132 / 8192)
    assert page.samples("soak_process_cpu_seconds")[side] == pytest.approx(0.2 * 91, rel=0.02)
    assert page.samples("soak_cpu_per_request_seconds")[side] == pytest.approx(0.2 / 100, rel=0.1)
    assert page.samples("soak_cost_cores") == {}


def test_the_cost_is_that_of_the_scale_that_the_scenario_names() -> None:
    page = told(going(cost={"rate": "1000/s", "instances": 20, "price": "0.05 USD/core-hour"}))
    cores = page.samples("soak_cost_cores")["made", "candidate"]
    assert cores == pytest.approx(0.002 * 1000 * 20, rel=0.1)
    assert page.samples("soak_cost_per_hour")["made", "candidate", "USD"] == pytest.approx(cores * 0.05)


def test_what_an_earlier_process_held_is_not_told_of_its_successor() -> None:
    recording = going()
    again = replace(recording, events=(Event(96.5, "restart", "candidate", "again"),), duration=97.0)
    page = told(again)
    assert page.samples("soak_memory_rss_bytes") == {}
    assert page.samples("soak_events")["made", "restart"] == 1


def test_a_run_that_is_silent_is_lost_and_measures_nothing() -> None:
    page = told(going(), silent=600.0)
    assert page.samples("soak_run_state")["made", "lost"] == 1
    assert page.samples("soak_run_state")["made", "running"] == 0
    assert page.samples("soak_latency_seconds") == {}
    assert page.samples("soak_memory_rss_bytes") == {}
    assert told(going()).samples("soak_run_state")["made", "running"] == 1


def test_when_the_load_is_over_its_quantiles_are_no_longer_told() -> None:
    page = told(replace(going(), duration=125.0))
    assert page.samples("soak_latency_seconds") == {}
    assert page.samples("soak_arrivals")["made", "candidate", "done"] > 0


def test_what_is_held_of_a_run_stays_after_its_end() -> None:
    spec = making.scenario()
    side = making.side(spec, series={"memory.rss": lambda t: 50e6 + 1e6 * t, "memory.anon": lambda t: 40e6 + 1e6 * t})
    verdict = judge(making.recording(spec, side))
    assert verdict.verdict == "fail"
    page = Page()
    tell_run(page, ABOUT, "ended", 100.0)
    tell_end(page, "made", 100.0, verdict.verdict, verdict.headline)
    tell_standing(page, "made", Standing(100.0, verdict.to_json()))
    assert page.samples("soak_run_verdict")["made", "fail"] == 1
    assert page.samples("soak_run_verdict")["made", "pass"] == 0
    assert page.samples("soak_findings")["made", "candidate", "fail"] == len(
        [f for f in verdict.candidate.findings if f.severity == "fail"]
    )
    worst = verdict.candidate.findings[0]
    key = ("made", "candidate", worst.cause, worst.metric, worst.endpoint or "")
    assert page.samples("soak_finding_eta_seconds")[key] == worst.eta_s
    (advice,) = [labels[-1] for labels in page.samples("soak_finding_info") if labels[:5] == key]
    assert advice == worst.advice[:400]
    text = verdict.criteria[0].text
    assert page.samples("soak_criterion_state")["made", text, "errors.ratio", "browse", "pass"] == 1
    assert page.samples("soak_criterion_limit")["made", text, "errors.ratio", "browse", "ratio"] == 0.01
