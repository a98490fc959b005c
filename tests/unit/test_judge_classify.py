"""From what is live, free and whose it is, to the cause of growth and its place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soak.core.records import Event
from soak.core.verdict import Finding
from soak.judge import judge
from tests.making import MIB, Shape, recording, scenario, side
from tests.unit.judging import LOOSE, failing, memory, the

GROWS = memory(lambda t: 50 + 0.2 * t)
"""24 MiB over the soak of 2 minutes."""


def line(start: float, slope: float, unit: float = MIB) -> Shape:
    rng = np.random.default_rng(3)
    return lambda t: (start + slope * t + rng.normal(0, 0.02, len(t))) * unit


def look(at: float, pid: int = 4711, **parts: Any) -> Event:
    data = {"pid": pid, "why": "planned", "from": at, "to": at + 1.0, **parts}
    return Event(at, "inspection", "candidate", "looked", data)


def heap(live: float, large: float, small: float = 2.0, **more: Any) -> dict[str, Any]:
    """What a look at the heap says, in MiB."""
    return {
        "total": 1000,
        "large": large * MIB,
        "malloc": {"live": live * MIB},
        "pymalloc": {"live": small * MIB},
        "types": {},
        "containers": [],
        "buffers": [],
        **more,
    }


def grown(events: tuple[Event, ...] = (), **series: Shape) -> list[Finding]:
    spec = scenario(criteria=LOOSE)
    named = {name.replace("_", ".", 1): shape for name, shape in series.items()}
    verdict = judge(recording(spec, side(spec, series=GROWS | named), events=events))
    assert failing(verdict), verdict.headline
    return [f for f in verdict.candidate.findings if f.severity == "fail"]


def cause(events: tuple[Event, ...] = (), **series: Shape) -> Finding:
    (finding,) = grown(events, **series)
    return finding


LEAKS = {"memory_live": line(40, 0.2), "memory_free_in_heap": line(2, 0), "memory_pymalloc_slack": line(1, 0)}


def test_live_that_objects_hold_is_an_object_leak() -> None:
    events = (look(20, heap=heap(40, 10)), look(120, heap=heap(60, 29)))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 100, 1))
    assert (found.cause, found.confidence) == ("object_leak", "high")
    assert "95 % of what is live more at the second look is held by Python's objects" in found.evidence


def test_a_leak_without_a_line_does_not_send_anybody_to_it() -> None:
    unknown = cause(**LEAKS, python_blocks=line(1e5, 100, 1))
    assert unknown.location is None
    assert "place above" not in unknown.advice
    assert "names it" in unknown.advice
    elsewhere = cause(**LEAKS)  # no Python, and nobody told what its objects are
    assert elsewhere.cause == "object_leak"
    assert "heap snapshots" in elsewhere.advice


def test_live_that_objects_do_not_hold_is_a_native_leak_whatever_their_number() -> None:
    events = (look(20, heap=heap(40, 10)), look(120, heap=heap(60, 11)))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 100, 1))
    assert (found.cause, found.confidence) == ("native_leak", "high")
    assert "5 % of what is live more at the second look is held by Python's objects" in found.evidence


def test_without_looks_the_number_of_objects_decides() -> None:
    assert cause(**LEAKS, python_blocks=line(1e5, 100, 1)).cause == "object_leak"
    assert cause(**LEAKS, python_blocks=line(1e5, 0, 1)).cause == "native_leak"


def test_looks_into_two_processes_are_not_compared() -> None:
    events = (look(20, heap=heap(40, 10)), look(120, pid=4712, heap=heap(60, 11)))
    assert cause(events, **LEAKS, python_blocks=line(1e5, 100, 1)).cause == "object_leak"


def test_one_buffer_that_grows_is_named() -> None:
    def book(size: float) -> list[dict[str, Any]]:
        return [{"id": 7, "type": "bytearray", "bytes": size * MIB, "name": "shop.Ledger.book"}]

    events = (look(20, heap=heap(40, 10, buffers=book(5))), look(120, heap=heap(60, 30, buffers=book(25))))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 0, 1))
    assert found.cause == "object_leak"
    assert "the bytearray shop.Ledger.book grew by 20 MiB to 25 MiB" in found.evidence


def window(size: float, file: str = "/srv/shop.py") -> dict[str, Any]:
    """A window of 1 s at 100 requests/s, in which `size` bytes stayed that one line allocated."""
    held = {"function": "keep", "file": file, "line": 12, "size": size, "count": 100}
    return {
        "window": {"from": 20.0, "to": 21.0, "tracked_s": 1.0, "taken_s": 1.0, "objects": True},
        "allocations": {"count": 1000, "bytes": 5e6, "by_bytes": [], "by_count": [], "held": [held]},
    }


@pytest.mark.parametrize("size,named", [(210_000, True), (20_000, False)])
def test_a_place_is_named_when_it_keeps_a_fair_part_of_the_growth(size: float, named: bool) -> None:
    # 0.2 MiB/s at 100 requests/s: 2 KiB a request
    events = (look(20, heap=heap(40, 10), **window(size)), look(120, heap=heap(60, 29), **window(size)))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 100, 1))
    assert (found.location == "/srv/shop.py:12 (keep)") is named
    assert ("allocated at srv/shop.py:12 (keep)" in found.title) is named


@pytest.mark.parametrize("size,told", [(42_000, True), (4_000, False), (420_000, False)])
def test_what_stays_from_many_places_together_is_told_where_it_comes_to_what_grows(size: float, told: bool) -> None:
    spread = window(0)
    spread["allocations"]["held"] = [
        {"function": "keep", "file": f"/srv/part{i}.py", "line": 12, "size": size, "count": 100} for i in range(6)
    ]
    events = (look(20, heap=heap(40, 10), **spread), look(120, heap=heap(60, 29), **spread))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 100, 1))
    assert found.location is None
    assert ("from many places together" in str(found.evidence)) is told
    assert ("all that belongs to a request" in found.advice) is told


def test_a_place_that_is_not_there_every_time_is_not_named() -> None:
    events = (look(20, **window(210_000)), look(120, **window(210_000, "/srv/other.py")))
    assert cause(events, **LEAKS, python_blocks=line(1e5, 100, 1)).location is None


def test_free_in_many_holes_is_fragmentation() -> None:
    found = cause(memory_live=line(40, 0.01), memory_free_in_heap=line(2, 0.19), malloc_holes=line(100, 20, 1))
    assert (found.cause, found.confidence) == ("fragmentation", "high")
    assert "holes of" in str(found.evidence)


def test_free_in_few_pieces_is_retention() -> None:
    found = cause(memory_live=line(40, 0.01), memory_free_in_heap=line(2, 0.19), malloc_holes=line(100, 0.05, 1))
    assert (found.cause, found.confidence) == ("retention", "high")


def test_free_in_who_knows_how_many_is_told_with_less_confidence() -> None:
    found = cause(memory_live=line(40, 0.01), memory_free_in_heap=line(2, 0.19))
    assert (found.cause, found.confidence) == ("fragmentation", "medium")


def test_free_in_arenas_is_fragmentation_of_pymalloc() -> None:
    series = {"memory_live": line(40, 0.01), "memory_free_in_heap": line(2, 0), "memory_pymalloc_slack": line(1, 0.18)}
    assert cause(**series).cause == "pymalloc_fragmentation"


def test_what_no_allocator_knows_of_is_native() -> None:
    found = cause(memory_live=line(40, 0.01), memory_free_in_heap=line(2, 0), memory_pymalloc_slack=line(1, 0))
    assert (found.cause, found.confidence) == ("native_leak", "medium")
    assert "no allocator accounts for it" in str(found.evidence)


def test_trim_is_told_as_evidence() -> None:
    trim = Event(140.0, "trim", "candidate", "", {"before": 70 * MIB, "after": 60 * MIB})
    found = cause((trim,), memory_live=line(40, 0.01), memory_free_in_heap=line(2, 0.19), malloc_holes=line(100, 20, 1))
    assert "malloc_trim gave back 10 MiB" in str(found.evidence)


def test_live_is_seen_to_grow_before_resident_memory_does() -> None:
    """A program that grows into memory that it had before is leaking already."""
    spec = scenario(criteria=LOOSE)
    flat = memory(lambda t: 80 + 0 * t)
    verdict = judge(recording(spec, side(spec, series=flat | {"memory.live": line(40, 0.2)})))
    assert the(verdict, "object_leak").metric == "memory.live"


def test_a_collector_that_is_off_is_named() -> None:
    series = {"gc.enabled": lambda t: 0 * t, "gc.full_collections": lambda t: 0 * t}
    found = cause(**LEAKS, python_blocks=line(1e5, 100, 1), **{n.replace(".", "_", 1): s for n, s in series.items()})
    assert "garbage collector is switched off" in str(found.evidence)
    assert found.confidence == "medium"


def test_stacks_of_many_threads_are_told_once() -> None:
    found = grown(
        memory_live=line(40, 0),
        memory_free_in_heap=line(2, 0),
        stack_thread_high_water=line(0.1, 0.2 / 4),
        stack_thread_limit=line(8, 0),
    )
    assert [f.cause for f in found] == ["stack_growth"]


def test_allocations_are_judged_by_every_window() -> None:
    from tests.unit.judging import judged

    def window_of(at: float, count: float) -> Event:
        made = look(at, **window(1000))
        made.data["window"].update({"from": at, "to": at + 1.0})  # type: ignore[attr-defined]
        made.data["allocations"]["count"] = count  # type: ignore[index]
        return made

    criterion = [{"metric": "allocations.per_request", "below": "150"}]
    good = judged(criterion, events=(window_of(20, 9_000), window_of(120, 10_000)))
    assert (good.verdict, good.criteria[0].value) == ("pass", pytest.approx(95))
    late = judged(criterion, events=(window_of(20, 9_000), window_of(120, 20_000)))
    assert late.verdict == "inconclusive"
    assert judged(criterion, events=(window_of(20, 19_000), window_of(120, 20_000))).verdict == "fail"


def test_a_recursion_that_hardly_deepens_hides_no_leak() -> None:
    found = grown(
        stack_depth=line(60, 0.08, 1),
        process_threads=line(1500, 0, 1),
        memory_live=line(40, 0.2),
        memory_free_in_heap=line(2, 0),
    )
    assert [f.cause for f in found] == ["object_leak"]


def test_what_is_the_largest_part_is_the_cause() -> None:
    most_in_arenas = {
        "memory_live": line(40, 0.07),
        "memory_free_in_heap": line(2, 0.02),
        "memory_pymalloc_slack": line(1, 0.09),
    }
    assert cause(**most_in_arenas).cause == "pymalloc_fragmentation"
    most_live = {
        "memory_live": line(40, 0.096),
        "memory_free_in_heap": line(2, 0.092),
        "memory_pymalloc_slack": line(1, 0),
    }
    found = cause(**most_live)
    assert (found.cause, found.confidence) == ("memory_growth", "low")


def test_looks_that_met_requests_under_way_do_not_say_whose_it_is() -> None:
    events = (look(20, heap=heap(40, 10)), look(120, heap=heap(140, 15)))
    found = cause(events, **LEAKS, python_blocks=line(1e5, 100, 1))
    assert found.cause == "object_leak", "100 MiB came between the looks, where live memory grew by 20"


def held_in(items: int, limit: int | None, kind: str = "deque", others: int = 0) -> dict[str, Any]:
    """A heap with a container of records, and a list without a bound that holds as many `others`."""
    found = [{"id": 7, "type": kind, "items": items, "name": "shop.recent", "limit": limit}]
    if others:
        found.append({"id": 8, "type": "list", "items": others, "name": "shop.all", "limit": None})
    return heap(
        items / 1000, items / 2000, containers=found, types={"shop.Record": items + others, "builtins.dict": 900}
    )


def judged(first: dict[str, Any], last: dict[str, Any], criteria: list[dict[str, str]] = LOOSE) -> list[Finding]:
    spec = scenario(criteria=criteria)
    series = GROWS | {"memory.live": line(40, 0.2), "python.blocks": line(1e5, 100, 1)}
    series |= {"memory.free_in_heap": line(2, 0), "memory.pymalloc_slack": line(1, 0)}
    events = (look(20, heap=first), look(120, heap=last))
    return list(judge(recording(spec, side(spec, series=series), events=events)).candidate.findings)


def test_a_container_that_fills_to_its_own_bound_is_no_leak() -> None:
    (found,) = [f for f in judged(held_in(40_000, 90_000), held_in(60_000, 90_000)) if f.metric == "memory.anon"]
    assert (found.cause, found.severity) == ("cache_fill", "warning")
    assert "while the deque shop.recent fills to its bound of 90,000 items" in found.title
    assert "the deque shop.recent grew from 40,000 to 60,000 items, of at most 90,000" in found.evidence


def test_it_is_a_leak_where_there_is_no_bound_or_memory_ends_before_it() -> None:
    for limit in (None, 10**9):
        (found,) = [f for f in judged(held_in(40_000, limit), held_in(60_000, limit)) if f.severity == "fail"]
        assert found.cause == "object_leak"


def test_it_is_a_leak_where_something_else_may_be_what_grows() -> None:
    beside = judged(held_in(40_000, 90_000, others=1000), held_in(60_000, 90_000, others=5000))
    assert [f.cause for f in beside if f.severity == "fail"] == ["object_leak"]
    unlike = held_in(60_000, 90_000)
    unlike["types"]["shop.Other"] = 50_000
    assert [f.cause for f in judged(held_in(40_000, 90_000), unlike) if f.severity == "fail"] == ["object_leak"]


def test_growth_that_the_scenario_does_not_allow_fails_whatever_fills() -> None:
    found = judged(
        held_in(40_000, 90_000), held_in(60_000, 90_000), [{"metric": "memory.anon", "growth_below": "5 MiB/h"}]
    )
    assert [f.cause for f in found if f.severity == "fail"] == ["object_leak"]


def test_a_cache_without_a_bound_is_told_as_that() -> None:
    found = judged(held_in(40_000, None, "lru_cache"), held_in(60_000, None, "lru_cache"))
    assert "the lru_cache shop.recent grew from 40,000 to 60,000 items, and has no bound" in found[0].evidence
