"""How often the judge is right: `python -m benchmarks.accuracy [--quick] [--json FILE]`.

Series whose truth is known are judged by soak and by others. Seeds are fixed: two runs of one version print the same.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections import Counter
from typing import Any

from benchmarks.accuracy import eta, live, pairs, peers, tables, verdicts
from benchmarks.accuracy.family import POINTS
from benchmarks.accuracy.figures import plain
from benchmarks.accuracy.sets import SEEDS, SEEDS_QUICK, SETS
from benchmarks.outcome import add_options, machine, put
from benchmarks.processes import ROOT

RUNS, RUNS_QUICK = 100, 4
WORKERS = 2


def main() -> None:
    """Measure, print, and write the figures down."""
    arguments = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the cases: within a minute, wide intervals")
    add_options(arguments)
    options = arguments.parse_args()
    quick: bool = options.quick
    began = time.monotonic()
    figures: dict[str, Any] = {"points": POINTS, "quick": quick, "not_installed": peers.missing()}
    for package in peers.missing():
        print(f"{package} is not installed: its columns are missing\n")
    shown: list[str] = []
    with multiprocessing.get_context("spawn").Pool(WORKERS) as pool:
        runs = []
        for name in SETS:
            found = verdicts.outcomes(pool, name, SEEDS_QUICK if quick else SEEDS)
            figures[name] = _verdicts(f"Verdicts, {name} families", found, shown)
            runs.append((name, verdicts.runs(pool, name, RUNS_QUICK if quick else RUNS)))
            figures[name]["runs"] = runs[-1][1]
        figures["recorded"] = _verdicts("Verdicts, recorded processes", verdicts.recorded_outcomes(pool), shown)
        _show(shown, f"Runs of {verdicts.SERIES_OF_A_RUN} healthy series", tables.runs_table(runs))
        detected = live.detections(pool, live.SEEDS_QUICK if quick else live.SEEDS)
        _show(shown, "A leak that reaches its limit in 24 h, by looks at the run", tables.detection_table(detected))
        peeked = live.peeking(pool, live.SEEDS_QUICK if quick else live.SEEDS)
        _show(shown, "Looks at what is healthy", tables.peeking_table(peeked))
        beside = pairs.pairs(pool, pairs.SEEDS_QUICK if quick else pairs.SEEDS)
        _show(shown, "With a reference", tables.pairs_table(beside))
        covered = eta.coverage(pool, eta.SEEDS_QUICK if quick else eta.SEEDS)
        _show(shown, f"Time left to {eta.LIMIT:g} times the level", tables.coverage_table(covered))
    figures |= {"detection": detected, "peeking": peeked, "reference": beside, "eta": covered}
    if options.json is not None:
        options.json.write_text(json.dumps(plain(figures), indent=1, allow_nan=False) + "\n")
    if options.docs:
        put(ROOT / "docs" / "accuracy.md", "accuracy", f"{machine()}:\n\n" + "\n".join(shown).strip())
    print(f"in {time.monotonic() - began:.0f} s")


def _verdicts(title: str, found: list[verdicts.Outcome], shown: list[str]) -> dict[str, Any]:
    totals = verdicts.totals(found)
    _show(shown, title, tables.totals_table(totals), "", tables.families_table(found))
    return {"totals": totals, "families": _counts(found)}


def _counts(found: list[verdicts.Outcome]) -> dict[str, dict[str, Any]]:
    names: dict[str, dict[str, Any]] = {}
    for outcome in found:
        line = names.setdefault(outcome.family, {"truth": outcome.truth, "soak": Counter(), "others": Counter()})
        line["soak"][outcome.verdict] += 1
        line["others"].update(method for method, finds in outcome.others.items() if finds)
    return names


def _show(shown: list[str], title: str, *parts: str) -> None:
    text = "\n".join([f"### {title}\n", *parts, ""])
    print(text, flush=True)
    shown.append(text)


if __name__ == "__main__":
    main()
