"""Which job may start next: pure functions of what is queued and what runs.

One run at a time on a target, because two would measure each other; a job whose target is busy lets those behind it
pass, but not to its own targets: one that needs two of them would else wait for as long as others come. Among those
that may start, one that was cut off is first, since its gap grows; then the highest priority, then the oldest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from soak.daemon.job import Job


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """The queued ones, as they will be looked at."""
    return sorted(
        (j for j in jobs if j.state == "queued"),
        key=lambda j: turn(j.id, j.request.priority, cut_off=j.run_file is not None),
    )


def turn(number: int, priority: int, *, cut_off: bool) -> tuple[bool, int, int]:
    """Where a queued job stands among the others: the lower, the sooner."""
    return not cut_off, -priority, number


def startable(jobs: Sequence[Job], parallel: int, pausing: Collection[int] = ()) -> list[Job]:
    """Those that may start now, first things first, with at most `parallel` running afterwards.

    Those in `pausing` (by number) are not started yet, and keep their place and their targets.
    """
    running = [j for j in jobs if j.state == "running"]
    busy = {key for j in running for key in j.request.targets}
    taken: list[Job] = []
    for job in in_order(jobs):
        if len(running) + len(taken) >= parallel:
            break
        if busy.isdisjoint(job.request.targets):
            taken.append(job)
        busy.update(job.request.targets)
    return [job for job in taken if job.id not in pausing]


def waiting(jobs: Sequence[Job], parallel: int) -> dict[int, str]:
    """Why each queued job does not run yet, in words, by its number; the next one has none but its turn."""
    running = [j for j in jobs if j.state == "running"]
    loads = {key: j.id for j in running for key in j.request.targets}
    found: dict[int, str] = {}
    kept: dict[str, int] = {}
    first: int | None = None
    for job in in_order(jobs):
        first = first or job.id
        shared = next((key for key in job.request.targets if key in loads), None)
        if shared is not None:
            found[job.id] = f"run {loads[shared]} loads {shared}"
        elif len(running) >= parallel:
            found[job.id] = f"{len(running)} of {parallel} runs go on already"
        elif job.id != first:
            found[job.id] = f"run {next((kept[key] for key in job.request.targets if key in kept), first)} is first"
        kept |= {key: job.id for key in job.request.targets if key not in kept}
    return found
