"""`soak check` in plain words: what would run, for how long, and what each criterion could see in it."""

from __future__ import annotations

import textwrap

from soak.core import units
from soak.core.scenario import Scenario, Target
from soak.scenario.sight import sight


def explain(scenario: Scenario) -> str:
    """The scenario as a person would tell it, in 80 columns."""
    blocks = [_targets(scenario), _time(scenario), _traffic(scenario), _criteria(scenario)]
    return "\n\n".join(blocks)


def _targets(scenario: Scenario) -> str:
    lines = [scenario.name]
    for side, target in scenario.sides.items():
        lines.append(_wrap(f"{side}: load goes to {target.url}; {_watched(target)}.", "  "))
    if scenario.reference is not None:
        lines.append(_wrap("Both sides get the very same arrivals at the same time.", "  "))
    if scenario.target.watched:
        lines.append(_wrap(f"Processes are looked at every {units.duration(scenario.probe.every)}.", "  "))
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
    total = p.idle_before + scenario.load_s + p.idle_after
    rows = [
        ("idle before", p.idle_before, "no load: the process at rest"),
        ("warm-up", p.warmup_s, "load, not judged"),
        ("soak", p.soak, "load, judged"),
        ("drain", scenario.drain_s, "at most: requests in flight come back"),
        ("idle after", p.idle_after, "no load: what comes back by itself"),
    ]
    lines = [f"It takes about {units.duration(total)}:"]
    lines += [f"  {name:12}{units.duration(length):>12}  {what}" for name, length, what in rows if length]
    return "\n".join(lines)


def _traffic(scenario: Scenario) -> str:
    load, soak = scenario.load, scenario.phases.soak
    rate = load.rate if load.open_model else None
    if rate is not None:
        patience = units.duration(load.connections / rate)
        text = (
            f"{units.show(rate, 'rate')} arrive ({load.arrivals}) whatever the target does: about "
            f"{rate * scenario.phases.warmup_s:,.0f} in the warm-up and {rate * soak:,.0f} in the soak. Latency runs "
            f"from the moment that an arrival is due. {load.connections} connections keep up with answers of "
            f"{patience} on average; beyond that, arrivals wait. "
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
    if load.locustfile is not None:
        lines.append(_wrap(f"Each arrival is a task of {load.locustfile}." if rate else f"Tasks: {load.locustfile}."))
    total = sum(r.weight for r in load.requests or [])
    for r in load.requests or []:
        share = r.weight / total
        count = f"{rate * soak * share:>13,.0f}" if rate is not None else ""
        lines.append(f"  {units.percent(share):>7}{count}  {_clip(_asked(r.endpoint, f'{r.method} {r.path}'), count)}")
    return "\n".join(lines)


def _asked(endpoint: str, call: str) -> str:
    return call if endpoint == call else f"{endpoint}: {call}"


def _clip(text: str, count: str) -> str:
    return textwrap.shorten(text, 80 - 11 - len(count), placeholder="...")


def _criteria(scenario: Scenario) -> str:
    lines = ["It passes if:"]
    for number, criterion in enumerate(scenario.criteria, 1):
        lines.append(_wrap(f"{number}. {criterion.text()}", "  ", "     "))
        lines.append(_wrap(sight(criterion, scenario), "     ", "     "))
    lines.append("")
    lines.append(
        _wrap(
            "Whatever the criteria, a crash, an out-of-memory kill, and growth of memory, stack or latency that "
            "is beyond noise and matters fail the run; a criterion on the same metric decides how much matters.",
            "",
            "",
        )
    )
    return "\n".join(lines)


def _wrap(text: str, first: str = "", rest: str = "    ") -> str:
    return textwrap.fill(text, 80, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
