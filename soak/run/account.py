"""Closing the account of arrivals: the schedule is counted again, apart from the workers' own count."""

from __future__ import annotations

from pathlib import Path

from soak.core.records import Event, Tally
from soak.core.scenario import Scenario
from soak.load import Fleet, schedule_of
from soak.runfile import RunWriter, read


def close_account(
    writer: RunWriter, run_file: Path, scenario: Scenario, fleet: Fleet, begin: float, until: float
) -> None:
    """Write how many arrivals the schedule held between `begin` and `until` (s since the start of the run).

    A worker that died can no longer say what became of its share: what it had not reported is lost.
    """
    schedule = schedule_of(scenario)
    if schedule is None:
        return
    span = until - begin
    arrivals = schedule.count(span)
    writer.add_event(
        Event(
            until,
            "schedule",
            fleet.side,
            "arrivals scheduled",
            {"arrivals": arrivals, "begin": begin, "until": until},
        )
    )
    reported = read(run_file).sides[fleet.side].tallies
    for name in fleet.dead_workers():
        mine = [y for y in reported if y.worker == name]
        told = sum(y.done + y.failed + y.unserved + y.lost for y in mine)
        fell_due = sum(y.scheduled for y in mine)
        share = schedule.count(span, fleet.index_of(name), scenario.load.workers)
        start = max((y.start + y.length for y in mine), default=begin)
        writer.add_report(
            Tally(
                side=fleet.side,
                worker=name,
                sequence=max((y.sequence for y in mine), default=0) + 1,
                start=start,
                length=max(0.0, until - start),
                scheduled=share - fell_due,
                done=0,
                failed=0,
                unserved=0,
                lost=share - told,
                no_slot=0,
                lag_p99=0.0,
                lag_max=0.0,
                wake_p99=0.0,
                wake_max=0.0,
                cpu=0.0,
                rss=0,
                in_flight=0,
            ),
            [],
        )
