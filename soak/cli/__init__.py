"""The front door: one short function a verb.

Progress goes to standard error, results to standard output. Exit codes: 0 pass, 1 fail, 2 bad usage or
scenario, 3 inconclusive, 4 invalid measurement, 130 interrupted.
"""

from soak.cli.beginning import interruptible

with interruptible():
    from soak.cli.app import main, verbs

__all__ = ["main", "verbs"]
