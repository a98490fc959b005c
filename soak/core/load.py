"""The Load: who sends how much of what, as the scenario states it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from soak.core.model import Duration, Model, Rate, Share
from soak.core.pattern import Pattern
from soak.core.template import Placeholder, placeholders
from soak.core.traffic import Auth, Feed, Headers, Journey, Request, Step, check_headers


class Load(Model):
    """The traffic: an open model of `rate` arrivals a second, or a closed model of `users`."""

    rate: Annotated[Rate | None, Field(description="arrivals a second, whatever the target does")] = None
    arrivals: Annotated[Literal["poisson", "constant"], Field(description="how arrivals are spaced")] = "poisson"
    users: Annotated[
        int | None,
        Field(gt=0, le=20_000, description="closed model: plain Locust users; with `rate`, paced to it together"),
    ] = None
    pattern: Annotated[Pattern | None, Field(description="how the rate changes over time")] = None
    connections: Annotated[int, Field(gt=0, le=20_000, description="slots: arrivals that can be in hand at once")] = 50
    churn: Annotated[Share, Field(description="share of arrivals that begin on a new connection")] = 0.0
    precision: Annotated[
        Literal["normal", "spin"], Field(description="spin: send within microseconds of when it is due, for more CPU")
    ] = "normal"
    timeout: Annotated[Duration, Field(description="a request is failed after this")] = 10.0
    seed: Annotated[int, Field(ge=0, description="the same seed gives the same arrivals and requests")] = 1
    workers: Annotated[int, Field(gt=0, le=64, description="generator processes")] = 1
    headers: Headers
    cookies: Annotated[dict[str, str], Field(default_factory=dict, description="sent with every arrival")]
    auth: Annotated[Auth | None, Field(description="how every request authenticates")] = None
    feeds: Annotated[
        dict[str, Feed], Field(default_factory=dict, description="named data for {NAME} and {NAME.column}")
    ]
    requests: Annotated[list[Request] | None, Field(min_length=1, description="the mix: one for each arrival")] = None
    journeys: Annotated[list[Journey] | None, Field(min_length=1, description="steps in a row, beside `requests`")] = (
        None
    )
    locustfile: Annotated[str | None, Field(description="FILE::UserClass, relative to the scenario file")] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rate is None and self.users is None and (self.pattern is None or self.pattern.needs_rate):
            raise ValueError("expected `rate` (open model: arrivals a second) or `users` (closed model)")
        if self.pattern is not None:
            self._check_pattern(self.pattern)
        if (self.requests is None and self.journeys is None) == (self.locustfile is None):
            raise ValueError("expected `requests`, `journeys` or both, or else `locustfile`")
        if self.locustfile is not None and not re.fullmatch(r".+\.py::[A-Za-z_]\w*", self.locustfile):
            raise ValueError(
                f"locustfile: expected FILE.py::UserClass, such as shop.py::Shopper, got {self.locustfile!r}"
            )
        if self.locustfile is not None:
            for key in ("headers", "cookies", "auth", "feeds", "churn"):
                if getattr(self, key):
                    raise ValueError(f"{key}: a locustfile makes its own requests; say it there")
        if self.timeout <= 0:
            raise ValueError("timeout: expected more than 0 s")
        self._check_names()
        self._check_placeholders()
        return self

    def _check_pattern(self, pattern: Pattern) -> None:
        if self.users is not None:
            raise ValueError("pattern: users of the closed model pace themselves; leave `users` out")
        if self.rate is not None and not pattern.needs_rate:
            raise ValueError(f"rate: a pattern of kind {pattern.kind} says all rates itself; leave it out")
        rate, peak = self.rate or 0.0, pattern.peak or 0.0
        if pattern.kind == "daily" and not rate <= peak <= 2 * rate:
            raise ValueError(
                "pattern.peak: `rate` is the mean of a day, so its peak lies between that and twice as much"
            )
        if pattern.kind == "trace" and "arrivals" in self.model_fields_set:
            raise ValueError("arrivals: a trace says itself when arrivals come; leave it out")

    def _check_names(self) -> None:
        for name, count in Counter(r.endpoint for r in self.requests or []).items():
            if count > 1:
                raise ValueError(f"requests: {count} requests are named {name!r}; give each its own name")
        for name, count in Counter(j.name for j in self.journeys or []).items():
            if count > 1:
                raise ValueError(f"journeys: {count} journeys are named {name!r}; give each its own name")
        if both := {j.name for j in self.journeys or []} & {call.endpoint for _, call in self.calls}:
            raise ValueError(f"journeys: a request is named {min(both)!r} too; give each its own name")

    def _check_placeholders(self) -> None:
        """Every name in braces must be known where it is used. All faults at once, a line each."""
        check_headers(self.headers)
        check_headers(self.cookies, "cookie")
        for name in self.feeds:
            if not re.fullmatch(r"[A-Za-z_]\w*", name) or name == "uuid":
                raise ValueError(f"feeds: expected a name of letters, digits and underscores, got {name[:40]!r}")
        faults = []
        for i, request in enumerate(self.requests or []):
            faults += [f"requests[{i}].{text}" for text in self._unknown(request.placeholders(), set())]
        for i, journey in enumerate(self.journeys or []):
            captured: set[str] = set()
            for k, step in enumerate(journey.steps):
                if step.think is None:
                    faults += [
                        f"journeys[{i}].steps[{k}].{text}" for text in self._unknown(step.placeholders(), captured)
                    ]
                    captured |= set(step.capture)
        for key, values in (("headers", self.headers), ("cookies", self.cookies)):
            faults += self._unknown(((key, p) for p in placeholders(list(values.values()))), set())
        if self.auth is not None:
            faults += [f"auth.{text}" for text in self._unknown(self.auth.placeholders(), set())]
        if faults:
            raise ValueError("\n".join(faults))

    def _unknown(self, found: Iterator[tuple[str, Placeholder]], captured: set[str]) -> list[str]:
        faults = []
        for key, p in found:
            if p.kind != "name" or (p.name in captured and p.column is None):
                continue
            feed = self.feeds.get(p.name)
            shown = "{" + p.name + (f".{p.column}" if p.column else "") + "}"
            if feed is None:
                known = ", ".join(sorted([*self.feeds, *captured])) or "none"
                faults.append(
                    f"{key}: nothing is named {p.name!r} here (feeds and captured values: {known}); "
                    f"if {shown} is text, double its braces: {{{shown}}}"
                )
            elif feed.rows and p.column is None:
                faults.append(f"{key}: {shown} is a row; name a column of it: {{{p.name}.COLUMN}}")
            elif not feed.rows and p.column is not None:
                faults.append(f"{key}: {shown}: this feed gives one value, without columns: {{{p.name}}}")
        return faults

    @property
    def total_weight(self) -> float:
        """Sum of the weights of requests and journeys."""
        return sum(r.weight for r in self.requests or []) + sum(j.weight for j in self.journeys or [])

    @property
    def calls(self) -> list[tuple[float, Request | Step]]:
        """Every request that can be made, each with how often an arrival makes it."""
        total = self.total_weight
        alone: list[tuple[float, Request | Step]] = [(r.weight / total, r) for r in self.requests or []]
        return alone + [(j.weight / total, call) for j in self.journeys or [] for call in j.calls]

    @property
    def per_arrival(self) -> dict[str, float]:
        """How often an arrival makes a request to each endpoint, or a journey of each name."""
        shares: dict[str, float] = {}
        for share, call in self.calls:
            shares[call.endpoint] = shares.get(call.endpoint, 0.0) + share
        return shares | {j.name: j.weight / self.total_weight for j in self.journeys or []}

    @property
    def placeholders(self) -> list[Placeholder]:
        """Every placeholder of every request, header, cookie and secret."""
        found = [p for _, call in self.calls for _, p in call.placeholders()]
        found += placeholders([*self.headers.values(), *self.cookies.values()])
        return found + ([p for _, p in self.auth.placeholders()] if self.auth else [])

    @property
    def files(self) -> dict[str, str]:
        """Files that it reads, by the key that names them: relative to the scenario file."""
        found = {f"feeds.{name}": feed.file for name, feed in self.feeds.items() if feed.file}
        if self.pattern is not None and self.pattern.file:
            found["pattern.file"] = self.pattern.file
        if self.locustfile is not None:
            found["locustfile"] = self.locustfile.partition("::")[0]
        for i, request in enumerate(self.requests or []):
            found |= {f"requests[{i}].{_body(request)}": file for file in request.files}
        for i, journey in enumerate(self.journeys or []):
            for k, step in enumerate(journey.steps):
                found |= {f"journeys[{i}].steps[{k}].{_body(step)}": file for file in step.files}
        return found

    @property
    def thinking(self) -> tuple[float, float]:
        """Time that an arrival spends in pauses, in seconds: the mean of all, and the longest of any."""
        journeys = self.journeys or []
        mean = sum(j.weight * j.thinking[0] for j in journeys) / self.total_weight if journeys else 0.0
        return mean, max((j.thinking[1] for j in journeys), default=0.0)

    @property
    def open_model(self) -> bool:
        """Whether arrivals follow the shared schedule instead of the users' own pace."""
        return self.users is None

    @property
    def slots(self) -> int:
        """Locust users to spawn: connection slots, or the users of the closed model."""
        return self.users if self.users is not None else self.connections


def _body(call: Request | Step) -> str:
    return "multipart" if call.multipart else "body"
