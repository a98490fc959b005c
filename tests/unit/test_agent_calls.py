"""Counting calls and tracking allocations one after the other, in a program that calls without a pause."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import string, sys, threading, time
from soak.agent import calls, window

template, done = string.Template("item $item of $shop"), threading.Event()

def look():
    for _ in range(60):
        window.take(sys.argv[1], 0.05, True, "", time.sleep)
        took, threads, counted = calls.count(0.05, time.sleep)
        assert threads in ("main", "all") and counted.most(5), (took, threads)
    done.set()

threading.Thread(target=look).start()
while not done.is_set():
    page = ""
    for n in range(600):
        page += template.substitute(item=n, shop="ours")
assert sys.getprofile() is None
"""


def test_a_window_that_follows_a_count_at_once_does_not_end_its_host(tmp_path: Path) -> None:
    line = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, str(tmp_path / "capture")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
