"""Causes that show in how long work takes: latency, CPU, errors, throughput, and who else was at fault."""

from __future__ import annotations

from soak.core import units
from soak.core.metrics import TREND_WINDOWS
from soak.core.verdict import Finding, Severity
from soak.judge.advice import ADVICE
from soak.judge.criteria import misses_growth
from soak.judge.growing import time_left
from soak.judge.matters import Gate
from soak.judge.neighbours import crowded, disturbances, neighbours, noisy
from soak.judge.side import Side
from soak.judge.stats.decide import came_early
from soak.judge.stats.proportion import share_rose
from soak.judge.stats.trend import Trend, late_slope
from soak.judge.validity import at_its_limit, saturated

GATES = {"p50": Gate(0.10, 0.5e-3), "p99": Gate(0.15, 1e-3), "p999": Gate(0.20, 2e-3)}
CPU = Gate(relative=0.25, absolute=50e-6)
_FLOORS = {"p50": 0.25, "p99": 2.0, "p999": 4.0}  # times the generator's own p99 lateness
_ERROR_SHARE = 0.001
_UNSERVED_SHARE = 0.01
_SLICES = 20
_SPREAD = 3  # slices of the second half that fail, for failures to be a drift and not an outage


def latency(side: Side) -> list[Finding]:
    """One finding for each endpoint whose latency grows, by its worst percentile."""
    findings = []
    for endpoint in side.data.endpoints:
        drifts = [d for q in GATES if (d := _drift(side, endpoint, q)) is not None]
        if drifts:
            worst = max(drifts, key=lambda d: (d[2] == "fail", d[1].relative(d[1].slope)))
            findings.append(_latency_finding(side, endpoint, worst))
    return findings


def _drift(side: Side, endpoint: str, quantile: str) -> tuple[str, Trend, Severity] | None:
    metric = f"latency.{quantile}"
    fitted = side.trend(metric, endpoint)
    if fitted is None:
        return None
    severity = gate_of(side, quantile).severity(fitted, misses_growth(side, metric, endpoint))
    if severity == "fail" and fitted.shape != "step" and not _goes_on(side, endpoint, quantile, fitted):
        severity = "info"
    if severity == "fail" and (
        _may_be_chance(side, fitted)
        or came_early(fitted)
        or _others_to_blame(side, fitted)
        or _within_the_wait(side, fitted)
    ):
        severity = "warning"
    return (quantile, fitted, severity) if severity is not None else None


def _may_be_chance(side: Side, fitted: Trend) -> bool:
    """Whether one of as many percentiles as are looked at might have grown so far by chance (Bonferroni)."""
    return fitted.p > side.alpha / 2 / (len(GATES) * max(1, len(side.data.endpoints)))


def _goes_on(side: Side, endpoint: str, quantile: str, fitted: Trend) -> bool:
    """Whether the second half still grows at a fair part of the fitted rate: an early burst leaves a slope too."""
    windows = side.observed(f"latency.{quantile}", endpoint)
    return windows is not None and late_slope(windows.t, windows.v, 1 / 2) > 0.25 * fitted.slope


def gate_of(side: Side, quantile: str) -> Gate:
    """What growth of a percentile matters: none that the generator's own lateness could have made."""
    gate = GATES[quantile]
    return Gate(gate.relative, max(gate.absolute, _FLOORS[quantile] * side.instrument_floor))


def _latency_finding(side: Side, endpoint: str, drift: tuple[str, Trend, Severity]) -> Finding:
    quantile, fitted, severity = drift
    step = fitted.shape == "step"
    cause = "latency_step" if step else "latency_drift"
    before, after = units.duration(fitted.first), units.duration(fitted.last)
    growth = units.percent(fitted.last / fitted.first - 1)
    evidence = [f"fitted over {fitted.n} windows of merged histograms, {fitted.n_eff:.0f} of them independent"]
    if step:
        at = units.duration(round((fitted.step_at or side.start) - side.start))
        title = f"{quantile} of {endpoint} stepped up by {units.duration(fitted.step_size)}, {at} into the soak"
    else:
        title = f"{quantile} of {endpoint} grows: {before} to {after} over the soak ({growth})"
        low, high = (units.show_growth(s, "time") for s in (fitted.low, fitted.high))
        evidence.append(f"{units.show_growth(fitted.slope, 'time')} ({low} to {high})")
    service = side.trend(f"service.{quantile}", endpoint)
    if service is not None:
        evidence.append(f"service time went from {units.duration(service.first)} to {units.duration(service.last)}")
    if severity == "warning" and (others := disturbances(side)):
        evidence.append(f"meanwhile {others[0].text}: that may be to blame")
    elif severity == "warning" and _others_to_blame(side, fitted):
        evidence.append("the generator itself got later meanwhile: it may be to blame")
    if severity == "warning" and _within_the_wait(side, fitted):
        wait = units.duration(side.instrument_floor)
        evidence.append(f"other programs had most of the host's cores, and soak itself waited {wait} for one: as long")
    if severity == "warning" and _may_be_chance(side, fitted):
        evidence.append("of so many percentiles one may grow as far by chance: a longer soak would tell")
    if severity == "warning" and came_early(fitted):
        evidence.append("it came early and then stayed: a warm-up that is too short looks the same")
    room, limit = _room(side, endpoint, quantile, fitted)
    early, eta, late = time_left(room, fitted)
    return Finding(
        cause=cause,
        metric=f"latency.{quantile}",
        endpoint=endpoint,
        severity=severity,
        title=title,
        # a slope drawn through a step is the rate of nothing
        rate=None if step else fitted.slope * 3600,
        rate_unit=None if step else "s/h",
        low=None if step else fitted.low * 3600,
        high=None if step else fitted.high * 3600,
        eta_s=eta,
        eta_low_s=early,
        eta_high_s=late,
        eta_limit=limit,
        evidence=tuple(evidence),
        advice=ADVICE[cause],
        start=fitted.step_at if step else side.start,
        end=side.end,
    )


def _others_to_blame(side: Side, fitted: Trend) -> bool:
    """Whether the host was busy, or the generator's own lateness grew by a fair part of what latency did."""
    if noisy(side):
        return True
    own = side.trend("generator.wake_p99")
    return own is not None and own.low > 0 and own.growth > 0.3 * fitted.growth


def _within_the_wait(side: Side, fitted: Trend) -> bool:
    """Whether it is less than what the generator itself waits for a core of a host that others have most of."""
    return max(fitted.growth, fitted.step_size) < side.instrument_floor and crowded(side)


def _room(side: Side, endpoint: str, quantile: str, fitted: Trend) -> tuple[float | None, str | None]:
    """What is left to a stated absolute limit of this percentile (s), and which limit that is."""
    limit = limit_of(side, endpoint, quantile)
    if limit is None or fitted.shape == "step" or limit <= fitted.level:
        return None, None
    return limit - fitted.level, f"the limit of {units.duration(limit)}"


def limit_of(side: Side, endpoint: str, quantile: str) -> float | None:
    """The lowest absolute limit (s) that the scenario states for a percentile of an endpoint."""
    limits = [
        c.limit.value
        for c in side.recording.scenario.criteria
        if c.metric == f"latency.{quantile}" and c.kind == "below" and c.endpoint in (None, endpoint)
    ]
    return min(limits, default=None)


def cpu(side: Side) -> list[Finding]:
    """CPU for each request done that grows."""
    fitted, missed = side.trend("cpu.per_request"), misses_growth(side, "cpu.per_request")
    if fitted is None or CPU.severity(fitted, missed) != "fail":
        return []
    if not missed and fitted.n < TREND_WINDOWS and fitted.low * fitted.span < CPU.bar(fitted):
        return []  # few windows show only what is gross
    if fitted.last <= fitted.first:
        return []  # a line may rise through what ends no higher than it began
    evidence = [f"fitted over {fitted.n} windows"]
    others = disturbances(side)
    if others:  # they share caches, and often a core
        evidence.append(f"meanwhile {others[0].text}, which makes each request dearer too")
    before, after = units.duration(fitted.first), units.duration(fitted.last)
    return [
        Finding(
            cause="cpu_drift",
            metric="cpu.per_request",
            endpoint=None,
            severity="warning" if others else "fail",
            title=f"CPU for each request grows: {before} to {after} over the soak",
            rate=fitted.slope * 3600,
            rate_unit="s/h",
            low=fitted.low * 3600,
            high=fitted.high * 3600,
            evidence=tuple(evidence),
            advice=ADVICE["cpu_drift"],
            start=side.start,
            end=side.end,
        )
    ]


def errors(side: Side) -> list[Finding]:
    """Failures that become more frequent from the first to the second half of the soak."""
    middle = (side.start + side.end) / 2
    early, late = side.answers.failures_between(side.start, middle), side.answers.failures_between(middle, side.end)
    if not early[1] or not late[1] or _ended_early(side):
        return []
    before, after = early[0] / early[1], late[0] / late[1]
    if after < _ERROR_SHARE or after < 2 * before or share_rose(early, late) > 1e-3:
        return []
    if not _keeps_failing(side, max(_ERROR_SHARE, 2 * before)):
        return []
    return [
        Finding(
            cause="error_drift",
            metric="errors.ratio",
            endpoint=None,
            severity="fail",
            title=f"failures rise: {units.percent(before)} in the first half, {units.percent(after)} in the second",
            rate=(after - before) / (side.length / 2) * 3600,
            rate_unit="ratio/h",
            evidence=tuple(_error_kinds(side)),
            advice=ADVICE["error_drift"],
            start=middle,
            end=side.end,
        )
    ]


def _keeps_failing(side: Side, bar: float) -> bool:
    """Whether failures above `bar` take more than a moment or last to the end: an outage that is over is no drift."""
    width = side.length / _SLICES
    starts = [side.start + i * width for i in range(_SLICES // 2, _SLICES)]
    shares = [bad / max(1, total) for bad, total in (side.answers.failures_between(s, s + width) for s in starts)]
    above = [share > bar for share in shares]
    return sum(above) >= _SPREAD or all(above[-2:])


def _unserved(side: Side) -> float:
    """Share of the arrivals of the soak that never found a slot."""
    scheduled = sum(y.scheduled for y in side.trusted)
    return sum(y.unserved for y in side.trusted) / scheduled if scheduled else 0.0


def throughput(side: Side) -> list[Finding]:
    """Arrivals that nobody served, although the generator was on time: the target cannot keep up."""
    share = _unserved(side)
    if share < _UNSERVED_SHARE or saturated(side) or _ended_early(side):
        return []
    scheduled = sum(y.scheduled for y in side.trusted)
    unserved = sum(y.unserved for y in side.trusted)
    first = next(y.start for y in side.trusted if y.unserved)
    return [
        Finding(
            cause="throughput_loss",
            metric="throughput.rate",
            endpoint=None,
            severity="fail",
            title=f"{units.percent(share)} of arrivals were never served: the target cannot keep up",
            evidence=(
                f"{unserved} of {scheduled} arrivals waited longer than the request timeout for a free connection",
                "the generator's own event loop was on time",
            ),
            advice=ADVICE["throughput_loss"],
            start=first,
            end=side.end,
        )
    ]


def host(side: Side) -> list[Finding]:
    """What was not the target's fault: a noisy host, or a generator at its own limit."""
    # both sides are on it, or the other one's machine is not looked at: it is told once
    others = neighbours(side) if side.name == "candidate" else []
    findings = [_not_the_target(side, "noisy_host", one.metric, "info", one.text) for one in others]
    if at_its_limit(side):
        title = "the generator was at its own limit: its event loop was late while no slot was free"
        findings.append(_not_the_target(side, "generator_saturated", "generator.loop_lag_max", "warning", title))
    return findings


def _not_the_target(side: Side, cause: str, metric: str, severity: Severity, title: str) -> Finding:
    return Finding(cause, metric, None, severity, title, advice=ADVICE[cause], start=side.start, end=side.end)


def _error_kinds(side: Side) -> list[str]:
    counts: dict[str, int] = {}
    for event in side.recording.events:
        if event.kind == "error_sample" and event.side == side.name and side.start <= event.t <= _told_by(side):
            key = f"{event.data.get('endpoint')}: {event.data.get('error')}"
            count = event.data.get("count")
            counts[key] = counts.get(key, 0) + (int(count) if isinstance(count, (int, float)) else 1)
    top = sorted(counts.items(), key=lambda kv: -kv[1])[:3]
    return [f"{key} ({count} times)" for key, count in top]


def _told_by(side: Side) -> float:
    """Until when failures were reported that are not those of a burst (s)."""
    return side.end if side.recording.phase("burst") is not None else side.recording.duration


def _ended_early(side: Side) -> bool:
    """Whether the target died: what failed after that has its own name."""
    return any(e.kind == "target_exit" and e.side == side.name for e in side.recording.events)
