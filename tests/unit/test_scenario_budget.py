from __future__ import annotations

from pathlib import Path

import pytest

from soak.core.budget import START_S, closing_s
from soak.core.errors import SoakError
from soak.scenario import Loaded, cut_in_words, fitted, loads

TEXT = """
name: shop
target: {url: "http://127.0.0.1:8000", port: 8000}
load: {rate: 50/s, timeout: 5s, requests: [{get: /}]}
phases: {idle_before: 1m, warmup: 5m, soak: 8h, idle_after: 5m}
criteria:
  - {metric: errors.ratio, below: 1%}
  - {metric: latency.p99, below: 50ms, over: 30m}
  - {metric: latency.p99, growth_below: 10%}
  - {metric: memory.rss, growth_below: 8 MiB}
  - {metric: memory.rss, growth_below: 1 MiB/h}
"""


def scenario(text: str = TEXT) -> Loaded:
    return loads(text, "s.yaml", Path())


def total(loaded: Loaded) -> float:
    s = loaded.scenario
    return START_S + s.phases.idle_before + s.load_s + s.phases.idle_after + closing_s(s)


@pytest.mark.parametrize("budget", [160, 300, 1200, 3600, 6 * 3600])
def test_it_fits_start_drain_and_judging_included(budget) -> None:
    cut = fitted(scenario(), budget)
    assert budget - 10 < total(cut) <= budget
    assert cut.scenario.phases.whole_s == 8 * 3600
    assert cut.scenario.phases.soak >= 60
    assert cut.scenario.phases.idle_before >= 5


def test_one_that_fits_anyway_is_left_as_it_is() -> None:
    loaded = scenario()
    assert fitted(loaded, 9 * 3600) is loaded


def test_phases_shrink_in_proportion_where_they_may() -> None:
    phases = fitted(scenario(), 4 * 3600).scenario.phases
    assert phases.soak / phases.idle_before == pytest.approx(8 * 60, rel=0.04)
    small = fitted(scenario(), 200).scenario.phases
    assert (small.idle_before, small.warmup, small.idle_after) == (5, pytest.approx(15, abs=1.5), 5)


def test_a_warm_up_keeps_a_tenth_of_the_time() -> None:
    cut = fitted(scenario(), 1200).scenario.phases
    assert cut.warmup_s == pytest.approx(cut.soak / 9, rel=0.1)
    assert fitted(scenario(), 4 * 3600).scenario.phases.warmup_s == 300, "but no more than was asked for"


def test_a_budget_in_which_nothing_can_be_seen_is_refused_with_the_least() -> None:
    with pytest.raises(SoakError, match=r"--budget 1 min: too short for s.yaml, which takes 2 min \d+ s at the least"):
        fitted(scenario(), 60)


def test_a_limit_on_growth_keeps_its_rate() -> None:
    criteria = fitted(scenario(), 1200).scenario.criteria
    whole = scenario().scenario.criteria
    for i, of_soak in ((2, 0.1), (3, 8 * 2**20)):
        assert criteria[i].limit.per_second == pytest.approx(of_soak / (8 * 3600), rel=0.01)
        assert criteria[i].limit.dimension == whole[i].limit.dimension
    assert criteria[4] == whole[4]


def test_a_burst_is_cut_too_and_keeps_its_floors() -> None:
    text = TEXT.replace("idle_after: 5m", "idle_after: 5m, burst: {times: 3, for: 5m, recovery: 30m}")
    burst = fitted(scenario(text), 400).scenario.phases.burst
    assert burst is not None
    assert 10 <= burst.length < 300
    assert 30 <= burst.recovery < 1800


def test_it_says_beforehand_what_it_cannot_see() -> None:
    loaded = fitted(scenario(), 1200)
    text = cut_in_words(loaded.scenario, 1200, Path())
    assert text.startswith("Cut to a budget of 20 min: it soaks 17 min")
    assert "of 8 h" in text.splitlines()[0]
    assert "growth that begins later" in text
    assert "A window of 30 min does not fit into it: it can fail, but not pass." in text


def test_a_cut_scenario_is_read_again_as_it_is() -> None:
    cut = fitted(scenario(), 1200)
    assert type(cut.scenario).model_validate(cut.raw) == cut.scenario
    assert fitted(cut, 300).scenario.phases.whole_s == 8 * 3600, "cut again, it is still a part of the whole"
