"""`soak check` in plain words: what would run, for how long, and what each criterion could see in it."""

from __future__ import annotations

import textwrap
from pathlib import Path

from soak.core import units
from soak.core.load import Load
from soak.core.metrics import MEMORY_LEAST, MEMORY_SHARE
from soak.core.scenario import Scenario
from soak.core.target import Target
from soak.core.traffic import Journey
from soak.scenario.sight import sight

_THROUGH_OBSERVER = (
    "Through an observer nothing is done to the process: its allocations are not tracked and malloc_trim is not asked "
    "for, so a leak is seen but not its place in the code. What an agent says is seen where the service has one."
)


def explain(scenario: Scenario, folder: Path = Path()) -> str:
    """The scenario as a person would tell it, in 80 columns; `folder` is the base of its relative paths."""
    blocks = [_targets(scenario), _time(scenario), _traffic(scenario, folder), _criteria(scenario, folder)]
    return "\n\n".join(blocks)


def _targets(scenario: Scenario) -> str:
    lines = [scenario.name]
    for side, target in scenario.sides.items():
        lines.append(_wrap(f"{side}: load goes to {target.url}; {_watched(target)}.", "  "))
    if scenario.beside is not None:
        lines.append(_wrap("Both sides get the very same arrivals, each of them first by turns.", "  "))
    if scenario.earlier is not None:
        lines.append(_wrap(f"reference: what was measured before, in {', '.join(scenario.earlier.files)}.", "  "))
    if scenario.target.watched:
        lines.append(_wrap(f"Processes are looked at every {units.duration(scenario.probe.every)}.", "  "))
    for side, target in scenario.sides.items():
        if target.scrape is not None:
            what = f"The {side} is asked for its own figures at {target.scrape.name}"
            lines.append(_wrap(f"{what} every {units.duration(scenario.allocator_s)}.", "  "))
        if target.size is not None:
            lines.append(_wrap(f"Where a request of the {side} costs more and more, {target.size} is its size.", "  "))
    if scenario.probe.attach is not None:
        text = f"{scenario.probe.attach} stops a Python without an agent for 1 to 3 s in the warm-up, to let one in."
        lines.append(_wrap(text, "  "))
    if any(t.process is not None and t.process.agent for t in scenario.sides.values()):
        lines.append(_wrap(_inside(scenario), "  "))
    if scenario.alerts:
        names = ", ".join(to.name for to in scenario.alerts)
        lines.append(_wrap(f"Findings that hold, and how the run ends, are told to: {names}.", "  "))
    if any(t.observer is not None for t in scenario.sides.values()):
        lines.append(_wrap(_THROUGH_OBSERVER, "  "))
    return "\n".join(lines)


def _inside(scenario: Scenario) -> str:
    """What is looked at from inside, where the target is Python."""
    text = f"Python is asked from inside every {units.duration(scenario.allocator_s)}"
    if (window := scenario.probe.window) is None:
        return text + "; its allocations are not tracked."
    again = f", every {units.duration(window.every)}" if window.every else ""
    return (
        f"{text}; its allocations are tracked for {units.duration(scenario.inspection_s)} early{again} and late in the "
        "soak, and when something is suspected. What is slower meanwhile is not judged."
    )


def _watched(target: Target) -> str:
    if target.process is not None:
        return f"soak starts `{target.process.command}` and watches its process tree"
    for key in ("pid", "port", "name"):
        if getattr(target, key) is not None:
            return f"the process tree of {key} {getattr(target, key)} is watched"
    if target.observer is not None:
        return f"the observer at {target.observer.url} watches its process there"
    if target.scrape is not None:
        return "no process is watched, so of its memory only what it tells itself is seen, and neither stack nor CPU"
    return "no process is watched, so memory, stack and CPU are not seen"


def _time(scenario: Scenario) -> str:
    p = scenario.phases
    total = p.idle_before + scenario.load_s + p.idle_after
    rows = [
        ("idle before", p.idle_before, "no load: the process at rest"),
        ("warm-up", p.warmup_s, "load, not judged"),
        ("soak", p.soak, "load, judged" if p.whole is None else f"load, judged; a part of {units.duration(p.whole)}"),
        *_burst(scenario),
        ("drain", scenario.drain_s, "at most: requests in flight come back"),
        ("idle after", p.idle_after, "no load: what comes back by itself"),
    ]
    lines = [f"It takes about {units.duration(total)}:"]
    lines += [f"  {name:12}{units.duration(length):>12}  {what}" for name, length, what in rows if length]
    if (cost := scenario.cost) is not None:
        priced = f", at {cost.price[0]:g} {cost.price[1]} for an hour of a core" if cost.price is not None else ""
        fleet = f"{cost.instances:,} instances that serve {cost.rate:,.6g}/s each"
        lines.append(_wrap(f"What a regression costs is reckoned for {fleet}{priced}.", "  "))
    if scenario.stop_early is not None:
        sooner = "a fail or a pass" if scenario.stop_early == "both" else f"a {scenario.stop_early}"
        lines.append(
            _wrap(f"It ends sooner once {sooner} is certain: looked at from 30 % of the soak on, corrected.", "  ")
        )
    return "\n".join(lines)


def _burst(scenario: Scenario) -> list[tuple[str, float, str]]:
    burst = scenario.phases.burst
    if burst is None:
        return []
    more = units.show(burst.rate, "rate") if burst.rate is not None else f"{burst.times:g} times the usual rate"
    return [
        ("burst", burst.length, f"load of {more}, not judged"),
        ("recovery", burst.recovery, "the usual load; judged: is all as it was before?"),
    ]


def _traffic(scenario: Scenario, folder: Path) -> str:
    load, warmup = scenario.load, scenario.phases.warmup_s
    soak = scenario.expected(warmup, scenario.soak_end_s, folder)
    if soak is not None:
        mean = soak / scenario.phases.soak
        text = (
            f"{_offered(load)} whatever the target does: about "
            f"{scenario.expected(0.0, warmup, folder):,.0f} in the warm-up and {soak:,.0f} in the soak. Latency runs "
            f"from the moment that an arrival is due. {_slots(load, mean)} "
            f"A request is failed after {units.duration(load.timeout)}."
        )
    else:
        pace = f", paced to {units.show(load.rate, 'rate')} together" if load.rate is not None else ""
        text = (
            f"{load.users} plain Locust users{pace}. They wait for their answers, so how many requests there will be "
            "depends on the target: a slow one is asked less, and what it would have made others wait is not seen. "
            f"Use `rate` alone unless you want to compare. A request is failed after {units.duration(load.timeout)}."
        )
    lines = [_wrap(text, "", "")]
    if load.churn:
        lines.append(_wrap(f"{units.percent(load.churn)} of the arrivals begin on a new connection.", ""))
    if load.locustfile is not None:
        one = soak is not None
        lines.append(_wrap(f"Each arrival is a task of {load.locustfile}." if one else f"Tasks: {load.locustfile}."))
    for r in load.requests or []:
        lines.append(_row(r.weight / load.total_weight, soak, _asked(r.endpoint, f"{r.method} {r.path}")))
    for j in load.journeys or []:
        lines.append(_row(j.weight / load.total_weight, soak, _told(j)))
    return "\n".join(lines)


def _offered(load: Load) -> str:
    """How arrivals come, as the beginning of a sentence."""
    p, rate = load.pattern, units.show(load.rate or 0.0, "rate")
    if p is None:
        return f"{rate} arrive ({load.arrivals})"
    peak = units.show(p.peak or 0.0, "rate")
    match p.kind:
        case "steps":
            steps = ", ".join(f"{units.show(s.rate, 'rate')} for {units.duration(s.length)}" for s in p.steps or [])
            then = "then again" if p.repeat else "and the last from then on"
            return f"Arrivals come ({load.arrivals}) at {steps}, {then},"
        case "ramp":
            ends = f"{units.show(p.start or 0.0, 'rate')} to {units.show(p.end or 0.0, 'rate')}"
            return f"Arrivals come ({load.arrivals}) at a rate that goes from {ends} in {units.duration(p.over or 0.0)}"
        case "daily":
            period = units.duration(p.period or 86_400.0)
            return f"{rate} arrive ({load.arrivals}) on average, in a wave of {period} up to {peak},"
        case "bursts":
            often = f"{units.duration(p.length or 0.0)} in every {units.duration(p.every or 0.0)}"
            return f"{rate} arrive ({load.arrivals}), and {peak} for {often},"
    return f"Arrivals come as they were recorded in {p.file}{f', {p.speed:g} times as fast,' if p.speed else ''}"


def _slots(load: Load, rate: float) -> str:
    """How far the connections go."""
    thinking = load.thinking[0]
    patience = load.connections / rate if rate else float("inf")
    if thinking and patience < 1.2 * thinking:
        return (
            f"But {load.connections} connections are too few: a journey holds one while its visitor thinks, about "
            f"{units.duration(thinking)}, so {units.show(rate, 'rate')} want {1.5 * rate * thinking:,.0f} or more."
        )
    return (
        f"{load.connections} connections keep up with {'journeys' if thinking else 'answers'} of "
        f"{units.duration(min(patience, 1e6))} on average; beyond that, arrivals wait."
    )


def _row(share: float, soak: float | None, text: str) -> str:
    count = f"{soak * share:>13,.0f}" if soak is not None else ""
    return f"  {units.percent(share):>7}{count}  {_clip(text, count)}"


def _told(journey: Journey) -> str:
    steps = len(journey.calls)
    thinking = journey.thinking[0]
    pause = f", thinks {units.duration(thinking)}" if thinking else ""
    return f"{journey.name}: a journey of {steps} request{'s' * (steps != 1)}{pause}"


def _asked(endpoint: str, call: str) -> str:
    return call if endpoint == call else f"{endpoint}: {call}"


def _clip(text: str, count: str) -> str:
    return textwrap.shorten(text, 80 - 11 - len(count), placeholder="...")


def _criteria(scenario: Scenario, folder: Path) -> str:
    lines = ["It passes if:"]
    for number, criterion in enumerate(scenario.criteria, 1):
        lines.append(_wrap(f"{number}. {criterion.text()}", "  ", "     "))
        lines.append(_wrap(sight(criterion, scenario, folder), "     ", "     "))
    whatever = (
        "Whatever the criteria, a crash, an out-of-memory kill, and growth of memory, stack or latency that "
        "is beyond noise and matters fail the run; a criterion on the same metric decides how much matters."
    )
    lines += ["", _wrap(f"{whatever}{_slowest(scenario)}", "", "")]
    return "\n".join(lines)


def _slowest(scenario: Scenario) -> str:
    """How slow growth of memory may be and still matter, where no criterion says it."""
    if not scenario.target.watched or any(
        c.kind == "growth_below" and c.spec.room == "memory" for c in scenario.criteria
    ):
        return ""
    least, share = units.size(MEMORY_LEAST), units.percent(MEMORY_SHARE)
    rate = units.show_growth(MEMORY_LEAST / scenario.phases.soak, "bytes")
    return (
        f" Growth of memory matters from {least} over the soak ({rate}) and {share} of what is there; to see a slower "
        "one, soak longer."
    )


def _wrap(text: str, first: str = "", rest: str = "    ") -> str:
    return textwrap.fill(text, 80, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
