"""Whether each story is caught, and by which cause: `python -m benchmarks.stories` (about ten minutes).

A story is one task done twice: by a trusted program and by a plausible one. Both are soaked side by side as in
`scenarios/`. With `--itself` the trusted one is soaked beside itself: then nothing may fail it. The exit code is 1
when a story does not come out as it should.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import free_port
from soak.specimens.catalogue import SPECIMENS

ROOT = Path(__file__).parents[1]
STORIES = [name for name, specimen in SPECIMENS.items() if specimen.well]


@dataclass(frozen=True, slots=True)
class Told:
    """What a soak said of one story: its exit code, and the causes that fail each side."""

    code: int
    candidate: tuple[str, ...]
    reference: tuple[str, ...]

    def caught(self, name: str) -> bool:
        """Whether it failed by a cause that is its own, and the reference by none of these.

        Some references keep data too, as their task has it: that their memory grows is true.
        """
        own = {*SPECIMENS[name].causes}
        return self.code == 1 and bool(own & {*self.candidate}) and not own & {*self.reference}


def scenario(name: str, soak: str, itself: bool) -> str:
    """The shipped scenario of a story on free ports; `itself` soaks the reference beside itself."""
    text = (ROOT / "scenarios" / f"{name}.yaml").read_text(encoding="utf-8")
    text = re.sub(r"\bsoak: \w+", f"soak: {soak}", text)
    for port in sorted(set(re.findall(r"\b187\d\d\b", text))):
        text = text.replace(port, str(free_port()))
    return text.replace(f"specimens {name} --port", f"specimens {name} --reference --port") if itself else text


def told(name: str, soak: str, itself: bool = False) -> Told:
    """Soak one story to its verdict."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "story.yaml").write_text(scenario(name, soak, itself), encoding="utf-8")
        line = [sys.executable, "-m", "soak.cli", "run", "story.yaml", "--json"]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = done.stdout.rfind("\n{\n")
    if "{" not in done.stdout:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    verdict: dict[str, Any] = json.loads(done.stdout[found + 1 :])
    sides = [verdict["findings"], (verdict["reference"] or {}).get("findings", [])]
    causes = [tuple(dict.fromkeys(f["cause"] for f in side if f["severity"] == "fail")) for side in sides]
    return Told(done.returncode, causes[0], causes[1])


def main() -> None:
    """Soak the stories and print the table of docs/stories.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stories", nargs="*", metavar="STORY", help=f"default: all of {', '.join(STORIES)}")
    parser.add_argument("--soak", default="100s", help="length of each soak, default: %(default)s")
    parser.add_argument("--at-once", type=int, default=2, help="soaks at a time, default: %(default)s")
    parser.add_argument("--itself", action="store_true", help="soak each reference beside itself")
    given = parser.parse_args()
    names = given.stories or STORIES
    if unknown := [name for name in names if name not in STORIES]:
        parser.error(f"no story is named {unknown[0]!r}; there are {', '.join(STORIES)}")
    with ThreadPoolExecutor(given.at_once) as pool:
        results = list(pool.map(lambda name: told(name, given.soak, given.itself), names))
    print("| story | reference | plausible | exit code | fails by | reference fails by |\n|---|---|---|---|---|---|")
    for name, result in zip(names, results, strict=True):
        story = SPECIMENS[name]
        causes = [", ".join(f"`{c}`" for c in side) or "nothing" for side in (result.candidate, result.reference)]
        print(f"| {name} | {story.well} | {story.truth} | {result.code} | {causes[0]} | {causes[1]} |")
    clean = [not result.candidate and not result.reference for result in results]
    caught = [result.caught(name) for name, result in zip(names, results, strict=True)]
    sys.exit(not all(clean if given.itself else caught))


if __name__ == "__main__":
    main()
