"""`soak check` in plain words: what would run, and what each criterion could see in it."""

from __future__ import annotations

import textwrap

from soak.core import units
from soak.core.metrics import QUANTILES
from soak.core.scenario import Criterion, Scenario, Target

WANTED = {"p50": 50, "p90": 200, "p99": 1_500, "p999": 10_000, "p9999": 100_000, "max": 1}
"""Requests that a percentile wants in a window to be steadier than about 10 % (order statistics)."""

_TREND_WINDOWS = 12


def explain(scenario: Scenario) -> str:
    """The scenario as a person would tell it, in 80 columns."""
    blocks = [_targets(scenario), _time(scenario), _traffic(scenario), _criteria(scenario)]
    return "\n\n".join(blocks)


def _targets(scenario: Scenario) -> str:
    lines = [f"{scenario.name}"]
    for side, target in scenario.sides.items():
        lines.append(_wrap(f"{side}: load goes to {target.url}; {_watched(target)}."))
    if scenario.reference is not None:
        lines.append(_wrap("Both sides get the very same arrivals at the same time."))
    return "\n".join(lines)


def _watched(target: Target) -> str:
    if target.process is not None:
        return f"soak starts `{target.process.command}` and watches its process tree"
    for key in ("pid", "port", "name"):
        if getattr(target, key) is not None:
            return f"the process tree of {key} {getattr(target, key)} is watched"
    return "no process is watched, so memory, stack and CPU are not seen"


def _time(scenario: Scenario) -> str:
    p = scenario.phases
    parts = [
        (p.idle_before, "idle before"),
        (p.warmup_s, "warm-up, not judged"),
        (p.soak, "soak, judged"),
        (p.idle_after, "idle after"),
    ]
    shown = ", ".join(f"{units.duration(length)} {what}" for length, what in parts if length)
    total = p.idle_before + scenario.load_s + p.idle_after
    return _wrap(f"It takes about {units.duration(total)}: {shown}.")


def _traffic(scenario: Scenario) -> str:
    load = scenario.load
    if load.open_model and load.rate is not None:
        count = load.rate * scenario.phases.soak
        head = (
            f"{units.show(load.rate, 'rate')} arrive ({load.arrivals}) whatever the target does, on "
            f"{load.connections} connections: about {count:,.0f} in the soak. Latency runs from the moment "
            f"an arrival is due. A request is failed after {units.duration(load.timeout)}."
        )
    else:
        count = None
        pace = f", paced to {units.show(load.rate, 'rate')} together" if load.rate is not None else ""
        head = (
            f"{load.users} plain Locust users{pace}. They wait for their answers, so a slow target is asked "
            "less, and what it would have made others wait is not seen: use `rate` unless you want to compare."
        )
    lines = [_wrap(head)]
    if load.locustfile is not None:
        lines.append(_wrap(f"Tasks are those of {load.locustfile}."))
    total = sum(r.weight for r in load.requests or [])
    for r in load.requests or []:
        share = r.weight / total
        number = f", about {count * share:,.0f}" if count is not None else ""
        lines.append(f"  {units.percent(share):>6}  {r.endpoint}: {r.method} {r.path}{number}")
    return "\n".join(lines)


def _criteria(scenario: Scenario) -> str:
    lines = ["It passes if:"]
    for criterion in scenario.criteria:
        lines.append(_wrap(f"- {criterion.text()}", "  ", "    "))
        lines.append(_wrap(_sight(criterion, scenario), "      ", "      "))
    lines.append(
        _wrap(
            "Whatever the criteria, a crash, an out-of-memory kill, and growth of memory, stack or latency that "
            "is beyond noise and matters fail the run; a criterion on the same metric decides how much matters."
        )
    )
    return "\n".join(lines)


def _sight(criterion: Criterion, scenario: Scenario) -> str:
    """What a criterion can see in this scenario."""
    spec, soak = criterion.spec, scenario.phases.soak
    quantile = criterion.metric.partition(".")[2]
    if spec.room in ("latency", "service") and quantile in QUANTILES:
        requests = _requests(criterion, scenario)
        if requests is None:
            return "How many requests there will be depends on the target."
        wanted = WANTED[quantile]
        if requests < wanted:
            longer = soak * wanted / max(requests, 1)
            return (
                f"Too few requests: {requests:,.0f} of the {wanted:,} that a {quantile} wants. "
                f"It will be inconclusive; soak for {units.duration(longer)} or raise the rate."
            )
        if criterion.kind == "growth_below" and requests < wanted * _TREND_WINDOWS:
            longer = soak * wanted * _TREND_WINDOWS / requests
            return (
                f"{requests:,.0f} requests make {requests / wanted:.0f} windows of {wanted:,}: only a large drift "
                f"will show. For a small one soak for {units.duration(longer)} or more."
            )
        if criterion.over is not None and requests * criterion.over / soak < wanted:
            return f"A window of {units.duration(criterion.over)} holds fewer than the {wanted:,} requests it wants."
        return f"About {requests:,.0f} requests: enough for a {quantile}."
    if criterion.kind == "growth_below":
        limit = criterion.limit
        if limit.per is not None:
            allowed = limit.per_second * soak
            return (
                f"Over {units.duration(soak)} that allows {units.show(allowed, limit.dimension)}. What noise hides "
                "is reported with the verdict, and how long a run would settle it."
            )
        return f"Over {units.duration(soak)}. What noise hides is reported with the verdict."
    if criterion.over is not None:
        return f"Judged on {soak / criterion.over:.0f} windows; one that misses the limit is enough to fail."
    return "Judged on the whole soak phase."


def _requests(criterion: Criterion, scenario: Scenario) -> float | None:
    load = scenario.load
    if not load.open_model or load.rate is None:
        return None
    total = load.rate * scenario.phases.soak
    if not load.requests:
        return total
    weights = {r.endpoint: r.weight for r in load.requests}
    share = min(weights.values()) if criterion.endpoint is None else weights[criterion.endpoint]
    return total * share / sum(weights.values())


def _wrap(text: str, first: str = "", rest: str = "  ") -> str:
    return textwrap.fill(text, 80, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
