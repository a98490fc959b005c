"""Stacks of real servers, soaked to their ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import Outcome, free_port, measured, scenario

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(200)]

SERVER = """
import http.server, itertools, sys, threading
threading.stack_size(512 * 1024)
asked = itertools.count()
def flat(n): return flat(n - 1) if n > 0 else 0
def native(n): return sorted((n,), key=lambda d: native(d - 1) if d > 0 else 0)[0]
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # a connection, and so a thread, serves many requests
    def do_GET(self):
        {walk}
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def soaked(folder: Path, walk: str) -> Outcome:
    """A server whose every request recurses by `walk`, at 20 requests a second for half a minute."""
    port = free_port()
    (folder / "server.py").write_text(SERVER.replace("{walk}", walk))
    text = f"""
name: deep
target:
  url: http://127.0.0.1:{port}
  process: {{command: "{{python}} server.py {port}"}}
load: {{rate: 20/s, connections: 4, requests: [{{name: tree, get: /}}]}}
phases: {{warmup: 4s, soak: 30s}}
criteria: [{{metric: errors.ratio, below: 90%}}]
"""
    return measured(folder, "run", str(scenario(folder, text)))


@pytest.mark.long
def test_recursion_that_comes_to_the_limit_of_python_is_named_with_what_failed_of_it(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, "flat(2 * next(asked))")
    assert "recursion_limit" in outcome.causes(), outcome.show()
    (finding,) = [f for f in outcome.verdict["findings"] if f["cause"] == "recursion_limit"]
    assert finding["endpoint"] == "tree"
    assert any("requests of tree failed" in line for line in finding["evidence"])
    assert not outcome.causes() & {"crash", "stack_growth", "stack_exhaustion"}


def test_a_thread_whose_stack_fills_up_and_kills_the_process_is_no_mere_crash(tmp_path: Path) -> None:
    outcome = soaked(tmp_path, "native(next(asked) // 4)")
    assert "stack_exhaustion" in outcome.causes(), outcome.show()
    assert "crash" not in outcome.causes()
    assert "a thread's stack" in outcome.verdict["headline"]
    assert outcome.code == 1
