"""Part one: every case of every family, judged by soak and by the others, and the run of forty series."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool

import numpy as np

from benchmarks.accuracy import peers
from benchmarks.accuracy.family import Family, Kind, Series, Truth
from benchmarks.accuracy.judge import Opinion, judge, of_a_run
from benchmarks.accuracy.rates import Rate, rate
from benchmarks.accuracy.recorded import TOLERANCE, recordings
from benchmarks.accuracy.sets import SETS
from soak.core.verdict import Result

SERIES_OF_A_RUN = 40
_RUN_STREAM = 100
_BESIDE = 10_000
"""Cases of a run have other numbers than those that are judged alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What soak said of one case, and which of the others found growth in it."""

    family: str
    truth: Truth
    verdict: Result
    others: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Totals:
    """The rates of one method on one set; ambiguous families are not in them. Precision is at the set's own share."""

    method: str
    precision: Rate
    recall: Rate
    false_alarms: Rate
    passed_sick: Rate
    unsure_healthy: Rate
    unsure_sick: Rate


def examine(name: str, truth: Truth, kind: Kind, tolerance: float, series: Series) -> Outcome:
    """One case by all methods. The others are given what is there: none of them knows of missing values."""
    seen = series.v[np.isfinite(series.v)]
    return Outcome(
        name,
        truth,
        judge(series, kind, tolerance).verdict,
        {method: finds(seen) for method, finds in peers.available().items()},
    )


def outcomes(pool: Pool, name: str, seeds: int) -> list[Outcome]:
    """All cases of a set."""
    tasks = [(name, family, index) for family in range(len(SETS[name].families)) for index in range(seeds)]
    return pool.starmap(_examined, tasks, chunksize=8)


def _examined(name: str, number: int, index: int) -> Outcome:
    family = SETS[name].families[number]
    series = family.series(SETS[name].stream, index)
    return examine(family.name, family.truth, family.kind, family.tolerance, series)


def recorded_outcomes(pool: Pool) -> list[Outcome]:
    """All recordings of real processes."""
    return pool.map(_recorded, range(len(recordings())), chunksize=1)


def _recorded(number: int) -> Outcome:
    recording = recordings()[number]
    return examine(recording.program, recording.truth, recording.kind, TOLERANCE, recording.series)


def totals(found: Sequence[Outcome]) -> list[Totals]:
    """A line for soak, then one for each of the others."""
    methods: dict[str, Callable[[Outcome], Result]] = {"soak": lambda o: o.verdict}
    for method in found[0].others if found else ():
        methods[method] = lambda o, method=method: "fail" if o.others[method] else "pass"  # type: ignore[misc]
    sick = [o for o in found if o.truth == "sick"]
    healthy = [o for o in found if o.truth == "healthy"]

    def line(method: str, says: Callable[[Outcome], Result]) -> Totals:
        def share(of: Iterable[Outcome], verdict: Result) -> Rate:
            return rate(says(o) == verdict for o in of)

        return Totals(
            method=method,
            precision=rate(o.truth == "sick" for o in (*sick, *healthy) if says(o) == "fail"),
            recall=share(sick, "fail"),
            false_alarms=share(healthy, "fail"),
            passed_sick=share(sick, "pass"),
            unsure_healthy=share(healthy, "inconclusive"),
            unsure_sick=share(sick, "inconclusive"),
        )

    return [line(method, says) for method, says in methods.items()]


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of forty healthy series, and the same with a sick series in place of the first of them.

    `corrected` and `uncorrected`: in how many any healthy series failed, with and without the correction for
    forty; `series_failed`: of all those series, with it. `found`: how often the sick one failed among the rest,
    `found_alone`: how often it does by itself.
    """

    corrected: Rate
    uncorrected: Rate
    series_failed: Rate
    found: Rate
    found_alone: Rate


def runs(pool: Pool, name: str, count: int) -> Runs:
    """Whole runs of a set: each series of a family drawn at random."""
    drawn = pool.starmap(_one_run, [(name, number) for number in range(count)], chunksize=1)
    return Runs(
        corrected=rate("fail" in corrected for corrected, _, _, _ in drawn),
        uncorrected=rate("fail" in alone for _, alone, _, _ in drawn),
        series_failed=rate(verdict == "fail" for corrected, _, _, _ in drawn for verdict in corrected),
        found=rate(sick == "fail" for _, _, sick, _ in drawn),
        found_alone=rate(sick == "fail" for _, _, _, sick in drawn),
    )


def _one_run(name: str, number: int) -> tuple[list[Result], list[Result], Result, Result]:
    """Verdicts of the healthy series, together and each alone; of the sick one, among them and alone."""
    cases = SETS[name]
    rng = np.random.default_rng([_RUN_STREAM, cases.stream, number])

    def drawn(families: Sequence[Family], beside: int) -> Opinion:
        family = families[int(rng.integers(len(families)))]
        series = family.series(cases.stream, _BESIDE + number * (SERIES_OF_A_RUN + 1) + beside)
        return judge(series, family.kind, family.tolerance)

    healthy = [drawn(cases.healthy, beside) for beside in range(SERIES_OF_A_RUN)]
    sick = drawn(cases.sick, SERIES_OF_A_RUN)
    return of_a_run(healthy), [o.verdict for o in healthy], of_a_run([sick, *healthy[1:]])[0], sick.verdict
