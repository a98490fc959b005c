"""The healthy specimen with more to do and more to keep, by a known amount: a regression that is no leak.

python heavier.py PORT ROUNDS MEBIBYTES
"""

from __future__ import annotations

import sys

import uvicorn

from soak.specimens.server import shop
from soak.specimens.sickness import Healthy


class Heavier(Healthy):
    """Does `rounds` of arithmetic for each request, and keeps `ballast` bytes from the start."""

    def __init__(self, rounds: int, ballast: int) -> None:
        self.rounds = rounds
        self.kept = bytes(bytearray(b"x") * ballast)

    def touch(self, item: int) -> None:
        sum(i * item for i in range(self.rounds))


if __name__ == "__main__":
    port, rounds, mebibytes = map(int, sys.argv[1:])
    uvicorn.run(shop(Heavier(rounds, mebibytes << 20)), port=port, log_level="warning", access_log=False)
