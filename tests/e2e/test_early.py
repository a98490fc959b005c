"""Real soaks that end before their time, because their verdict is certain."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.harness import free_port, measured, scenario, soak

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(400)]

SOAK = """
name: early
target:
  url: http://127.0.0.1:{port}
  process: {{command: "{{python}} {command}", agent: {agent}}}
load: {{rate: {rate}/s, connections: 20, requests: [{{name: browse, get: "/items/7"}}]}}
phases: {{warmup: 5s, soak: 2m}}
stop_early: {rule}
cost: {{rate: 1000/s, instances: 20}}
criteria: [{{metric: errors.ratio, below: 10%}}]
"""

STEADY = """
import asyncio, sys

async def answer(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""
"""Takes a fifth of a second for each answer: what a busy machine adds to that is small beside it."""


def test_a_leak_is_not_soaked_to_the_end(tmp_path: Path) -> None:
    port = free_port()
    text = SOAK.format(port=port, command=f"-m soak.specimens leak --port {port}", agent="true", rate=100, rule="fail")
    outcome = measured(tmp_path, "run", str(scenario(tmp_path, text)))
    assert outcome.code == 1, outcome.show()
    stopped = outcome.verdict["stopped_early"]
    assert stopped is not None, outcome.show()
    assert stopped["rule"] == "fail"
    assert stopped["saved_s"] > 5
    assert stopped["at_s"] + stopped["saved_s"] < 120
    assert "object_leak" in outcome.causes(), outcome.show()
    assert any("x 20 instances" in (f["cost"] or "") for f in outcome.verdict["findings"])
    again = soak(tmp_path, "judge", str(outcome.run_file), "--json")
    assert json.loads(again.out) == outcome.verdict


@pytest.mark.quiet
def test_a_healthy_server_is_passed_early_or_soaked_to_the_end_and_never_failed(tmp_path: Path) -> None:
    (tmp_path / "steady.py").write_text(STEADY)
    text = SOAK.format(port=(port := free_port()), command=f"steady.py {port}", agent="false", rate=20, rule="pass")
    outcome = measured(tmp_path, "run", str(scenario(tmp_path, text)))
    verdict = outcome.verdict
    assert verdict["verdict"] != "fail", outcome.show()
    if verdict["stopped_early"] is None:  # nothing was certain on a machine as busy as this one
        assert verdict["soak_s"] == pytest.approx(120, abs=1)
        return
    assert (outcome.code, verdict["verdict"], verdict["interrupted"]) == (0, "pass", False), outcome.show()
    assert verdict["stopped_early"]["rule"] == "pass"
    assert verdict["stopped_early"]["at_s"] >= 59
    assert any("not seen is what the last" in note for note in verdict["notes"]), outcome.show()
    assert json.loads(soak(tmp_path, "judge", str(outcome.run_file), "--json").out) == verdict
