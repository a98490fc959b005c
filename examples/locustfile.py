"""A locustfile as a team has it: two tasks by weight, a start of its own, pauses between tasks."""

from __future__ import annotations

import random

from locust import HttpUser, between, task


class Shopper(HttpUser):
    """Looks at eight items for each one that goes into the cart."""

    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Each visitor has a favourite."""
        self.favourite = random.randint(1, 500)

    @task(8)
    def browse(self) -> None:
        """Look at an item."""
        self.client.get(f"/items/{random.choice([self.favourite, random.randint(1, 500)])}", name="/items/[id]")

    @task
    def buy(self) -> None:
        """Put the favourite into the cart."""
        with self.client.post("/cart", json={"item": self.favourite}, catch_response=True) as answer:
            if answer.status_code != 201:
                answer.failure(f"not in the cart: {answer.status_code}")
