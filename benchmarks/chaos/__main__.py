"""Kill what a run is made of, at random, and hold the run to its promises: `python -m benchmarks.chaos`.

Prints one table (see docs/chaos.md); the exit code is 1 when a promise was broken. A trial can be done again by its
seed and number (`--only`); which moment of a run a kill hits depends on the machine too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from benchmarks.chaos.direct import Direct
from benchmarks.chaos.injections import Injected
from benchmarks.chaos.plan import INJECTIONS, Injection, Trial, trial, trials
from benchmarks.chaos.promises import Broken, broken
from benchmarks.chaos.served import Served
from benchmarks.chaos.stage import Stage, StuckError
from benchmarks.chaos.story import Story
from benchmarks.chaos.table import as_json, table
from benchmarks.processes import MissingError

Told = tuple[Story, list[Broken]]
_KILLS = 2
"""So many a trial has at least, but for victims that are gone before."""


def play(what: Trial | Injection, folder: Path) -> Told:
    """One trial or injection, and what it broke. Its folder is kept where it broke something."""
    name = what if isinstance(what, str) else f"{what.number:03d}-{what.kind}"
    place = folder / name.replace(" ", "-")
    with Stage(place, str(place)) as stage:
        actor = _actor(what, stage)
        try:
            story = actor.play()
        except StuckError as error:
            story = actor.story
            story.stuck = str(error)
        found = broken(story)
    if not found:
        shutil.rmtree(place, ignore_errors=True)
    kills = ", ".join(story.kills) or "nobody"
    verdicts = ", ".join(run.verdict or "none" for run in story.runs)
    sys.stderr.write(f"{name}: killed {kills}; verdict: {verdicts}\n")
    for one in found:
        sys.stderr.write(f"  BROKEN, {one.promise}: {one.words}\n")
    if found:
        sys.stderr.write(f"  kept: {place}\n")
    return story, found


def _actor(what: Trial | Injection, stage: Stage) -> Direct | Served | Injected:
    if isinstance(what, str):
        return Injected(what, stage)
    return Served(what, stage) if what.kind == "served" else Direct(what, stage)


def until(kills: int, seed: int, at_once: int, folder: Path, injected: Sequence[Injection]) -> Iterator[Told]:
    """The injections, and trials until there were so many kills; so many at once.

    Ctrl-C, or SIGTERM, lets no more begin: those under way come to their end, and are told.
    """
    plans, left, done = trials(seed), list(injected), 0
    with ThreadPoolExecutor(at_once) as pool:
        running: set[Future[Told]] = set()
        while done < kills or left or running:
            due = done + _KILLS * len(running)  # the last trials are begun only if they are needed
            if len(running) < at_once and (left or due < kills):
                running.add(pool.submit(play, left.pop() if left else next(plans), folder))
                continue
            try:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                kills, left = 0, []
                sys.stderr.write(f"stopping: {len(running)} trials come to their end\n")
                continue
            for told in (future.result() for future in ended):
                done += len(told[0].kills)
                yield told


def main() -> None:
    """Do as the command line says, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how many, at least; default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--at-once", type=int, default=5, help="trials at a time, default: %(default)s")
    parser.add_argument("--only", type=int, nargs="*", metavar="NUMBER", help="only these trials, and no other")
    parser.add_argument("--without", nargs="*", choices=INJECTIONS, default=[], help="leave these injections out")
    parser.add_argument("--folder", type=Path, help="keep what broke here; default: a new one in the temporary folder")
    parser.add_argument("--json", type=Path, help="write what came of it here")
    given = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where whoever started this had them ignored
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    folder = given.folder.resolve() if given.folder else Path(tempfile.mkdtemp(prefix="soak-chaos-"))
    wanted = [one for one in INJECTIONS if one not in given.without]
    try:
        if given.only is not None:
            found = [play(trial(given.seed, number), folder) for number in given.only]
        else:
            found = list(until(given.kills, given.seed, given.at_once, folder, wanted))
    except MissingError as error:
        sys.exit(f"{error}; --without leaves an injection out")
    print(table(found, given.seed, time.monotonic() - began))
    if given.json is not None:
        given.json.write_text(json.dumps(as_json(found, given.seed), indent=2) + "\n")
    bad = any(faults for _, faults in found)
    if not bad and given.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(bad)


if __name__ == "__main__":
    main()
