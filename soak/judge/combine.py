"""One root, not ten findings: what only follows from another finding becomes evidence of it.

A table says which cause may bring about which other, and how that shows. Being in it is not enough: each link is
measured in the run at hand, and a fault that is not shown to follow from another one is told for itself.

    latency grows  -> arrivals unserved   more of them whenever it is slower, none while it was quick
                   -> failures rise       most of them are timeouts
                   -> CPU a request grows its growth is a fair part of what requests take longer
    failures rise  -> CPU a request grows by as much as work for failed requests is put down to those done
    a limit of descriptors, frames        failures begin where it is reached, or are counted with it
    memory, stacks, threads grow -> slower, dearer   the same knee or the same wiggles over common windows

What follows stays with its root. Should the root turn out to fail nothing (it is tolerated, the reference has it too,
it grows no faster than log n), what followed from it is told after all: what is well excuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from soak.core import units
from soak.core.verdict import Finding
from soak.judge.side import Side
from soak.judge.stats.blocks import Blocks, Floats
from soak.judge.stats.together import together

_WINDOWS = 24
_MOST = 0.5
_FAIR_PART = 0.25
"""Of what an answer takes longer: so much of it spent on the CPU explains it."""
_CALM = 0.002
"""Share of arrivals: fewer that are unserved are none."""
_FULL = 0.1
"""Of a limit: what is left of it when failures begin because of it."""

Shown = Callable[[Side, Finding, Finding], str | None]
"""How a consequence shows itself as one, in words; None where it does not."""


@dataclass(frozen=True, slots=True)
class Link:
    """That any of `roots` may bring about any of `consequences`, if `shown` says so."""

    roots: frozenset[str]
    consequences: frozenset[str]
    shown: Shown


def combine(side: Side, findings: Iterable[Finding]) -> list[Finding]:
    """The findings without those that follow from another one, which has them as evidence."""
    kept = list(findings)
    for link in _LINKS:
        for root in [f for f in kept if f.cause in link.roots and f.severity == "fail"]:
            for other in [f for f in kept if f.cause in link.consequences and f.severity != "info"]:
                now = next((f for f in kept if _same(f, root)), None)
                if now is not None and not _same(other, root) and (why := link.shown(side, root, other)) is not None:
                    carried = [line for line in other.evidence if line.startswith(WITH_IT)]
                    evidence = (*now.evidence, f"{WITH_IT}{why}: {other.title}", *carried)
                    told = replace(now, evidence=evidence, follows=(*now.follows, other))
                    kept = [told if f is now else f for f in kept if f is not other]
    return kept


def freed(findings: Iterable[Finding], again: Callable[[list[Finding]], Iterable[Finding]]) -> list[Finding]:
    """The findings; what followed from those that fail nothing is judged `again`, each for itself."""
    told: list[Finding] = []
    loose: list[Finding] = []
    for finding in findings:
        if finding.severity == "fail" or not finding.follows:
            told.append(finding)
            continue
        titles = {f.title for f in finding.follows}
        evidence = (line for line in finding.evidence if line not in titles and not line.startswith(WITH_IT))
        told.append(replace(finding, evidence=tuple(evidence), follows=()))
        loose += finding.follows
    return told + freed(again(loose), again) if loose else told


WITH_IT = "with it, "
"""What a line of evidence begins with that was a finding of its own."""


def _same(one: Finding, other: Finding) -> bool:
    return (one.cause, one.metric, one.endpoint) == (other.cause, other.metric, other.endpoint)


def _unserved(side: Side, root: Finding, _: Finding) -> str | None:
    """More arrivals find no slot whenever answers take longer."""
    slow = side.observed(root.metric, root.endpoint)
    if slow is None or len(slow.v) < 4:
        return None
    starts = np.array([y.start for y in side.trusted])
    waiting = np.array([float(y.unserved) for y in side.trusted])
    due = np.array([float(y.scheduled) for y in side.trusted])
    place = np.clip(np.searchsorted(slow.t + slow.length / 2, starts), 0, len(slow.t) - 1)
    n = len(slow.t)
    shares = np.bincount(place, waiting, n) / np.maximum(1.0, np.bincount(place, due, n))
    quick = slow.v <= np.quantile(slow.v, 0.25)
    if shares[quick].mean() > max(_CALM, 0.2 * float(shares[~quick].mean())):
        return None
    return "arrivals went unserved where answers were slow, and hardly any where they were quick"


def _by_timeouts(side: Side, root: Finding, _: Finding) -> str | None:
    """Failures that are timeouts: an answer that takes ever longer is given up in the end."""
    bad, _all = side.answers.failures(root.endpoint)
    timeouts = side.answers.histogram(root.endpoint, "latency", "timeout").total
    if not bad or timeouts < _MOST * bad:
        return None
    return f"answers were given up at the timeout ({timeouts} of {bad} failures)"


def _by_cpu(side: Side, root: Finding, _: Finding) -> str | None:
    """CPU a request that makes a fair part of what an answer takes longer, or moves with it."""
    dearer, slower = side.trend("cpu.per_request"), side.trend("service.p50", root.endpoint)
    slower = slower if slower is not None else side.trend(root.metric, root.endpoint)
    if dearer is None or slower is None or root.cause == "latency_step":
        return None
    part = dearer.growth / slower.growth if slower.growth > 0 else 0.0
    if part < _FAIR_PART and not _move_together(side, root, "cpu.per_request", None):
        return None
    before, after = units.duration(dearer.first), units.duration(dearer.last)
    return f"CPU for each request went from {before} to {after}, so the target works more for the same answer"


def _by_failures(side: Side, _: Finding, other: Finding) -> str | None:
    """CPU that was spent on requests that failed is put down to those that were done."""
    fitted = side.trend(other.metric)
    late = [side.answers.failures_between(side.end - part * side.length, side.end) for part in (0.5, 0.1)]
    if fitted is None or fitted.first <= 0:
        return None
    share = max(bad / max(1, total) for bad, total in late)
    more = fitted.last / fitted.first - 1
    if share < 1 and more > 2 * share / (1 - share):
        return None
    return "CPU was spent on requests that failed, and is put down to those done"


def _at_the_limit(side: Side, _: Finding, __: Finding) -> str | None:
    """Failures that begin when hardly any descriptor is left."""
    room, limit, begun = side.soak_series("process.fds_room"), side.soak_series("process.fds_limit"), _failing(side)
    if room is None or limit is None or begun is None:
        return None
    left = float(np.interp(begun, room.t, room.v))
    most = float(limit.v[-1])
    if left > _FULL * most:
        return None
    return f"requests began to fail when {max(0.0, left):.0f} of {most:.0f} descriptors were left"


def _counted_with(side: Side, root: Finding, _: Finding) -> str | None:
    """RecursionErrors that are most of what failed."""
    errors = side.soak_series(root.metric)
    bad, _all = side.answers.failures(None)
    if errors is None or not bad or errors.v[-1] - errors.v[0] < _MOST * bad:
        return None
    return "the requests that reached the limit are those that failed"


def _over_time(side: Side, root: Finding, other: Finding) -> str | None:
    """The same knee or the same wiggles."""
    if not _move_together(side, root, other.metric, other.endpoint):
        return None
    return f"{other.metric}{f' of {other.endpoint}' if other.endpoint else ''} moved as it did over the same windows"


def _move_together(side: Side, root: Finding, metric: str, endpoint: str | None) -> bool:
    """Whether a series moves as that of the root does; two mere lines say nothing."""
    one, two = side.observed(root.metric, root.endpoint), side.observed(metric, endpoint)
    if metric.startswith("latency."):  # of a median there are more windows, so its knee is seen more sharply
        finer = side.trend("latency.p50", endpoint)
        two = side.observed("latency.p50", endpoint) if finer is not None and finer.low > 0 else two
    return one is not None and two is not None and together(*_common(one, two))


def _common(one: Blocks, two: Blocks) -> tuple[Floats, Floats, Floats]:
    """Both on the windows of the coarser one, at most two dozen, where both were seen."""
    low, high = max(one.t[0], two.t[0]), min(one.t[-1], two.t[-1])
    n = min(_WINDOWS, len(one.t), len(two.t))
    if high <= low:
        return np.empty(0), np.empty(0), np.empty(0)
    edges = np.linspace(low, high, n + 1)
    t = (edges[:-1] + edges[1:]) / 2
    return t, _means(one, edges, t), _means(two, edges, t)


def _means(blocks: Blocks, edges: Floats, t: Floats) -> Floats:
    """Means of the blocks in each window; between two where none is."""
    place = np.clip(np.searchsorted(edges, blocks.t, side="right") - 1, 0, len(t) - 1)
    count = np.bincount(place, minlength=len(t))
    total = np.bincount(place, blocks.v, len(t))
    seen = count > 0
    means: Floats = np.interp(t, t[seen], total[seen] / count[seen])
    return means


def _failing(side: Side) -> float | None:
    """When failures began to be what they are in the second half (s)."""
    width = side.length / _WINDOWS
    starts = [side.start + i * width for i in range(_WINDOWS)]
    shares = [bad / max(1, total) for bad, total in (side.answers.failures_between(s, s + width) for s in starts)]
    bar = max(shares) / 4
    return next((s for s, share in zip(starts, shares, strict=True) if share > bar), None) if bar > 0 else None


_SLOW = frozenset({"superlinear_cost", "latency_drift", "latency_step"})
_SLOWER = frozenset({"latency_drift", "latency_step", "cpu_drift"})
_FAILS = frozenset({"error_drift"})
_LINKS = (
    Link(frozenset({"recursion_limit"}), _FAILS, _counted_with),
    Link(frozenset({"fd_leak", "connection_leak"}), _FAILS, _at_the_limit),
    Link(_SLOW, _FAILS, _by_timeouts),
    Link(_FAILS, frozenset({"cpu_drift"}), _by_failures),
    Link(_SLOW, frozenset({"cpu_drift"}), _by_cpu),
    Link(_SLOW, frozenset({"throughput_loss"}), _unserved),
    Link(_SLOW, frozenset({"thread_leak", "connection_leak", "fd_leak"}), _over_time),  # requests in flight pile up
    Link(
        frozenset({"object_leak", "memory_growth", "native_leak", "fragmentation", "pymalloc_fragmentation"}),
        _SLOWER,
        _over_time,  # the collector walks what lives, the kernel swaps
    ),
    Link(frozenset({"stack_growth", "thread_leak", "connection_leak", "fd_leak", "child_leak"}), _SLOWER, _over_time),
)
