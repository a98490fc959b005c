"""Closing the account of arrivals: the schedule is counted again, apart from the workers' own count."""

from __future__ import annotations

from pathlib import Path

from soak.core.records import Event, Recording, Tally
from soak.core.scenario import Scenario
from soak.load import Fleet, Part, schedule_of, told_parts
from soak.runfile import RunWriter, read


def close_account(
    writer: RunWriter, run_file: Path, scenario: Scenario, folder: Path, fleet: Fleet, begin: float, until: float
) -> None:
    """Write how many arrivals the workers' shares of the schedule held from `begin` on (s since the start of the run).

    The schedule ended at `until`, or for a worker that heard of an early end too late, when that worker says it
    did; likewise each worker's share is the one that it says it followed. A worker that gave no final report can no
    longer say what became of its share: what it had not reported is lost.
    """
    schedule = schedule_of(scenario, folder, fleet.side)
    if schedule is None:
        return
    total, shares = 0, fleet.shares()
    silent = any(ended is None for ended, _ in shares.values())
    reported = read(run_file).sides[fleet.side].tallies if silent else ()  # all of a run of days is much to read
    for name, (ended, parts) in shares.items():
        end = max(begin, ended if ended is not None else until)
        share = schedule.count(end - begin, parts)
        total += share
        if ended is None:
            mine = [y for y in reported if y.worker == name]
            rest = share - sum(_told(y) for y in mine)
            writer.add_report(
                _lost(fleet.side, name, mine, share, rest, begin + fleet.plan.since, _last(parts, begin, end)), []
            )
    whole = schedule.count(max(0.0, until - begin)) - schedule.count(fleet.plan.since)
    data = {"arrivals": total, "begin": begin, "until": until, "schedule": whole}
    text = "arrivals scheduled"
    if total != whole:
        text += f"; of the schedule's own {whole:,} some were nobody's, or two workers', while the rate was split anew"
    writer.add_event(Event(until, "schedule", fleet.side, text, data))


def close_past(writer: RunWriter, recording: Recording, folder: Path, begin: float, upto: float) -> None:
    """Close the accounts of a run that was cut off: its schedule began at `begin`, and is over at `upto` (s of it).

    Who had which share is what the workers were told. What one of them has not reported is lost, sent or not.
    """
    for side, data in recording.sides.items():
        schedule = schedule_of(recording.scenario, folder, side)
        events = [e for e in recording.events if e.side in (side, None)]
        last = max((i for i, e in enumerate(events) if e.kind == "resumed"), default=-1)
        if schedule is None or any(e.kind == "schedule" for e in events[last + 1 :]):
            continue
        splits = [
            (float(str(e.data["at"])), dict(e.data["shares"]))  # type: ignore[call-overload]
            for e in events[last + 1 :]
            if e.kind == "split"
        ]
        since, total = (splits[0][0] if splits else upto), 0
        for name in sorted({name for _, shares in splits for name in shares}):
            mine = [y for y in data.tallies if y.worker == name]
            told, parts = sum(_told(y) for y in mine), told_parts(name, splits)
            share = schedule.count(upto, parts)
            rest = max(0, share - told)  # one that heard of a split too late may have done more
            total += told + rest
            if rest:
                writer.add_report(_lost(side, name, mine, share, rest, begin + since, begin + upto), [])
        whole = schedule.count(upto) - schedule.count(since)
        account = {"arrivals": total, "begin": begin, "until": begin + upto, "schedule": whole}
        writer.add_event(Event(begin + upto, "schedule", side, "arrivals scheduled until the run was cut off", account))


def _told(y: Tally) -> int:
    return y.done + y.failed + y.unserved + y.lost


def _last(parts: list[Part], begin: float, end: float) -> float:
    """When a worker's last share ended (s since the start of the run)."""
    return min(end, begin + parts[-1].at) if parts and not parts[-1].of else end


def _lost(side: str, worker: str, told: list[Tally], share: int, rest: int, begin: float, end: float) -> Tally:
    """The `rest` of a worker's share of which it never told anything."""
    start = max((y.start + y.length for y in told), default=begin)
    return Tally(
        side=side,
        worker=worker,
        sequence=max((y.sequence for y in told), default=0) + 1,
        start=start,
        length=max(0.0, end - start),
        scheduled=max(0, share - sum(y.scheduled for y in told)),
        done=0,
        failed=0,
        unserved=0,
        lost=rest,
        no_slot=0,
        lag_p99=0.0,
        lag_max=0.0,
        wake_p99=0.0,
        wake_max=0.0,
        cpu=0.0,
        rss=0,
        in_flight=0,
    )
