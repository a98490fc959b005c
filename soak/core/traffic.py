"""What is sent: requests and journeys, the data that feeds them, and how they authenticate."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from statistics import NormalDist
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from soak.core import template
from soak.core.model import Duration, Model
from soak.core.template import Placeholder

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
BODIES = ("json", "form", "multipart", "body")
_TCHAR = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_LINE_ENDS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ENDS_A_PATH = re.compile(r"[\x00-\x20\x7f]")  # RFC 9112, section 3: what comes after it is another part of the request


def _short(key: str) -> Any:
    """A plain text or number stands for the mapping that has only `key`."""
    return BeforeValidator(lambda value: {key: value} if isinstance(value, (str, int, float)) else value)


def _one_line(name: str) -> str:
    if _LINE_ENDS.search(name):
        raise ValueError(f"expected one line, got {name[:60]!r}: it stands in logs and reports as it is")
    return name


_Name = Annotated[str, AfterValidator(_one_line)]
Headers = Annotated[dict[str, str], Field(default_factory=dict, description="header lines that are sent")]


class FilePart(Model):
    """One field of a multipart form (RFC 7578): text, or a file."""

    content: Annotated[str | None, Field(description="the text itself")] = None
    file: Annotated[str | None, Field(description="a file, relative to the scenario file")] = None
    name: Annotated[str | None, Field(description="file name that is sent; makes `content` a file too")] = None
    type: Annotated[str | None, Field(description="media type, such as image/png")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.content is None) == (self.file is None):
            raise ValueError("expected one of content and file")
        return self


class RawBody(Model):
    """A body as it is: text with placeholders, or the bytes of a file."""

    text: Annotated[str | None, Field(description="the body itself, with placeholders")] = None
    file: Annotated[str | None, Field(description="a file, relative to the scenario file")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.text is None) == (self.file is None):
            raise ValueError("expected one of text and file")
        return self


def _path(method: str) -> Any:
    return Field(description=f"path to {method}, with placeholders")


_NAME = "its latencies are kept under this; default: method and path"
_WEIGHT = "how often, against the weights of the other requests and journeys"


class Call(Model):
    """One HTTP request; exactly one method names its path, and at most one key gives its body."""

    get: Annotated[str | None, _path("GET")] = None
    post: Annotated[str | None, _path("POST")] = None
    put: Annotated[str | None, _path("PUT")] = None
    patch: Annotated[str | None, _path("PATCH")] = None
    delete: Annotated[str | None, _path("DELETE")] = None
    head: Annotated[str | None, _path("HEAD")] = None
    options: Annotated[str | None, _path("OPTIONS")] = None
    headers: Headers
    json_body: Annotated[Any, Field(alias="json", description="body as JSON")] = None
    form: Annotated[dict[str, str] | None, Field(description="body as a URL-encoded form")] = None
    multipart: Annotated[
        dict[str, Annotated[FilePart, _short("content")]] | None, Field(description="body as multipart/form-data")
    ] = None
    body: Annotated[RawBody | None, _short("text"), Field(description="body as it is: text, or {file: PATH}")] = None
    expect: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]] | None,
        Field(min_length=1, description="statuses that count as done; default 2xx and 3xx"),
    ] = None

    @property
    def methods(self) -> list[str]:
        """The keys among METHODS that are given."""
        return [m for m in METHODS if getattr(self, m) is not None]

    @property
    def method(self) -> str:
        """GET, POST, ..."""
        return self.methods[0].upper()

    @property
    def path(self) -> str:
        """The path as written, with its placeholders."""
        return str(getattr(self, self.methods[0]))

    def placeholders(self) -> Iterator[tuple[str, Placeholder]]:
        """Every placeholder with the key that it is under. Raises ValueError `key: what is wrong`."""
        yield from _named(self.methods[0], self.path)
        for name, value in self.headers.items():
            yield from _named("headers", value if isinstance(value, str) else name)
        yield from _named("json", self.json_body)
        yield from _named("form", self.form)
        for part in (self.multipart or {}).values():
            yield from _named("multipart", part.content)
        if self.body is not None:
            yield from _named("body", self.body.text)

    @property
    def files(self) -> list[str]:
        """Files that its body is made of."""
        parts = [part.file for part in (self.multipart or {}).values()]
        return [f for f in (*parts, self.body.file if self.body else None) if f is not None]

    def _check(self) -> None:
        given = self.methods
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(METHODS)} with a path, got {' and '.join(given) or 'none'}"
            )
        if not self.path.startswith("/"):
            raise ValueError(f"{given[0]}: expected a path that starts with '/', got {self.path!r}")
        bodies = [k for k in BODIES if getattr(self, "json_body" if k == "json" else k) is not None]
        if len(bodies) > 1:
            raise ValueError(f"expected one body, got {' and '.join(bodies)}")
        check_headers(self.headers)
        for _ in self.placeholders():  # each must be readable
            pass
        if any(isinstance(part, str) and _ENDS_A_PATH.search(part) for part in template.parse(self.path)):
            raise ValueError(f"{given[0]}: a path has no spaces or line ends (%20 is a space), got {self.path[:60]!r}")


class Request(Call):
    """One kind of request of the mix."""

    name: Annotated[_Name | None, Field(min_length=1, max_length=200, description=_NAME)] = None
    weight: Annotated[float, Field(gt=0, description=_WEIGHT)] = 1.0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._check()
        return self

    @property
    def endpoint(self) -> str:
        """The name that its latencies are kept under: `name`, else the path with {placeholders}."""
        return self.name or f"{self.method} {template.outline(self.path)}"


class Capture(Model):
    """A value taken from a response: exactly one of a JSONPath, a regular expression and a header."""

    jsonpath: Annotated[str | None, Field(description="RFC 9535, such as $.items[0].id; the first match")] = None
    regex: Annotated[str | None, Field(description="the first group, else the whole match, in the body")] = None
    header: Annotated[str | None, Field(description="name of a response header")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [k for k in ("jsonpath", "regex", "header") if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of jsonpath, regex and header, got {' and '.join(given) or 'none'}")
        if self.regex is not None:
            try:
                re.compile(self.regex)
            except re.error as error:
                raise ValueError(f"regex: {error}") from None
        return self


class Lognormal(Model):
    """Pauses as people make them: half are shorter than `median`; `sigma` is the spread of the logarithm."""

    median: Annotated[Duration, Field(description="half of the pauses are shorter")]
    sigma: Annotated[float, Field(gt=0, le=2, description="standard deviation of the logarithm, up to 2")]


class Think(Model):
    """A pause between two steps, drawn from one distribution; long tails are cut so that a run can end."""

    constant: Annotated[Duration | None, Field(description="always as long")] = None
    uniform: Annotated[list[Duration] | None, Field(min_length=2, max_length=2, description="shortest, longest")] = None
    exponential: Annotated[Duration | None, Field(description="mean; cut at 5 times the mean")] = None
    lognormal: Annotated[Lognormal | None, Field(description="cut at 3 sigma")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = ("constant", "uniform", "exponential", "lognormal")
        given = [k for k in kinds if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(kinds)}, got {' and '.join(given) or 'none'}")
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            raise ValueError("uniform: expected [SHORTEST, LONGEST]")
        return self

    def draw(self, u: float) -> float:
        """The pause in seconds for `u` in [0, 1), by the inverse of the distribution."""
        if self.uniform is not None:
            return self.uniform[0] + u * (self.uniform[1] - self.uniform[0])
        if self.exponential is not None:
            return min(-self.exponential * math.log1p(-u), self.longest)
        if self.lognormal is not None:
            z = NormalDist().inv_cdf(min(max(u, 1e-12), 1 - 1e-12))
            return min(self.lognormal.median * math.exp(self.lognormal.sigma * z), self.longest)
        return self.constant or 0.0

    @property
    def longest(self) -> float:
        """The longest pause in seconds."""
        if self.uniform is not None:
            return self.uniform[1]
        if self.exponential is not None:
            return 5 * self.exponential
        if self.lognormal is not None:
            return self.lognormal.median * math.exp(3 * self.lognormal.sigma)
        return self.constant or 0.0

    @property
    def mean(self) -> float:
        """The mean pause in seconds, the cut left aside."""
        if self.uniform is not None:
            return sum(self.uniform) / 2
        if self.lognormal is not None:
            return self.lognormal.median * math.exp(self.lognormal.sigma**2 / 2)
        return self.exponential or self.constant or 0.0


class Step(Call):
    """One step of a journey: a request, or a pause."""

    name: Annotated[_Name | None, Field(min_length=1, max_length=200, description=_NAME)] = None
    capture: Annotated[
        dict[str, Capture], Field(default_factory=dict, description="values for {NAME} in later steps, from the answer")
    ]
    think: Annotated[
        Think | None, _short("constant"), Field(description="a pause instead of a request: 2s, or a distribution")
    ] = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.think is not None:
            if set(self.model_fields_set) != {"think"}:
                raise ValueError("think: a pause is a step of its own")
            return self
        self._check()
        for name in self.capture:
            if not re.fullmatch(r"[A-Za-z_]\w*", name):
                raise ValueError(f"capture: expected a name of letters, digits and underscores, got {name[:40]!r}")
        return self

    @property
    def endpoint(self) -> str:
        """The name that its latencies are kept under."""
        return self.name or f"{self.method} {template.outline(self.path)}"


class Journey(Model):
    """Steps that one visitor makes in a row; an arrival is the start of one."""

    name: Annotated[_Name, Field(min_length=1, max_length=200, description="its latency as a whole is kept under this")]
    weight: Annotated[float, Field(gt=0, description=_WEIGHT)] = 1.0
    steps: Annotated[list[Step], Field(min_length=1, description="requests and pauses, in order")]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if all(step.think is not None for step in self.steps):
            raise ValueError("steps: expected at least one request")
        return self

    @property
    def calls(self) -> list[Step]:
        """The steps that are requests."""
        return [step for step in self.steps if step.think is None]

    @property
    def thinking(self) -> tuple[float, float]:
        """Mean and longest time spent in pauses, in seconds."""
        pauses = [step.think for step in self.steps if step.think is not None]
        return sum(p.mean for p in pauses), sum(p.longest for p in pauses)


class Feed(Model):
    """Named data: a row, or a value, for each arrival. All its uses in one arrival see the same row."""

    csv: Annotated[str | None, Field(description="file with a header line")] = None
    jsonl: Annotated[str | None, Field(description="file with one JSON object a line")] = None
    choose: Annotated[list[Any] | None, Field(min_length=1, description="one of these values")] = None
    random: Annotated[str | None, Field(description="a whole number, LOW-HIGH")] = None
    sequence: Annotated[int | None, Field(ge=0, description="counts up from here; never the same twice in a run")] = (
        None
    )
    uuid: Annotated[Literal[True] | None, Field(description="a version 4 UUID")] = None
    order: Annotated[
        Literal["sequence", "random"] | None,
        Field(description="which row of a file: by the number of the arrival (default), or drawn"),
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = ("csv", "jsonl", "choose", "random", "sequence", "uuid")
        given = [k for k in kinds if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {', '.join(kinds)}, got {' and '.join(given) or 'none'}")
        if self.order is not None and not self.rows:
            raise ValueError("order: only csv and jsonl have rows")
        if self.random is not None:
            try:
                template.bounds(self.random)
            except ValueError as error:
                raise ValueError(f"random: {error}") from None
        return self

    @property
    def rows(self) -> bool:
        """Whether it has rows with columns."""
        return self.csv is not None or self.jsonl is not None

    @property
    def file(self) -> str | None:
        """The file that it reads."""
        return self.csv or self.jsonl


class Basic(Model):
    """A user and a password for HTTP basic authentication (RFC 7617)."""

    user: Annotated[str, Field(description="name of the user")]
    password: Annotated[str, Field(description="such as ${PASSWORD}")]


class Auth(Model):
    """How every request authenticates; secrets are `${NAME}`, read from the environment."""

    bearer: Annotated[str | None, Field(description="token (RFC 6750), such as ${API_TOKEN}")] = None
    basic: Annotated[Basic | None, Field(description="user and password (RFC 7617)")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.bearer is None) == (self.basic is None):
            raise ValueError("expected one of bearer and basic")
        return self

    def placeholders(self) -> Iterator[tuple[str, Placeholder]]:
        """Every placeholder with the key that it is under."""
        yield from _named("bearer", self.bearer)
        if self.basic is not None:
            yield from _named("basic", [self.basic.user, self.basic.password])


def check_headers(headers: dict[str, str], what: Literal["header", "cookie"] = "header") -> None:
    """Raises ValueError at a name or value, of a header or a cookie, that HTTP cannot carry."""
    for name, value in headers.items():
        if not _TCHAR.fullmatch(name):
            raise ValueError(f"{what}s: {name[:40]!r} is no {what} name")
        if re.search(r"[\r\n\0]", value):
            raise ValueError(f"{what}s: the value of {name} has a line end in it")


def _named(key: str, value: object) -> Iterator[tuple[str, Placeholder]]:
    try:
        for found in template.placeholders(value):
            yield key, found
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
