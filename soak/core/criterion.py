"""The Criterion: one condition stated up front that decides the run."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from soak.core import units
from soak.core.metrics import COMPARED, METRICS, ONCE, Metric
from soak.core.model import Duration, Model
from soak.core.units import Quantity

Kind = Literal["below", "above", "growth_below", "ratio_below", "ratio_above"]
KINDS: tuple[Kind, ...] = ("below", "above", "growth_below", "ratio_below", "ratio_above")

HEALTHY: Mapping[units.Dimension, float] = {"bytes": 2.0**20, "time": 1e-3, "count": 1.0, "rate": 1.0}
"""What a healthy process wanders by itself, in base units: about 1 MiB, 1 ms, one file or thread."""


class Criterion(Model):
    """One condition that decides the run: a metric and exactly one limit."""

    metric: str
    endpoint: Annotated[str | None, Field(description="one endpoint; without it, every endpoint for itself")] = None
    below: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})] = None
    above: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})] = None
    growth_below: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})] = None
    ratio_below: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})] = None
    ratio_above: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})] = None
    over: Annotated[Duration | None, Field(description="judged on every window of this length")] = None

    @model_validator(mode="after")
    def _readable(self) -> Self:
        spec = METRICS.get(self.metric)
        if spec is None:
            near = get_close_matches(self.metric, METRICS, 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "expected a name such as latency.p99 or memory.rss"
            raise ValueError(f"metric: unknown metric {self.metric[:60]!r}; {hint}")
        if self.endpoint is not None and not spec.per_endpoint:
            raise ValueError(f"endpoint: {self.metric} is not measured by endpoint")
        given = [k for k in KINDS if getattr(self, k) is not None]
        if len(given) != 1:
            raise ValueError(
                f"expected exactly one of {', '.join(KINDS[:-1])} and {KINDS[-1]}, got {' and '.join(given) or 'none'}"
            )
        if self.over is not None and self.over < 1:
            raise ValueError("over: expected at least 1 s")
        if self.over is not None and given[0] == "growth_below":
            raise ValueError("over: growth is judged over the whole soak phase; write growth_below: 2%/h for a rate")
        self._applicable(given[0])
        try:
            quantity = self._quantity(given[0])
        except ValueError as error:
            raise ValueError(f"{given[0]}: {error}") from None
        if self.against_reference and quantity.value <= 0:
            raise ValueError(f"{given[0]}: expected more than 0: 1.1 is a tenth more than the reference's")
        return self

    def _applicable(self, kind: Kind) -> None:
        """Refuse a limit that says nothing of this metric."""
        if self.over is not None and self.against_reference:
            raise ValueError("over: a ratio is judged window by window, over the whole soak phase")
        if self.against_reference and self.spec.room not in COMPARED:
            raise ValueError(f"{kind}: {self.metric} is not compared; only {', '.join(COMPARED)} metrics are")
        if self.spec.room == "errors" and kind == "growth_below":
            raise ValueError("growth_below: errors.ratio has no trend; say how many may fail: `below: 1%, over: 10m`")
        if self.metric in ONCE and (kind == "growth_below" or self.over is not None):
            raise ValueError(f"{'over' if self.over is not None else kind}: {self.metric} is measured once a run")

    @property
    def spec(self) -> Metric:
        """The catalogue entry of its metric."""
        return METRICS[self.metric]

    @property
    def kind(self) -> Kind:
        """Which limit it has."""
        return next(k for k in KINDS if getattr(self, k) is not None)

    @property
    def against_reference(self) -> bool:
        """Whether it is judged on the ratio of the candidate to the reference."""
        return self.kind in ("ratio_below", "ratio_above")

    @property
    def limit(self) -> Quantity:
        """The limit in base units; for growth with `per` seconds, or None for growth over the soak."""
        return self._quantity(self.kind)

    def _quantity(self, kind: Kind) -> Quantity:
        if kind in ("ratio_below", "ratio_above"):
            return units.parse(getattr(self, kind), "ratio")
        return units.parse(getattr(self, kind), self.spec.dimension, growth=kind == "growth_below")

    def text(self) -> str:
        """The criterion in one line, as a person would say it."""
        where = f" of {self.endpoint}" if self.endpoint else ""
        window = f" in every {units.duration(self.over)}" if self.over else ""
        words = self.kind.replace("_", " ")
        return f"{self.metric}{where} {words} {getattr(self, self.kind)}{window}"
