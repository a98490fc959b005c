"""The table that `make chaos` prints, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.chaos.plan import INJECTIONS, VICTIMS
from benchmarks.chaos.promises import PROMISES, Broken
from benchmarks.chaos.story import Run, Story

_RESULTS = ("pass", "fail", "inconclusive", "invalid")
Found = Sequence[tuple[Story, list[Broken]]]


def table(found: Found, seed: int, seconds: float) -> str:
    """Markdown: a row for each victim, one for each injection, and what was broken in all.

    A run counts in the row of each victim that it had, once: so the verdicts of the rows are more than the runs.
    """
    lines = [
        "| what | times | runs | " + " | ".join(_RESULTS) + " | no verdict | resumed |",
        "|---|---|---|" + "---|" * (len(_RESULTS) + 2),
    ]
    for what in (*VICTIMS, *INJECTIONS):
        times = sum(story.kills.count(what) if what in VICTIMS else story.kind == what for story, _ in found)
        if times:
            runs = [run for story, _ in found for run in story.runs if any(h.victim == what for h in run.hits)]
            verdicts = Counter(run.verdict or "none" for run in runs)
            cells = [what, times, len(runs), *(verdicts[r] for r in _RESULTS), verdicts["none"]]
            lines.append(_row(*cells, sum(run.lives > 1 for run in runs)))
    kills = sum(len(story.kills) for story, _ in found)
    runs = [run for story, _ in found for run in story.runs]
    faults = Counter(one.promise for _, some in found for one in some)
    acknowledged = sum(len(run.told) for run in runs)
    return "\n".join(
        [
            *lines,
            "",
            f"{kills} kills and {sum(story.kind in INJECTIONS for story, _ in found)} injections in {len(runs)} runs, "
            f"seed {seed}, {seconds / 60:.0f} min; {sum(len(run.seen) for run in runs):,} reports were seen in a file "
            f"before a kill, {acknowledged:,} were acknowledged to a witness.",
            "",
            f"Acknowledged intervals lost: {faults['lost']} · corrupt files: {faults['corrupt']} · "
            f"orphans: {faults['orphan']} · gaps that no verdict tells: {faults['untold']}",
        ]
    )


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) if cell != 0 else '·' for cell in cells)} |"


def as_json(found: Found, seed: int) -> dict[str, Any]:
    """Every trial: who was killed in which phase, how its runs ended, and what was broken."""
    return {
        "seed": seed,
        "kills": sum(len(story.kills) for story, _ in found),
        "broken": {p: sum(one.promise == p for _, some in found for one in some) for p in PROMISES},
        "trials": [
            {
                "number": story.number,
                "kind": story.kind,
                "kills": story.kills,
                "broken": [f"{one.promise}: {one.words}" for one in some],
                "runs": [_run(run) for run in story.runs],
            }
            for story, some in found
        ],
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "verdict": run.verdict,
        "exit_code": run.code,
        "lives": run.lives,
        "hits": [{"victim": h.victim, "phase": h.phase, "t": h.t} for h in run.hits],
        "acknowledged": len(run.told),
        "seen": len(run.seen),
    }
