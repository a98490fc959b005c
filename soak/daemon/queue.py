"""Which job may start next: pure functions of what is queued and what runs.

One run at a time on a target, because two would measure each other; a job whose target is busy lets those behind it
pass. Among those that may start, the highest priority is first, then the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence

from soak.daemon.job import Job


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """The queued ones, as they will be looked at."""
    return sorted((j for j in jobs if j.state == "queued"), key=lambda j: (-j.request.priority, j.id))


def startable(jobs: Sequence[Job], parallel: int) -> list[Job]:
    """Those that may start now, first things first, with at most `parallel` running afterwards."""
    running = [j for j in jobs if j.state == "running"]
    busy = {key for j in running for key in j.request.targets}
    found: list[Job] = []
    for job in in_order(jobs):
        if len(running) + len(found) >= parallel:
            break
        if busy.isdisjoint(job.request.targets):
            found.append(job)
            busy.update(job.request.targets)
    return found


def waits_for(job: Job, jobs: Sequence[Job], parallel: int) -> str | None:
    """Why a queued job does not run yet, in words; None where nothing but its turn is missing."""
    running = [j for j in jobs if j.state == "running"]
    for other in running:
        if shared := sorted(set(job.request.targets) & set(other.request.targets)):
            return f"run {other.id} loads {shared[0]}"
    if len(running) >= parallel:
        return f"{len(running)} of {parallel} runs go on already"
    ahead = [j.id for j in in_order(jobs)]
    return f"run {ahead[0]} is first" if job.id in ahead and ahead[0] != job.id else None
