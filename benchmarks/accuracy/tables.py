"""The figures as markdown tables: what `make accuracy` prints, and docs/accuracy.md shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.accuracy.eta import Coverage
from benchmarks.accuracy.live import Detection, Peeking
from benchmarks.accuracy.pairs import Pairs
from benchmarks.accuracy.rates import rate
from benchmarks.accuracy.verdicts import Outcome, Runs, Totals


def totals_table(lines: Sequence[Totals]) -> str:
    """One line a method."""
    head = (
        "method", "precision", "recall: sick that FAIL", "false alarms: healthy that FAIL", "sick that PASS",
        "healthy INCONCLUSIVE", "sick INCONCLUSIVE",
    )  # fmt: skip
    rows = [
        (t.method, t.precision, t.recall, t.false_alarms, t.passed_sick, t.unsure_healthy, t.unsure_sick) for t in lines
    ]
    return _table(head, rows)


def families_table(found: Sequence[Outcome]) -> str:
    """One line a family: verdicts of soak in per cent, and how often each of the others finds growth."""
    others = list(found[0].others)
    rows = []
    for name in dict.fromkeys(o.family for o in found):
        of = [o for o in found if o.family == name]
        shares = [f"{100 * rate(o.verdict == v for o in of).share:.0f}" for v in ("fail", "pass", "inconclusive")]
        beside = [f"{100 * rate(o.others[method] for o in of).share:.0f}" for method in others]
        right = {"sick": "fail", "healthy": "pass"}.get(of[0].truth)
        interval = rate(o.verdict == "fail" for o in of) if right is None else rate(o.verdict == right for o in of)
        rows.append((of[0].truth, name, len(of), *shares, interval, *beside))
    rows.sort(key=lambda row: ("healthy", "sick", "ambiguous").index(str(row[0])))
    return _table(("truth", "family", "n", "FAIL %", "PASS %", "INC. %", "right *", *others), rows)


def runs_table(lines: Iterable[tuple[str, Runs]]) -> str:
    """One line a set."""
    head = (
        "set", "healthy runs with a false alarm", "without the correction", "healthy series that FAIL",
        "one sick series among them found", "found alone",
    )  # fmt: skip
    rows = [(name, r.corrected, r.uncorrected, r.series_failed, r.found, r.found_alone) for name, r in lines]
    return _table(head, rows)


def detection_table(lines: Sequence[Detection]) -> str:
    """One line a planned length of the run."""
    head = (
        "run", "growth over it", "found by its end", "found within 5 % of the time to the limit",
        "half of all found after", "nine in ten found after",
    )  # fmt: skip
    rows = [
        (f"{d.hours:g} h", f"{100 * d.hours / 24:.1f} %", d.found, d.within_5, _share(d.median), _share(d.ninth))
        for d in lines
    ]
    return _table(head, rows)


def peeking_table(lines: Sequence[Peeking]) -> str:
    """One line a kind of noise."""
    head = ("healthy", "FAIL at any look, spending", "FAIL at any look, 5 % at each")
    return _table(head, [(p.family, p.spending, p.uncorrected) for p in lines])


def pairs_table(lines: Sequence[Pairs]) -> str:
    """One line a nuisance and growth."""
    head = ("shared nuisance", "growth", "alone: FAIL", "PASS", "INC.", "with reference: FAIL", "PASS", "INC.")
    rows = [
        (p.nuisance, f"{100 * p.growth:.0f} %", *(side[v] for side in (p.alone, p.beside) for v in side)) for p in lines
    ]
    return _table(head, rows)


def coverage_table(lines: Sequence[Coverage]) -> str:
    """One line a noise and slope."""
    head = ("AR rho", "growth over the run", "FAIL", "interval holds the truth", "late end by early end")
    return _table(head, [(c.rho, f"{100 * c.growth:.0f} %", c.failed, c.held, f"{c.width:.2f}") for c in lines])


def _share(value: float) -> str:
    return f"{100 * value:.1f} % of it" if math.isfinite(value) else "not found"


def _table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    body = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(line[i]) for line in body) for i in range(len(head))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in body]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
