"""Stacks that get deeper, and targets that died of one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Event
from tests.making import MIB, Shape
from tests.unit.judging import failing, judged, memory, the, view

KIB = 1024.0


def thread(mark: Shape, size: float = 512 * KIB) -> dict[str, Shape]:
    """Series of a thread's stack."""
    return {"stack.thread_high_water": mark, "stack.thread_limit": lambda t: np.full_like(t, size)}


def rising(start: float, a_second: float, until: float = np.inf) -> Shape:
    """Bytes from `start` on, in steps of 3 s."""
    return lambda t: start + a_second * 3 * np.floor(np.minimum(t, until) / 3)


def death(signal: str = "SIGSEGV", t: float = 70.0, **data: Any) -> Event:
    text = f"the candidate was ended by {signal}" if signal else "the candidate exited with code 2"
    return Event(t, "target_exit", "candidate", text, {"code": None, "signal_name": signal} | data)


def test_a_threads_stack_that_rises_is_stack_growth_and_says_whose_it_is() -> None:
    verdict = judged(series=thread(rising(60 * KIB, 2 * KIB)))
    finding = the(verdict, "stack_growth")
    assert finding.metric == "stack.thread_high_water"
    assert "a thread's stack" in finding.title
    assert "512" in (finding.eta_limit or "")
    assert finding.eta_s == pytest.approx((512 - 60 - 2 * 135) / 2, rel=0.1)


def test_a_threads_stack_that_finds_its_size_is_no_growth() -> None:
    assert failing(judged(series=thread(lambda t: 60 * KIB + 200 * KIB * (t > 30)))) == []


def test_memory_that_is_only_a_threads_stack_is_not_a_leak_too() -> None:
    mark = rising(60 * KIB, 30 * KIB)
    series = thread(mark, 8 * MIB) | memory(lambda t: 50 + mark(t) / MIB, sd=0.02)
    assert failing(judged(series=series)) == ["stack_growth"]


def test_headroom_is_the_least_of_the_main_thread_and_of_any_other() -> None:
    series = {"stack.high_water": lambda t: np.where(t > 100, 6 * MIB, 2 * MIB)}
    side = view(series=series | thread(lambda t: np.full_like(t, 256 * KIB)))
    headroom = side.soak_series("stack.headroom")
    assert headroom is not None
    assert headroom.v[0] == pytest.approx(0.5), "the thread's; the main thread has 0.75"
    assert headroom.v[-1] == pytest.approx(0.25), "the main thread's"


@pytest.mark.parametrize("share,word", [(0.66, "probably"), (0.95, "almost certainly")])
def test_a_segmentation_fault_after_a_stack_had_filled_up_is_its_exhaustion(share: float, word: str) -> None:
    series = thread(rising(40 * KIB, (share * 512 - 40) / 69 * KIB))
    verdict = judged(series=series, events=(death(),), until=70.0)
    finding = the(verdict, "stack_exhaustion")
    assert verdict.verdict == "fail"
    assert f"a thread's stack {word} ran out" in finding.title
    assert verdict.headline.endswith(finding.title) or finding.title in verdict.headline
    assert any(f"of its {512} KiB" in line for line in finding.evidence)
    assert "crash" not in failing(verdict)


def test_the_main_thread_dies_of_its_stack_too() -> None:
    deep = {"stack.high_water": rising(132 * KIB, 80 * KIB)}
    finding = the(judged(series=deep, events=(death(),), until=70.0), "stack_exhaustion")
    assert finding.metric == "stack.high_water"
    assert "the main thread's stack" in finding.title


@pytest.mark.parametrize(
    "series,event",
    [
        pytest.param(thread(lambda t: np.full_like(t, 60 * KIB)), death(), id="shallow"),
        pytest.param(thread(lambda t: np.full_like(t, 400 * KIB)), death(), id="deep from the beginning"),
        pytest.param(thread(rising(40 * KIB, 2 * KIB)), death(), id="growing, but not yet half full"),
        pytest.param(thread(rising(40 * KIB, 4.5 * KIB)), death("SIGKILL"), id="killed"),
        pytest.param({}, death(), id="nothing known of threads"),
        pytest.param(
            thread(lambda t: np.where(t > 68, np.nan, 60 * KIB)), death(), id="shallow, and not seen in the end"
        ),
        pytest.param({}, death("SIGKILL", stack_overflow="java.lang.StackOverflowError"), id="killed after it said so"),
    ],
)
def test_any_other_death_is_a_crash(series: dict[str, Shape], event: Event) -> None:
    verdict = judged(series=series, events=(event,), until=70.0)
    assert "crash" in failing(verdict)
    assert "stack_exhaustion" not in failing(verdict)


@pytest.mark.parametrize("signal", ["", "SIGABRT", "SIGSEGV"])
def test_a_runtime_that_says_so_is_believed(signal: str) -> None:
    said = "fatal error: stack overflow"
    finding = the(judged(events=(death(signal, stack_overflow=said),), until=70.0), "stack_exhaustion")
    assert f"its output says so: {said}" in finding.evidence
    assert finding.advice


def errors(start: float, a_second: float) -> Shape:
    """A counter that goes up from `start` (s) on."""
    return lambda t: np.floor(np.clip(t - start, 0, None) * a_second)


FAILING: Shape = lambda t: np.where(t > 70, 0.2, 0.0)  # noqa: E731


def test_recursion_errors_while_requests_fail_are_the_recursion_limit() -> None:
    series = {
        "stack.recursion_errors": errors(70, 20),
        "stack.depth": lambda t: np.minimum(100 + 12 * t, 998),
        "stack.depth_limit": lambda t: np.full_like(t, 1000.0),
    }
    verdict = judged(series=series, failed_share=FAILING)
    finding = the(verdict, "recursion_limit")
    assert finding.severity == "fail"
    assert finding.endpoint == "browse"
    assert finding.start == pytest.approx(70, abs=2)
    text = " ".join(finding.evidence)
    assert "1280 RecursionErrors" in text
    assert "requests of browse failed (" in text
    assert "frames were seen 998 deep of 1000 that are allowed" in text
    assert "stack_growth" not in failing(verdict), "it has come to the limit; there is no time left"


def test_the_counter_that_saw_more_is_believed() -> None:
    series = {"stack.recursion_errors": errors(1e9, 1), "agent.recursion_errors": errors(70, 2)}
    finding = the(judged(series=series, failed_share=FAILING), "recursion_limit")
    assert "128 RecursionErrors" in finding.title


def test_recursion_errors_that_fail_no_request_are_a_warning() -> None:
    verdict = judged(series={"stack.recursion_errors": errors(70, 1)})
    assert the(verdict, "recursion_limit").severity == "warning"
    assert verdict.verdict == "pass"


@pytest.mark.parametrize("counter", [errors(1e9, 1), lambda t: np.full_like(t, 7.0)])
def test_without_new_recursion_errors_failures_are_not_put_down_to_them(counter: Shape) -> None:
    verdict = judged(series={"stack.recursion_errors": counter}, failed_share=FAILING)
    assert "recursion_limit" not in [f.cause for f in verdict.candidate.findings]


def test_depth_that_grows_towards_its_limit_is_stack_growth_with_the_time_left() -> None:
    rng = np.random.default_rng(3)
    series: dict[str, Shape] = {
        "stack.depth": lambda t: np.floor(50 + 2 * t + rng.uniform(-5, 5, len(t))),
        "stack.depth_limit": lambda t: np.full_like(t, 1000.0),
    }
    finding = the(judged(series=series), "stack_growth")
    assert finding.metric == "stack.depth"
    assert "the recursion limit of 1000" in finding.title
    assert finding.eta_s == pytest.approx((1000 - 50 - 270) / 2, rel=0.1)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda t: np.full_like(t, 60.0), id="constant"),
        pytest.param(lambda t: 60.0 + 5 * (np.sin(t) > 0), id="varying a little"),
        pytest.param(lambda t: np.where(t > 60, 200.0, 60.0), id="once deeper"),
    ],
)
def test_depth_that_does_not_grow_on_is_no_finding(shape: Shape) -> None:
    assert failing(judged(series={"stack.depth": shape})) == []
