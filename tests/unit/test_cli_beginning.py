"""An interrupt that comes while `soak` is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SIGNALLED = """
import os, signal, sys
class Finder:  # stands for whatever swallows a KeyboardInterrupt: a callback, an extension module
    def find_spec(self, name, path, target=None):
        if name == "soak.cli.runs":
            try:
                os.kill(os.getpid(), signal.{name})
            except KeyboardInterrupt:
                pass
sys.meta_path.insert(0, Finder())
{before}
import soak.cli
soak.cli.verbs()
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler, signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
"""


def imported(
    name: str, before: str = "signal.signal(signal.SIGINT, signal.default_int_handler)"
) -> subprocess.CompletedProcess[str]:
    program = SIGNALLED.format(name=name, before=before)
    root = Path(__file__).parents[2]
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=root)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_it_ends_with_one_line_and_the_exit_code_of_an_interrupt(name: str) -> None:
    done = imported(name)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "soak: interrupted before it began\n")


def test_a_signal_that_is_ignored_stays_so_and_afterwards_all_is_as_it_was() -> None:
    ignored = imported("SIGINT", "signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert (ignored.returncode, ignored.stdout, ignored.stderr) == (0, "False True\n", "")
    assert imported("SIGCONT").stdout == "True True\n"


def test_another_thread_may_import_it() -> None:
    program = "import threading as t, soak.cli as c\na = t.Thread(target=c.verbs)\na.start()\na.join()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
