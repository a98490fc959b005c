"""How often a target is looked at, and how closely."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from soak.core.model import Duration, Model

Debugger = Literal["gdb", "lldb"]
ATTACH_WARMUP_S = 15.0


class Allocations(Model):
    """Windows in which memray tracks every allocation of a Python target."""

    every: Annotated[Duration | None, Field(description="how often, besides early and late in the soak")] = None
    for_: Annotated[Duration | None, Field(alias="for", description="how long; default: a 60th of the soak, <= 5s")] = (
        None
    )
    objects: Annotated[bool, Field(description="Python's small objects too: costs twice the CPU meanwhile")] = True

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.for_ is not None and not 0.2 <= self.for_ <= 60:
            raise ValueError("for: expected 200ms to 60s")
        if self.every is not None and self.every < 10 * (self.for_ or 1.0):
            raise ValueError("every: expected ten times what a window takes, at least 10s")
        return self


class Probe(Model):
    """How often the target's process is looked at, and how closely."""

    every: Annotated[Duration, Field(description="how often to look from outside, 100ms to 60s")] = 1.0
    allocator: Annotated[Duration | None, Field(description="from inside; default: a 120th of the soak, 1s to 10s")] = (
        None
    )
    allocations: Annotated[Allocations | bool, Field(description="false: memray is never used")] = True
    trim: Annotated[bool, Field(description="at the very end, have glibc give back what is free, to see how much")] = (
        False
    )

    attach: Annotated[
        Debugger | None,
        Field(description="brings the agent into a running Python, which it stops for 1-3 s"),
    ] = None

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if not 0.1 <= self.every <= 60:
            raise ValueError("every: expected 100ms to 60s")
        if self.allocator is not None and not 0.5 <= self.allocator <= 600:
            raise ValueError("allocator: expected 500ms to 10m")
        return self

    @property
    def window(self) -> Allocations | None:
        """The allocation windows; None when there are none."""
        if isinstance(self.allocations, Allocations):
            return self.allocations
        return Allocations() if self.allocations else None
