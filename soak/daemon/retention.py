"""Which run files may go: pure.

Old ones do, unless they are pinned, or are what the next run may be compared with: the last pass of each scenario.
"""

from __future__ import annotations

from collections.abc import Sequence

from soak.daemon.job import Job


def expired(jobs: Sequence[Job], now: float, keep: float) -> list[Job]:
    """Those of `jobs` that ended more than `keep` (s) ago and that nothing holds."""
    needed = {j.baseline for j in jobs if j.state != "ended"}
    last: dict[tuple[str, str | None, str], int] = {}
    for job in jobs:
        if job.verdict == "pass":
            key = (job.request.name, job.load, job.request.scenario if job.request.uploaded else "")
            last[key] = max(last.get(key, 0), job.id)
    held = needed | set(last.values())
    return [
        j for j in jobs
        if j.ended_at is not None and now - j.ended_at > keep and j.run_file is not None and not j.pinned
        and j.id not in held
    ]  # fmt: skip
