"""A user's own locustfile, for a protocol that soak does not speak: Redis through redis-py."""

import time
from typing import ClassVar

import redis
from locust import TaskSet, User, constant, task


class Reading(TaskSet):
    """A nested task set, with a pause of its own that the shared schedule replaces."""

    wait_time = constant(5)

    @task(3)
    def read(self) -> None:
        self.user.timed("get", lambda: self.user.redis.get("key"))

    @task(1)
    def leave(self) -> None:
        self.user.timed("exists", lambda: self.user.redis.exists("key"))
        self.interrupt(reschedule=False)


class RedisUser(User):
    """Sets and gets keys; fires Locust's request event itself, as its docs say for other protocols."""

    tasks: ClassVar = {Reading: 1}
    wait_time = constant(3)

    def on_start(self) -> None:
        host, _, port = self.host.removeprefix("tcp://").partition(":")
        self.redis = redis.Redis(host=host, port=int(port))

    def timed(self, name: str, call) -> None:  # type: ignore[no-untyped-def]
        start, exception = time.perf_counter(), None
        try:
            call()
        except redis.RedisError as error:
            exception = error
        self.environment.events.request.fire(
            request_type="redis",
            name=name,
            response_time=(time.perf_counter() - start) * 1000,
            response_length=0,
            exception=exception,
            context={},
        )

    @task(1)
    def write(self) -> None:
        self.timed("set", lambda: self.redis.set("key", "value" * 20))
