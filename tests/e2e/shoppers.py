"""A user's own locustfile, for a protocol that soak does not speak: Redis through redis-py."""

import time

import redis
from locust import User, task


class RedisUser(User):
    """Sets and gets keys; fires Locust's request event itself, as its docs say for other protocols."""

    def on_start(self) -> None:
        host, _, port = self.host.removeprefix("tcp://").partition(":")
        self.redis = redis.Redis(host=host, port=int(port))

    def _timed(self, name: str, call) -> None:  # type: ignore[no-untyped-def]
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

    @task(3)
    def read(self) -> None:
        self._timed("get", lambda: self.redis.get("key"))

    @task(1)
    def write(self) -> None:
        self._timed("set", lambda: self.redis.set("key", "value" * 20))
