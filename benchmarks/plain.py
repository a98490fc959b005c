"""Plain Locust users, as its documentation writes them: what soak is compared with.

RATE arrivals a second over USERS users. Each waits a random time between its requests, so that arrivals
are spread: users of `constant_throughput` that were spawned together stay in step, and one turn of the
event loop then serves a burst of them, for about a third less CPU than any spread load can have.
"""

from __future__ import annotations

import os
import random
from typing import Any

from locust import FastHttpUser, HttpUser, constant_throughput, task

_EACH = float(os.environ.get("BENCH_RATE", "100")) / float(os.environ.get("BENCH_USERS", "10"))


def spread(_user: Any) -> float:
    """Seconds to the next request of one user: exponential."""
    return random.expovariate(_EACH)


class Fast(FastHttpUser):
    """Locust's fast client, with spread arrivals."""

    wait_time = spread

    @task
    def page(self) -> None:
        """One request."""
        self.client.get("/", name="page")


class Slow(HttpUser):
    """Locust's usual client (requests), with spread arrivals."""

    wait_time = spread

    @task
    def page(self) -> None:
        """One request."""
        self.client.get("/", name="page")


class Paced(FastHttpUser):
    """Locust's usual way to ask for a rate."""

    wait_time = constant_throughput(_EACH)

    @task
    def page(self) -> None:
        """One request."""
        self.client.get("/", name="page")
