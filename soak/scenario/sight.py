"""What a criterion can see in a scenario, before anything has run: counts, lengths and the size of noise.

A criterion that cannot be settled costs a night and says "inconclusive" in the morning; most of that can
be computed beforehand from rate, mix and length.
"""

from __future__ import annotations

import math
from pathlib import Path

from soak.core import units
from soak.core.criterion import HEALTHY, Criterion
from soak.core.metrics import QUANTILES, TREND_WINDOWS, WANTED
from soak.core.scenario import Scenario

_SMOKE_S = 600.0
"""A shorter soak can show a steep growth, but seldom that there is none."""

MIN_PAIRS = 5
"""Pairs of windows: a ratio from fewer has no interval."""
_RATIO_WINDOWS = 30
MIN_WINDOWS = 8
"""Of allocations: a trend through fewer says nothing."""
INSIDE = (
    "memory.live", "memory.free_in_heap", "memory.fragmentation", "memory.pymalloc_slack", "memory.retained",
    "stack.depth",
)  # fmt: skip
"""Metrics that nobody sees from outside."""

_NOISE_SHARE = {"memory": 0.02, "latency": 0.03, "service": 0.03}
_OTHER_NOISE_SHARE = 0.02
"""What a healthy process wanders by itself, as a share of the level."""


def sight(criterion: Criterion, scenario: Scenario, folder: Path = Path()) -> str:
    """What this criterion will be able to tell, in a sentence or two with the numbers of the scenario."""
    text = _sight(criterion, scenario, folder)
    if scenario.load.locustfile is None or not scenario.load.open_model or not criterion.spec.per_endpoint:
        return text
    return f"{text} Each endpoint of a locustfile has only its own share of them, and is judged by that."


def _sight(criterion: Criterion, scenario: Scenario, folder: Path) -> str:
    room, _, quantile = criterion.metric.partition(".")
    if criterion.against_reference:
        return _ratio(criterion, scenario, folder, quantile)
    if criterion.metric == "memory.idle":
        return f"Measured in the second half of the {units.duration(scenario.phases.idle_before)} before the load."
    if criterion.metric == "artefact.size":
        return f"{scenario.target.artefact} is measured when the run starts."
    if room in ("latency", "service") and quantile in QUANTILES:
        return _percentile(criterion, scenario, folder, quantile)
    if room == "allocations":
        return _allocations(criterion, scenario)
    if criterion.kind == "growth_below":
        return _size(criterion, scenario) + _by_whom(criterion)
    if room == "errors":
        return _errors(criterion, scenario, folder)
    if criterion.metric == "throughput.rate":
        return _throughput(criterion, scenario, folder)
    return _level(criterion, scenario)


def _ratio(criterion: Criterion, scenario: Scenario, folder: Path, quantile: str) -> str:
    """Which windows are compared, and how many there will be."""
    room, whole = criterion.spec.room, "Candidate and reference are compared"
    if scenario.earlier is not None:
        files = scenario.earlier.files
        noise = "their own spread is" if len(files) > 2 else "what runs differ by, measured or assumed, is"
        return f"Held against {len(files)} earlier run{'s' * (len(files) != 1)}: {noise} the noise to be beyond."
    if criterion.metric in ("memory.idle", "artefact.size"):
        return f"{whole} once a run."
    if room == "allocations":
        return f"{whole} by the close looks into both, two or more."
    if room not in ("latency", "service"):
        return f"{whole} over the same windows of the soak; it fails only if all of its interval misses the limit."
    count = requests(criterion, scenario, folder)
    if count is None:
        return f"{whole} window by window; how many windows depends on the target."
    windows = min(60, int(count // WANTED[quantile]))
    if windows < _RATIO_WINDOWS:
        windows = min(_RATIO_WINDOWS, int(count // max(bounding(quantile), 1)))
    if windows < MIN_PAIRS:
        longer = units.duration(scenario.phases.soak * bounding(quantile) * MIN_PAIRS / count)
        return (
            f"About {_number(count)} requests{_who(criterion, scenario)} are too few to compare a {quantile}: likely "
            f"inconclusive. It wants a soak of {longer} or more."
        )
    return f"{whole} in {windows} windows of about {_number(count / windows)} requests{_who(criterion, scenario)} each."


def requests(criterion: Criterion, scenario: Scenario, folder: Path) -> float | None:
    """Requests in the soak phase for the endpoint, or for the rarest; None if the target decides it."""
    total = scenario.expected(scenario.phases.warmup_s, scenario.soak_end_s, folder)
    if total is None:
        return None
    shares = scenario.load.per_arrival
    if not shares:
        return total
    share = min(shares.values()) if criterion.endpoint is None else shares[criterion.endpoint]
    return max(total * share, 1e-9)


def bounding(quantile: str) -> int:
    """Requests from which on a percentile has an upper bound with 95 % confidence: q^n < 2.5 %.

    Order statistics: fewer, and even the slowest of them may lie below the percentile.
    """
    share = QUANTILES[quantile] / 100
    return 1 if share >= 1 else math.ceil(math.log(0.025) / math.log(share))


def _percentile(criterion: Criterion, scenario: Scenario, folder: Path, quantile: str) -> str:
    soak, count = scenario.phases.soak, requests(criterion, scenario, folder)
    growth = criterion.kind == "growth_below"
    wanted = WANTED[quantile] * (TREND_WINDOWS if growth else 1)
    least = bounding(quantile)
    if count is None:
        rate = wanted / (criterion.over or soak)
        return (
            f"How many requests there will be depends on the target. A {quantile} wants {wanted:,}"
            f"{_in_window(criterion)}, that is {units.show(rate, 'rate')} or more of each endpoint."
        )
    who = _who(criterion, scenario)
    if growth:
        return _drift(criterion, scenario, quantile, count, who)
    if quantile == "max":
        return f"About {_number(count)} requests{who}; the slowest single one decides."
    here = count if criterion.over is None else count * criterion.over / soak
    have = f"About {_number(here)} requests{who}{_in_window(criterion)}"
    if here < least:
        longer = units.duration((criterion.over or soak) * wanted / here)
        what = "windows" if criterion.over is not None else "a soak"
        return (
            f"{have}: too few, a {quantile} has no upper bound before {least:,} and is steady from {wanted:,}. "
            f"It will be inconclusive; it wants {what} of {longer}, or a higher rate."
        )
    if here < wanted:
        return (
            f"{have}: enough for a rough {quantile}; one near the limit will be inconclusive. "
            f"It is steady from {wanted:,} on."
        )
    return f"{have}: enough, a {quantile} wants {wanted:,}."


def _drift(criterion: Criterion, scenario: Scenario, quantile: str, count: float, who: str) -> str:
    soak, each = scenario.phases.soak, WANTED[quantile]
    windows = int(count // each)
    if windows < TREND_WINDOWS:
        longer = units.duration(soak * each * TREND_WINDOWS / count)
        head = "not one window" if windows < 1 else "1 window" if windows == 1 else f"{windows} windows"
        return (
            f"About {_number(count)} requests{who} make {head} of the {each:,} that a {quantile} wants, and a trend "
            f"wants {TREND_WINDOWS}. Likely inconclusive unless the drift is gross; soak for {longer} or more."
        )
    windows = min(windows, 60)
    head = f"{windows} windows of about {_number(count / windows)} requests{who} each show the trend. "
    return head + _size(criterion, scenario)


def _size(criterion: Criterion, scenario: Scenario) -> str:
    """The growth that the limit allows over this soak, beside what noise hides."""
    limit, soak = criterion.limit, scenario.phases.soak
    allowed = limit.value if limit.per is None else limit.per_second * soak
    relative = limit.dimension == "ratio"
    noise = _NOISE_SHARE.get(criterion.spec.room, _OTHER_NOISE_SHARE) if relative else HEALTHY[limit.dimension]
    shown, hidden = units.show(allowed, limit.dimension), units.show(noise, limit.dimension)
    text = f"Over {units.duration(soak)} the limit allows {shown}"
    if allowed >= noise:
        text += f"; noise of about {hidden} does not hide that."
        if soak < _SMOKE_S:
            text += (
                f" But {units.duration(soak)} is a smoke test: it shows a steep growth, seldom that there is none. "
                f"Soak for {units.duration(_SMOKE_S)} at the very least."
            )
        return text
    text += f", less than the {hidden} or so that a healthy process wanders by itself. Likely inconclusive"
    if limit.per is not None and limit.value > 0:
        return f"{text}; soak for {units.duration(noise / limit.per_second)} or more."
    return f"{text}, however long the soak: allow more, or give a limit by the hour."


def _errors(criterion: Criterion, scenario: Scenario, folder: Path) -> str:
    count, limit = requests(criterion, scenario, folder), criterion.limit.value
    if criterion.kind == "above" or limit <= 0:
        return "Judged on every arrival of the soak."
    # Wilson's interval with no failure at all ends at z^2 / (n + z^2), z = 1.96
    needed = math.ceil(3.84 * (1 - min(limit, 0.999)) / limit)
    soak = criterion.over or scenario.phases.soak
    if count is None:
        rate = units.show(needed / soak, "rate")
        return f"{needed:,} arrivals without a failure{_in_window(criterion)} show it: {rate} or more is enough."
    here = count if criterion.over is None else count * criterion.over / scenario.phases.soak
    have = f"About {_number(here)} arrivals{_who(criterion, scenario)}{_in_window(criterion)}"
    if here < needed:
        what = "windows" if criterion.over is not None else "a soak"
        return (
            f"{have}: even without one failure that cannot show a ratio below {units.percent(limit)}, which takes "
            f"{needed:,}. It will be inconclusive; it wants {what} of {units.duration(soak * needed / here)}."
        )
    return f"{have}: enough, {needed:,} without a failure show it; {_number(here * limit)} failures miss it."


def _throughput(criterion: Criterion, scenario: Scenario, folder: Path) -> str:
    count, limit = requests(criterion, scenario, folder), criterion.limit.value
    if scenario.load.locustfile is not None or count is None:
        return "Requests done a second: what users and target make of it."
    offered = (scenario.expected(scenario.phases.warmup_s, scenario.soak_end_s, folder) or 0.0) / scenario.phases.soak
    if criterion.kind == "above" and limit >= offered:
        return f"It cannot pass: only {units.show(offered, 'rate')} are offered."
    return f"{units.show(offered, 'rate')} are offered."


def _allocations(criterion: Criterion, scenario: Scenario) -> str:
    window = scenario.probe.window
    if window is None:
        return "Never seen: probe.allocations is false."
    windows = 2 + int(scenario.phases.soak / window.every) if window.every else 2
    text = f"{windows} windows of {units.duration(scenario.inspection_s)} in a Python target with an agent"
    if criterion.kind != "growth_below":
        return f"{text}; every one of them must hold."
    if windows < MIN_WINDOWS:
        return f"{text}: a trend needs {MIN_WINDOWS}. Set probe.allocations.every."
    return f"{text}."


def _by_whom(criterion: Criterion) -> str:
    """What only somebody inside can tell."""
    if criterion.metric not in INSIDE:
        return ""
    return " Seen from inside only: by an agent in Python, or at a door of the target's own."


def _level(criterion: Criterion, scenario: Scenario) -> str:
    length = criterion.over or scenario.phases.soak
    pace = scenario.allocator_s if criterion.metric in INSIDE else scenario.probe.every
    looks = length / pace
    few = " That is few: look more often, or longer." if looks < 24 else ""
    if criterion.metric.startswith(("stack.h", "memory.peak")):
        mark = "A high-water mark: it never sinks, so one deep request of the whole life of the process counts. "
        return mark + f"About {_number(looks)} looks{_in_window(criterion)}.{few}"
    if criterion.spec.room == "generator":
        return f"The instrument's own health{_in_window(criterion)}."
    return f"About {_number(looks)} looks{_in_window(criterion)}.{few}{_by_whom(criterion)}"


def _in_window(criterion: Criterion) -> str:
    return f" in each {units.duration(criterion.over)}" if criterion.over is not None else ""


def _who(criterion: Criterion, scenario: Scenario) -> str:
    if scenario.load.locustfile is not None:
        return " of all endpoints together"
    shares = scenario.load.per_arrival
    if criterion.endpoint is not None or len(shares) < 2:
        return ""
    return f" of {min(shares, key=shares.__getitem__)} (the rarest)"


def _number(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 else f"{count:.2g}"
