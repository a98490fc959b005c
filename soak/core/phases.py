"""The phases of a run and how long each lasts."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from soak.core.model import Duration, Model, Rate

MIN_RECOVERY = 5.0
"""Seconds: in less, nothing can be seen to come back and stay."""


class BurstPhase(Model):
    """More load for a while when the soak is over, then the usual load again: does the target recover?"""

    rate: Annotated[Rate | None, Field(description="arrivals a second in the burst")] = None
    times: Annotated[float | None, Field(gt=1, le=1000, description="or so many times the usual rate")] = None
    length: Annotated[Duration, Field(alias="for", description="how long the burst lasts")]
    recovery: Annotated[Duration, Field(description="how long the usual rate goes on after it; its end is judged")]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.rate is None) == (self.times is None):
            raise ValueError("expected either `rate` or `times`")
        if self.length < 1:
            raise ValueError("for: expected at least 1 s")
        if self.recovery < MIN_RECOVERY:
            raise ValueError(f"recovery: expected at least {MIN_RECOVERY:g} s")
        return self


class Phases(Model):
    """How long each phase lasts; only the soak phase is judged for drift."""

    idle_before: Annotated[Duration, Field(description="at rest before the load: what is used without it")] = 0.0
    warmup: Annotated[
        Duration | None, Field(description="load that is not judged; default: a tenth of the soak, up to 5m")
    ] = None
    soak: Annotated[Duration, Field(description="what is judged, at least 1s")]
    burst: Annotated[BurstPhase | None, Field(description="after the soak: a burst, and the recovery from it")] = None
    idle_after: Annotated[Duration, Field(description="at rest after the load: what is given back")] = 0.0
    whole: Annotated[
        Duration | None,
        Field(description="this soak is a part of one of that length, as `--budget` makes it; default: all of it"),
    ] = None

    @model_validator(mode="after")
    def _positive(self) -> Self:
        if self.soak < 1:
            raise ValueError("soak: expected at least 1 s")
        if self.whole is not None and self.whole < self.soak:
            raise ValueError("whole: expected no less than the soak, which is a part of it")
        return self

    @property
    def whole_s(self) -> float:
        """How long the soak should be (s), of which this one may be a part."""
        return self.whole if self.whole is not None else self.soak

    @property
    def warmup_s(self) -> float:
        """The warm-up in seconds, default filled in."""
        return self.warmup if self.warmup is not None else min(self.soak / 10, 300.0)
