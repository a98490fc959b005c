"""Soak every case, its faulty release beside the mended one, and print the table of docs/field.md (forty minutes).

Each release is installed into an environment of its own, kept in --environments for the next time. The exit code is 1
when a fault is missed, or a mended release is blamed for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.field.cases import CASES, Case
from benchmarks.field.releases import installed
from benchmarks.processes import free_port

SERVICES = Path(__file__).parent / "services"
SCENARIO = """
name: {name}
target: {{url: "http://127.0.0.1:{one}", process: {{command: "{faulty} {service} {one}"}}}}
reference: {{url: "http://127.0.0.1:{two}", process: {{command: "{mended} {service} {two}"}}}}
load: {{rate: {rate}, arrivals: poisson, connections: 30, requests: {requests}}}
phases: {{idle_before: 5s, warmup: 10s, soak: {soak}, idle_after: 15s}}
criteria: [{{metric: errors.ratio, below: 1%}}, {{metric: cpu.per_request, ratio_below: 1.5}}]
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a soak said of one case: its verdict, what fails each side (causes), and the title of what counts."""

    verdict: str
    faulty: tuple[str, ...]
    mended: tuple[str, ...]
    title: str

    def right(self, case: Case) -> bool:
        """Whether the fault was told by a cause of its own, and the mended release blamed for nothing.

        A measurement that cannot be trusted tells nothing, whatever it found.
        """
        return self.verdict == "fail" and bool({*self.faulty} & {*case.expected}) and not self.mended


def told(case: Case, pythons: tuple[Path, Path], soak: str, keep: Path | None) -> Told:
    """Soak one case to its verdict."""
    service = SERVICES / f"{case.name.replace('-', '_')}_app.py"
    text = SCENARIO.format(
        name=case.name,
        one=free_port(),
        two=free_port(),
        faulty=pythons[0],
        mended=pythons[1],
        service=service,
        rate=case.rate,
        requests=case.requests,
        soak=case.soak or soak,
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = keep or Path(scratch)
        file = folder / f"{case.name}.yaml"
        file.write_text(text, encoding="utf-8")
        line = [sys.executable, "-m", "soak.cli", "run", str(file), "--json", "--runs", str(folder / "runs")]
        done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if "{" not in done.stdout:
        raise SystemExit(f"{case.name}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    verdict: dict[str, Any] = json.loads(done.stdout)
    sides = [verdict["findings"], (verdict["reference"] or {}).get("findings", [])]
    causes = [tuple(dict.fromkeys(f["cause"] for f in side if f["severity"] == "fail")) for side in sides]
    failing = [f for f in verdict["findings"] if f["severity"] == "fail"]
    counts = [f for f in failing if f["cause"] in case.expected] or failing
    title = counts[0]["title"] if counts else ""
    return Told(verdict["verdict"], causes[0], causes[1], title)


def main() -> int:
    """Soak the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [case.name for case in CASES]
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"default: all of {', '.join(names)}")
    parser.add_argument(
        "--soak", default="120s", help="length of a soak where a case has none of its own, default: %(default)s"
    )
    parser.add_argument("--at-once", type=int, default=1, help="soaks at a time, default: %(default)s")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "soak-field")
    parser.add_argument("--keep", type=Path, help="keep scenarios and run files here")
    parser.add_argument("--json", type=Path, help="write the table here, too")
    given = parser.parse_args()
    if unknown := [name for name in given.cases if name not in names]:
        parser.error(f"no case {', '.join(unknown)}; known are {', '.join(names)}")
    chosen = [case for case in CASES if not given.cases or case.name in given.cases]
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    pythons = {
        case.name: (
            installed(case, case.faulty, given.environments),
            installed(case, case.mended, given.environments),
        )
        for case in chosen
    }
    with ThreadPoolExecutor(given.at_once) as pool:
        results = list(pool.map(lambda case: told(case, pythons[case.name], given.soak, given.keep), chosen))
    print("| release | documented fault | told of it | told of the mended one | right |")
    print("|---|---|---|---|---|")
    for case, result in zip(chosen, results, strict=True):
        fault = f"{case.fault} ({case.source})"
        said = f"{', '.join(result.faulty) or 'nothing'}" + (f": {result.title}" if result.title else "")
        mended = f"{case.mended}: {', '.join(result.mended) or 'nothing'}"
        right = "yes" if result.right(case) else "**no**" if result.verdict != "invalid" else "**no** (invalid)"
        print(f"| {case.package} {case.faulty} | {fault} | {said} | {mended} | {right} |")
    if given.json:
        rows = [
            {"case": c.name, "release": f"{c.package} {c.faulty}", "mended": c.mended, "verdict": r.verdict,
             "faulty": r.faulty, "told_of_mended": r.mended, "title": r.title, "right": r.right(c)}
            for c, r in zip(chosen, results, strict=True)
        ]  # fmt: skip
        given.json.write_text(json.dumps(rows, indent=2) + "\n")
    return int(not all(result.right(case) for case, result in zip(chosen, results, strict=True)))


if __name__ == "__main__":
    sys.exit(main())
