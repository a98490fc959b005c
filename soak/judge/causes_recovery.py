"""No recovery: the burst is over, the usual load is back, and the target is still not what it was before.

A burst may cost what it costs; it is longer than the target can serve, and arrivals of it may go unserved. What is
judged is the end of the recovery, the last third, beside the end of the soak: failures, latency and how much of what
was due got done. A target that retries, queues or locks itself into its overload stays there when its cause is gone
(Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021); such states are gross. So the gates are
wide, and both halves of that last third must lie beyond them: one hiccup of the machine is no verdict.

Memory, threads and descriptors that stay where the burst took them are told, but prove nothing: pools and heaps keep
what they once needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from soak.core import units
from soak.core.metrics import QUANTILES
from soak.core.units import Dimension
from soak.core.verdict import Finding
from soak.judge.advice import ADVICE
from soak.judge.answers import ENOUGH
from soak.judge.neighbours import noisy
from soak.judge.side import Side
from soak.judge.stats.proportion import percentile_interval, share, share_rose
from soak.judge.validity import saturated

GATES = {"p50": (1.5, 5e-3, 1.0), "p99": (2.0, 10e-3, 4.0)}
"""Of a percentile: how many times its level before the burst matters, how much more (s), and how many times the
generator's own lateness that must be at least."""

_ERROR_SHARE = 0.001
_DONE_SHARE = 0.9
"""Of the share of arrivals that was done before the burst."""
_CHANCE = 1e-3
_BEFORE_S = 60.0
_BIN_S = 3.0
_BIN_REQUESTS = 100
_STRAGGLERS = 0.1
"""Share of the bins after a recovery that may lie beyond a gate: a busy host does that."""
_GROSS = 0.5
"""Of requests that fail in the end, or are not done: no busy neighbour excuses that."""
_KEPT = 0.8
"""Of what a burst took, from which on it counts as kept."""
_MANY = 10


@dataclass(frozen=True)
class _Worse:
    """One thing that is beyond its gate, from `before` to `after` in the words of a title."""

    metric: str
    endpoint: str | None
    size: float
    text: str


@dataclass(frozen=True)
class Recovery:
    """How a side came out of its burst. `unknown` says why that cannot be told, `worse` what is not as it was."""

    before: Side
    burst: Side
    after: Side
    unknown: str = ""
    worse: list[_Worse] = field(default_factory=list)

    @property
    def excused(self) -> bool:
        """Whether other programs may be to blame: they took more of the host after the burst than before it.

        A part of it does not make most requests fail where none did.
        """
        if max(share(self.after.answers.failures(None)), share(_left_undone(self.after))) >= _GROSS:
            return False
        whole = Side(self.before.name, self.before.recording, self.before.start, self.after.end)
        return noisy(whole)


def recovery(side: Side) -> list[Finding]:
    """The finding on a target that did not come back."""
    look = look_at(side)
    if look is None or look.unknown or not look.worse:
        return []
    worst = max(look.worse, key=lambda w: w.size)
    over = units.duration(round(look.after.end - look.burst.end))
    evidence = [
        f"before the burst: {_state(look.before)}",
        f"{_asked(look)}: {_state(look.burst)}",
        f"in the end, {over} after it: {_state(look.after)}",
        *kept(look),
    ]
    if look.excused:
        evidence.append("other programs took more of the host meanwhile: they may be to blame")
    return [
        Finding(
            cause="no_recovery",
            metric=worst.metric,
            endpoint=worst.endpoint,
            severity="warning" if look.excused else "fail",
            title=f"it has not recovered {over} after the burst: {'; '.join(w.text for w in _few(look.worse))}",
            evidence=tuple(evidence),
            advice=ADVICE["no_recovery"],
            start=look.burst.start,
            end=look.after.end,
        )
    ]


def unsettled(side: Side) -> list[str]:
    """Why a run with a burst cannot pass although nothing was found: its recovery was not seen well enough."""
    look = look_at(side)
    if look is None:
        return []
    if look.unknown:
        return [look.unknown]
    return (
        ["it may not have recovered from the burst, but the host was busier too"] if look.worse and look.excused else []
    )


def recovery_notes(side: Side) -> list[str]:
    """What a pass says of the burst: what it did, how soon it was over, and what stayed."""
    look = look_at(side)
    if look is None or look.unknown or look.worse:
        return []
    took = _took(look)
    soon = f"it was over within {units.duration(round(took))}" if took > 0 else "it was over at once"
    return [f"{_asked(look)}: {_state(look.burst)}; {soon}", *kept(look)]


def look_at(side: Side) -> Recovery | None:
    """The burst of a run and what followed; None when the scenario has none."""
    planned = side.recording.scenario.phases.burst
    burst, rest = side.recording.phase("burst"), side.recording.phase("recovery")
    if planned is None:
        return None
    if burst is None or rest is None or burst.end is None or rest.end is None:
        nothing = Side(side.name, side.recording, side.end, side.end)
        return Recovery(nothing, nothing, nothing, "the recovery from the burst was not reached")
    last = (rest.end - rest.start) / 3
    before = _part(side, side.end - min(max(last, _BEFORE_S), side.length / 2), side.end)
    during, after = _part(side, burst.start, burst.end), _part(side, rest.end - last, rest.end)
    unknown = ""
    if rest.end - rest.start < 0.9 * planned.recovery:
        unknown = "the recovery from the burst was not seen to its end"
    elif any(len(s.marks.all) > len(s.tallies) / 2 for s in (before, after)):
        unknown = "the generator itself was in trouble before the burst or in the end: nothing is said of the recovery"
    elif min(_count(before), _count(after)) < ENOUGH["p50"]:
        unknown = (
            f"{min(_count(before), _count(after))} requests before the burst or in the last third of the recovery are "
            "too few to compare; make the recovery longer, or raise the rate"
        )
    return Recovery(before, during, after, unknown, [] if unknown else _compare(before, after))


def _compare(before: Side, after: Side) -> list[_Worse]:
    """What is beyond its gate over the whole of `after`, and in each half of it."""
    middle = (after.start + after.end) / 2
    halves = [_part(after, after.start, middle), _part(after, middle, after.end)]
    failing = _failing(before, after, halves)
    # what fails is not done: that is said once
    return [*(failing or _undone(before, after, halves)), *_slow(before, after, halves)]


def _failing(before: Side, after: Side, halves: list[Side]) -> list[_Worse]:
    was, now = before.answers.failures(None), after.answers.failures(None)
    bar, late = _error_bar(before), [half.answers.failures(None) for half in halves]
    if any(share(part) < bar for part in (now, *late)) or share_rose(was, now) > _CHANCE:
        return []
    text = f"{units.percent(share(now))} of requests fail ({units.percent(share(was))} before it)"
    return [_Worse("errors.ratio", None, 100.0 + share(now), text)]  # nothing is worse than no answer


def _slow(before: Side, after: Side, halves: list[Side]) -> list[_Worse]:
    found = []
    for endpoint in after.data.endpoints:
        for quantile in GATES:
            q = QUANTILES[quantile]
            was, now = before.answers.judged(endpoint, "latency", q), after.answers.judged(endpoint, "latency", q)
            if min(was.total, now.total) < ENOUGH[quantile]:
                continue
            bar, value = _latency_bar(before, endpoint, quantile), now.percentile(q)
            late = [_level(half, endpoint, quantile) for half in halves]
            apart = percentile_interval(now, q)[0] > percentile_interval(was, q)[1]
            if apart and value > bar and all(not v <= bar for v in late):
                level = was.percentile(q)
                text = f"{quantile} of {endpoint} is {units.duration(value)} ({units.duration(level)} before it)"
                found.append(_Worse(f"latency.{quantile}", endpoint, value / level, text))
    return found


def _undone(before: Side, after: Side, halves: list[Side]) -> list[_Worse]:
    was, now = _left_undone(before), _left_undone(after)
    bar = 1 - _DONE_SHARE * (1 - share(was))
    if any(share(part) < bar for part in (now, *map(_left_undone, halves))) or share_rose(was, now) > _CHANCE:
        return []
    text = f"{units.percent(1 - share(now))} of what is due gets done ({units.percent(1 - share(was))} before it)"
    return [_Worse("throughput.rate", None, 1.0, text)]


def _error_bar(before: Side) -> float:
    return max(_ERROR_SHARE, 2 * share(before.answers.failures(None)))


def _latency_bar(before: Side, endpoint: str | None, quantile: str) -> float:
    """The least of a percentile (s) after the burst that is not what it was before."""
    times, more, floors = GATES[quantile]
    level = _level(before, endpoint, quantile)
    return max(times * level, level + max(more, floors * before.instrument_floor))


def _level(side: Side, endpoint: str | None, quantile: str) -> float:
    q = QUANTILES[quantile]
    return side.answers.judged(endpoint, "latency", q).percentile(q)


def _took(look: Recovery) -> float:
    """Seconds from the end of the burst until failures and latency of all requests were back, and stayed so."""
    rate = max(1.0, _count(look.after) / look.after.length)
    width = max(_BIN_S, look.after.recording.scenario.interval_s, _BIN_REQUESTS / rate)
    start, end = look.burst.end, look.after.end
    bins = max(1, int((end - start) / width))
    edges = [start + (end - start) * i / bins for i in range(bins + 1)]
    away = [_away(look.before, _part(look.after, a, b)) for a, b in pairwise(edges)]
    for i, edge in enumerate(edges[:-1]):
        if not away[i] and sum(away[i:]) <= _STRAGGLERS * (bins - i):
            return edge - start
    return end - start


def _away(before: Side, part: Side) -> bool:
    """Whether a few seconds are unlike what was before the burst."""
    quantile = "p99" if _count(part) >= _BIN_REQUESTS else "p50"
    slow = _level(part, None, quantile) > _latency_bar(before, None, quantile)
    return slow or share(part.answers.failures(None)) > max(_error_bar(before), 1.5 / max(1, _count(part)))


def kept(look: Recovery) -> list[str]:
    """What the target still holds of what the burst made it take."""
    rows: tuple[tuple[str, str, Dimension], ...] = (
        ("memory.anon", "memory", "bytes"),
        ("process.threads", "threads", "count"),
        ("process.fds", "file descriptors", "count"),
        ("process.connections", "connections", "count"),
        ("process.processes", "processes", "count"),
    )
    lines = []
    for metric, words, dimension in rows:
        levels = [side.soak_series(metric) for side in (look.before, look.burst, look.after)]
        if any(s is None for s in levels):
            continue
        was, now = (float(s.v.mean()) for s in (levels[0], levels[2]) if s is not None)
        peak = max(float(s.v.max()) for s in levels if s is not None)
        taken = peak - was
        if taken < _least(look, metric, was) or now - was < _KEPT * taken:
            continue
        usual = "; heaps and pools often keep what they once needed" if dimension == "bytes" else ""
        lines.append(
            f"{words}: {units.show(was, dimension)} before the burst, {units.show(peak, dimension)} at most, and "
            f"{units.show(now, dimension)} still in the end{usual}"
        )
    return lines


def _least(look: Recovery, metric: str, level: float) -> float:
    """How much a burst must take to be worth a word: the generator's own connections stay open, and are not."""
    if metric == "memory.anon":
        return max(8 * 1024.0**2, 0.1 * level)
    own = look.after.recording.scenario.load.slots if metric in ("process.fds", "process.connections") else 0
    return max(_MANY, 0.1 * level) + own


def _state(side: Side) -> str:
    """Failures, latency and rate of a stretch in a few words."""
    latency = [(quantile, _level(side, None, quantile)) for quantile in GATES]
    shown = [f"{quantile} {units.duration(level)}" for quantile, level in latency if not math.isnan(level)]
    seconds = sum(y.length for y in side.tallies) / max(1, len({y.worker for y in side.tallies}))
    done = sum(y.done for y in side.tallies) / seconds if seconds > 0 else 0.0
    return ", ".join(
        [f"{units.percent(share(side.answers.failures(None)))} failed", *shown, f"{units.show(done, 'rate')} done"]
    )


def _asked(look: Recovery) -> str:
    """What the burst was, and whether the generator could make it."""
    planned = look.burst.recording.scenario.phases.burst
    assert planned is not None
    more = units.show(planned.rate, "rate") if planned.rate is not None else f"{planned.times:g} times the usual rate"
    text = f"in the burst of {more} for {units.duration(planned.length)}"
    own = saturated(look.burst)
    return text + (" (the generator was at its own limit in it, so the target saw less)" if own else "")


def _few(worse: list[_Worse]) -> list[_Worse]:
    return sorted(worse, key=lambda w: -w.size)[:2]


def _left_undone(side: Side) -> tuple[int, int]:
    scheduled = sum(y.scheduled for y in side.trusted)
    return max(0, scheduled - sum(y.done for y in side.trusted)), scheduled


def _count(side: Side) -> int:
    return side.answers.failures(None)[1]


def _part(side: Side, start: float, end: float) -> Side:
    return Side(side.name, side.recording, start, end)
